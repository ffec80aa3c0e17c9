# SPDX-License-Identifier: Apache-2.0
"""Health-plan beneficiary numbers (Safe Harbor row 9): by label or insurer, and by shape in the site's countries.

Medicare's MBI, the NHS number and the numbers with check digits of other countries are Presidio's
(privacy/text/find/engines/_stock.py).
"""

from __future__ import annotations

import re

from privacy.text.find.recognizers._labels import MEASURED, TOKEN, cue, enough, labelled, marked
from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_LABELS = (
    r"policy|member(?:ship)?|subscriber|beneficiary|insured(?:'s)?|insurance|enrollee|policy\s?holder|"
    r"medicaid|medicare|medi-?cal|MBI|HICN?|CHAMPUS|tricare|CHIP|"
    r"health\s?(?:plan|card|insurance)|claim|RxBIN|RxPCN|RxGrp|Rx\s?(?:BIN|PCN|group|grp|ID)|"
    r"prior\sauth(?:orization)?|pre-?cert(?:ification)?|auth(?:orization)?|payer|payor|"
    r"NHS|OHIP|RAMQ|PHN|ULI|AHCIP|MSP|HCN|IHI|DVA|KVNR|(?:Kranken)?versicherten(?:nummer|nr)|mutuelle|"
    r"EHIC|CNS|carte\svitale|num[e\u00e9]ro\sde\ss[e\u00e9]curit[e\u00e9]\ssociale|SIS|tessera\ssanitaria"
)
_EVERYDAY = r"group|grp|plan|coverage|certificate|contract|dependent|payer|carrier|benefits?|cardholder"
_INSURERS = (
    r"(?:Aetna|Anthem|BCBS(?:\sof\s\w{2,12})?|Blue\sCross(?:\s(?:and\s|&\s)?Blue\sShield)?|Blue\sShield|Cigna|Humana|"
    r"United\s?Health(?:care|\scare)?|UHC|UMR|Kaiser(?:\sPermanente)?|Molina|Centene|Ambetter|WellCare|Oscar|Tufts|"
    r"Harvard\sPilgrim|Highmark|Health\sNet|HealthFirst|EmblemHealth|Oxford|Medicare(?:\sAdvantage)?|Medicaid|Tricare|"
    r"insurance|insurer|carrier|coverage|plan|payer)"
)
_AFTER_INSURER = (
    r"(?:[\s,;:(-]{1,3}(?:PPO|HMO|EPO|POS|HDHP|Part\s[A-D]|Plus|Gold|Silver|Choice|member|policy|plan|group|subscriber|"
    r"identification|ID|number|no|card|is|was|with|under)\b\.?){1,4}"
)
_SHAPES = {
    "CA": (r"\d{4}[- ]\d{3}[- ]\d{3}(?:[- ]?[A-Z]{2})?", r"[A-Z]{4}[ -]?\d{4}[ -]?\d{4}"),
    "DE": (r"[A-Z]\d{9}",),
    "AU": (r"[2-6]\d{3}[ ]\d{5}[ ]\d(?:[ /-]\d)?", r"800360\d{10}|8003[ ]60\d\d(?:[ ]\d{4}){2}"),
    "GB": (r"\d{3}[ -]\d{3}[ -]\d{4}",),
    "FR": (r"[12][ ]?\d\d[ ]?(?:0[1-9]|1[0-2])[ ]?(?:\d\d|2[AB])[ ]?\d{3}[ ]?\d{3}(?:[ ]?\d\d)?",),
    "IE": (r"\d{7}[A-W][A-I]?",),
}
_MBI_SHAPE = (
    r"[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-?[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-?[AC-HJKMNP-RT-Y]{2}\d\d"
)


def build(settings: TextSettings) -> Rules:
    """The health-plan recognizer; shapes without a label follow `settings.countries`."""

    def shape(pattern: str, score: float) -> PatternRule:
        return PatternRule("HEALTH_PLAN_ID", score, re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])"))

    insured = re.compile(cue(_INSURERS + _AFTER_INSURER) + TOKEN + MEASURED, re.IGNORECASE)
    rules = [
        labelled("HEALTH_PLAN_ID", _LABELS, 0.75),
        marked("HEALTH_PLAN_ID", _EVERYDAY, 0.7, digits=3),
        PatternRule("HEALTH_PLAN_ID", 0.7, insured, keep=enough(digits=4, characters=5)),
        *(shape(pattern, 0.5) for country in settings.countries for pattern in _SHAPES.get(country, ())),
    ]
    if "US" in settings.countries:
        rules.append(shape(_MBI_SHAPE, 0.8))
    return Rules("health_plans", rules)
