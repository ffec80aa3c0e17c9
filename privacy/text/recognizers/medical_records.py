# SPDX-License-Identifier: Apache-2.0
"""Medical record numbers: by label, by the site's own format, and any long bare number that is no measured value."""

from __future__ import annotations

import re

from privacy.text.recognizers._rules import Rule, Rules, cue
from privacy.text.settings import TextSettings

_CUE = cue(
    r"MRN|M\.R\.N\.|MR\s?#|MR|MRNO|med(?:ical)?\s?rec(?:ord)?s?|record|chart|patient(?:'s)?\s(?:id|number|no|#|identifier)|"
    r"pt\s(?:id|no|#)|hospital|unit|encounter|visit|admission|accession|specimen|case|pathology|study|order|CSN|FIN|HAR|episode"
)
_TOKEN = r"(?P<id>(?=[A-Z0-9/-]*\d[A-Z0-9/-]*\d)[A-Z0-9]{1,12}(?:[/-][A-Z0-9]{1,12}){0,3})(?![\w])(?![.,]\d)"
_MEASURED = (
    r"(?!\s?(?:mg|mcg|g|kg|ml|cc|l|dl|units?|iu|meq|mmol|cells?|copies|platelets|wbc|rbc|cfu|colonies|steps|people|"
    r"dollars|patients|bytes|%|/|x\s?10)\b)(?!\s?[%/])(?![.,]\d)"
)


def _long_enough(match: re.Match[str]) -> bool:
    token = match.group("id")
    return len(token) >= 4 and sum(character.isdigit() for character in token) >= 3


def build(settings: TextSettings) -> Rules:
    """The record-number recognizer, with `settings.mrn_pattern` where the site has one."""
    rules = [
        Rule("MEDICAL_RECORD_NUMBER", 0.85, re.compile(_CUE + _TOKEN + _MEASURED, re.IGNORECASE), keep=_long_enough),
        Rule("ID_NUMBER", 0.45, re.compile(rf"(?<![\w.,/$-])#?\d{{7,19}}(?!\w){_MEASURED}", re.IGNORECASE)),
    ]
    if settings.mrn_pattern is not None:
        site = re.compile(rf"(?<![A-Za-z0-9])(?:{settings.mrn_pattern})(?![A-Za-z0-9])")
        rules.append(Rule("MEDICAL_RECORD_NUMBER", 0.95, site))
    return Rules("medical_records", rules)
