# SPDX-License-Identifier: Apache-2.0
"""US social security numbers (Safe Harbor row 7) by shape or cue, never validated: a mistyped number identifies too."""

from __future__ import annotations

import re

from privacy.text.find.recognizers._labels import cue
from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_LABELS = (
    r"SSN|SS#|SS\s(?:no|number)|S\.S\.N\.?|S\.S\.|SSAN|SocSec|soc(?:ial)?\.?\s?sec(?:urity)?(?:\s(?:number|no|num|card|#))?|social|"
    r"sponsor(?:'s)?\sSSN"
)
_LAST_FOUR = (
    r"\blast\s(?:four|4)(?:\sdigits)?(?:\sof\s(?:the\s|his\s|her\s|their\s)?(?:patient's\s)?(?:SSN|SS#|social(?:\ssecurity)?"
    r"(?:\snumber)?))?[\s:#=]{1,4}(?:(?:is|are|were)\s)?(?P<id>\d{4})\b"
)


def build(settings: TextSettings) -> Rules:
    """The SSN recognizer; needs no settings."""

    def rule(score: float, pattern: str) -> PatternRule:
        return PatternRule("US_SSN", score, re.compile(pattern, re.IGNORECASE))

    return Rules(
        "ssn",
        [
            rule(0.85, r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-]|\.\d)"),
            rule(0.6, r"(?<![\w./-])\d{3}([ .])\d{2}\1\d{4}(?![\w/-]|\.\d)"),
            rule(0.6, r"(?<![\w./-])\d{3}\s?[-/]\s?\d{2}\s?[-/]\s?\d{4}(?![\w/-]|\.\d)"),
            rule(0.8, r"(?<![\w-])[X*#\u2022]{3}[ -]?[X*#\u2022]{2}[ -]?\d{4}(?![\w-])"),
            rule(0.9, rf"{cue(_LABELS)}(?P<id>[\dX*][\dX*]{{0,3}}(?:[ .-]?[\dX*]{{1,5}}){{1,4}}(?<=\d))(?!\w)"),
            rule(0.9, _LAST_FOUR),
        ],
    )
