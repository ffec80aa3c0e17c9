# SPDX-License-Identifier: Apache-2.0
"""Any other unique number (Safe Harbor row 18): national and staff ids by label, and what looks like an id at all.

The catch-all takes a mixed token of six and more letters and digits after a word such as 'no.' or 'code', and any bare
number of seven and more digits that is no measured value. Codes of diseases, procedures and trials stay: they name no
person.
"""

from __future__ import annotations

import re

from privacy.text.find.recognizers._labels import MEASURED, TOKEN, enough, labelled, marked_cue
from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_NATIONAL = (
    r"SIN|social\sinsurance|NINO?|national\s(?:insurance|id(?:entity)?|identification)|TFN|tax\s(?:file|id|payer\sid)|TIN|ITIN|EIN|"
    r"taxpayer(?:\sid)?|CPF|CNPJ|CURP|RFC|NSS|RUT|RUN|DNI|NIE|NIF|BSN|CPR|PESEL|personnummer|f\u00f8dselsnummer|"
    r"henkil\u00f6tunnus|codice\sfiscale|C\.?F\.?(?=:)|Aadhaar|PAN|NRIC|FIN\sno|HKID|My\s?Number|Steuer-?ID|"
    r"Steuer(?:identifikations)?nummer|Sozialversicherungsnummer|AHV|AVS|INSEE|NIR|cedula|c\u00e9dula"
)
_PEOPLE = (
    r"badge|employee|emp|staff|personnel|student|faculty|inmate|prisoner|booking|DOC|military|service|DoD|EDIPI|veteran|VA\sfile|"
    r"voter|library\scard|locker|operator|clinician|physician|provider|user|login|username|pin|PIN|passcode|access\scode|"
    r"loyalty|frequent\sflyer|reward|ID|identifier|unique\sid(?:entifier)?|external\sid|reference|ref|confirmation"
)
_ACCOUNT_NAMES = (
    r"user\s?(?:name|id)|log-?in|handle|screen\s?name|twitter|instagram|facebook|snapchat|tiktok|linkedin|skype|whatsapp|telegram|"
    r"discord|password|passcode"
)
_CATCH_ALL = r"(?:nos?\.|#|IDs?|refs?|reference|codes?|numbers?|keys?|serial|token|barcode|identifiers?|nr\.?)"
_CODES = re.compile(
    r"(?:ICD|CPT|HCPCS|SNOMED|LOINC|DRG|NDC|RxNorm|DSM|ATC|CAS|NCT|UMLS|billing|procedure|diagnos\w{1,4}|revenue|area|zip|"
    r"dress|color|colour|gene|variant|rs|model|error|source|version|catalog|trial)\b[\w\s:().#-]{0,24}$",
    re.IGNORECASE,
)
_DISEASE_CODE = re.compile(r"[A-TV-Z]\d[0-9AB]\.?[0-9A-Z]{0,4}", re.IGNORECASE)
_NOT_SPLIT = r"(?<![\w.,/$\u20ac\u00a3-])"


def _mixed(match: re.Match[str]) -> bool:
    value = match.group("id")
    letters = sum(character.isalpha() for character in value)
    digits = sum(character.isdigit() for character in value)
    if letters + digits < 6 or not digits or (not letters and digits < 7):
        return False
    if letters >= 4 and digits <= 2:
        return False  # "number Type1", "#18-gauge"
    before = match.string[max(0, match.start() - 30) : match.start("id")]
    return _CODES.search(before) is None and _DISEASE_CODE.fullmatch(value) is None


def build(settings: TextSettings) -> Rules:
    """The recognizer of all other numbers; needs no settings."""
    catch_all = rf"(?<![A-Za-z0-9]){_CATCH_ALL}(?![A-Za-z])(?:\s(?:is|was))?[\s:#=.|(\[\"'-]{{0,5}}{TOKEN}{MEASURED}"
    handle = rf"(?<![A-Za-z])(?:{_ACCOUNT_NAMES})(?:\s(?:name|id|is|was))?\s?[:=|@]\s{{0,2}}(?P<id>@?[\w.+-]{{3,40}})"
    at_name = r"(?<![\w@.])@(?=[A-Za-z_.]{0,20}[\d_A-Z])[A-Za-z_][\w.]{2,30}(?![\w@])"
    return Rules(
        "other_ids",
        [
            labelled("ID_NUMBER", _NATIONAL, 0.7, digits=4, characters=6),
            PatternRule(
                "ID_NUMBER",
                0.65,
                re.compile(marked_cue(_PEOPLE) + TOKEN + MEASURED, re.IGNORECASE),
                keep=enough(digits=3),
            ),
            PatternRule("ID_NUMBER", 0.5, re.compile(catch_all, re.IGNORECASE), keep=_mixed),
            PatternRule("ID_NUMBER", 0.6, re.compile(handle, re.IGNORECASE)),
            PatternRule("ID_NUMBER", 0.5, re.compile(at_name), prefilter=re.compile("@")),
            PatternRule(
                "ID_NUMBER", 0.45, re.compile(rf"{_NOT_SPLIT}#?\d{{7,19}}(?!\w)(?![.,]\d){MEASURED}", re.IGNORECASE)
            ),
        ],
    )
