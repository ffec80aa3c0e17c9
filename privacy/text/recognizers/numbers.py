# SPDX-License-Identifier: Apache-2.0
"""Account, plan, licence, vehicle and device numbers by the label before them (Safe Harbor rows 9 to 13 and 18).

No such number has one format, so the label decides; a token after a label counts only if it holds two digits.
"""

from __future__ import annotations

import re

from privacy.text.recognizers._rules import Rule, Rules, cue
from privacy.text.settings import TextSettings

_TOKEN = r"(?P<id>(?=[A-Z0-9./-]*\d[A-Z0-9./-]*\d)[A-Z0-9]{1,17}(?:[./-][A-Z0-9]{1,17}){0,4})(?!\w)"
_MEASURED = r"(?!\s?(?:mg|mcg|g|kg|ml|cc|l|dl|units?|iu|meq|mmol|cells?|hours?|days?|tablets?|tabs?|%)\b)(?!\s?[%/])"
_ACCOUNT = (
    r"acct|account|a/c|policy|member|subscriber|beneficiary|group|insurance|medicaid|medicare|claim|invoice|"
    r"authorization|prescription|rx|badge|employee|student|tracking|routing|customer|"
    r"(?:health\s?plan|plan|reference|ref|confirmation|file|docket|application|ticket|request)\s?\(?(?:#|number|no|id)"
)
_LICENSE = r"licen[cs]e|lic|DEA|NPI|certificate|registration|permit|passport|driver'?s?\slicen[cs]e"
_VEHICLE = r"VIN|(?:license\s)?plate|tag\snumber|vehicle(?:\sid(?:entification)?)?"
_DEVICE = r"S/N|SN|serial|UDI|device|implant|pacemaker|generator|(?:lot|model)\s?(?:#|number|no)"
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_VIN_VALUES = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True)
)


def _is_vin(match: re.Match[str]) -> bool:
    """The check digit of ISO 3779 as North America uses it (49 CFR 565.15)."""
    vin = match.group()
    values = [int(c) if c.isdigit() else _VIN_VALUES[c] for c in vin]
    rest = sum(value * weight for value, weight in zip(values, _VIN_WEIGHTS, strict=True)) % 11
    return vin[8] == ("X" if rest == 10 else str(rest))


def _is_number(match: re.Match[str]) -> bool:
    token = match.group("id")
    return len(token) >= 4 and sum(character.isdigit() for character in token) >= 2


def _labelled(entity_type: str, words: str, score: float) -> Rule:
    return Rule(entity_type, score, re.compile(cue(words) + _TOKEN + _MEASURED, re.IGNORECASE), keep=_is_number)


def build(settings: TextSettings) -> Rules:
    """The labelled-number recognizer; needs no settings."""
    return Rules(
        "numbers",
        [
            _labelled("ACCOUNT_NUMBER", _ACCOUNT, 0.7),
            _labelled("LICENSE_NUMBER", _LICENSE, 0.7),
            _labelled("VEHICLE_ID", _VEHICLE, 0.7),
            _labelled("DEVICE_ID", _DEVICE, 0.6),
            Rule("DEVICE_ID", 0.8, re.compile(r"\(01\)\s?\d{14}(?:\s?\((?:10|11|17|21)\)\s?[\w-]{1,20}){0,4}")),
            Rule("VEHICLE_ID", 0.85, re.compile(r"(?<![A-Z0-9])[A-HJ-NPR-Z0-9]{17}(?![A-Z0-9])"), keep=_is_vin),
            Rule("CREDIT_CARD", 0.5, re.compile(r"(?<![\w.-])\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}(?![\w.-])")),
        ],
    )
