# SPDX-License-Identifier: Apache-2.0
"""Vehicle identifiers and plates (Safe Harbor row 12): a VIN by its check digit, or valid or not by label; plates by
label. Source of the check digit: ISO 3779 as North America uses it (49 CFR 565.15).
"""

from __future__ import annotations

import re

from privacy.text.find.recognizers._labels import cue, enough, labelled, marked_cue
from privacy.text.find.recognizers._places import US_STATE
from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_VALUES = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True)
)
_VIN_LABELS = (
    r"VINs?|V\.I\.N\.?|vehicle\sid(?:entification)?|chassis|frame|hull(?:\sid(?:entification)?)?|HIN|fleet|"
    r"(?:vehicle|car|truck|van|motorcycle)\s(?:no|number|serial|#)|engine\s(?:no|number|#)"
)
_PLATE_LABELS = (
    r"(?:licen[cs]e|number|registration|vehicle|car|temp(?:orary)?|vanity)[\s-](?:plates?|tags?)|plates?\s(?:no|number|#)|"
    r"tags?\s(?:no|number|#)|LP\s?#|(?:vehicle|car)\sregistration|rego|Kennzeichen|targa|matr[i\u00ed]cula|"
    r"plaque\sd'immatriculation|kenteken"
)
_ISSUER = rf"(?:[\s(,]{{1,2}}(?:{US_STATE}|[A-Z]{{2}})\)?(?![A-Za-z]))?"
_PLATE = r"(?P<id>(?-i:[A-Z0-9]{1,4}(?:[ -\u00b7][A-Z0-9]{1,5}){1,2}|[A-Z0-9]{4,8}))(?![A-Za-z0-9])"
_PLATE_WITH_DIGIT = rf"(?=[A-Z0-9 -]{{0,9}}\d){_PLATE}"


def _is_vin(match: re.Match[str]) -> bool:
    vin = match.group().upper()
    values = [int(c) if c.isdigit() else _VALUES[c] for c in vin]
    rest = sum(value * weight for value, weight in zip(values, _WEIGHTS, strict=True)) % 11
    return vin[8] == ("X" if rest == 10 else str(rest))


def build(settings: TextSettings) -> Rules:
    """The vehicle recognizer; needs no settings."""

    def rule(score: float, pattern: str) -> PatternRule:
        return PatternRule("VEHICLE_ID", score, re.compile(pattern, re.IGNORECASE))

    vin = re.compile(r"(?<![A-Z0-9])[A-HJ-NPR-Z0-9]{17}(?![A-Z0-9])", re.IGNORECASE)
    bare_plate = re.compile(
        rf"(?<![A-Za-z])(?:plates?|tag|registered){_ISSUER}[\s:#=|(]{{1,4}}{_PLATE_WITH_DIGIT}", re.IGNORECASE
    )
    return Rules(
        "vehicles",
        [
            PatternRule("VEHICLE_ID", 0.85, vin, keep=_is_vin),
            labelled("VEHICLE_ID", _VIN_LABELS, 0.75),
            rule(0.7, cue(_PLATE_LABELS + _ISSUER) + _PLATE_WITH_DIGIT),
            rule(0.6, marked_cue(_PLATE_LABELS + _ISSUER) + _PLATE),
            PatternRule("VEHICLE_ID", 0.55, bare_plate, keep=enough(digits=2, characters=5)),
        ],
    )
