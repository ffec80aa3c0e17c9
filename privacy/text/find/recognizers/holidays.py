# SPDX-License-Identifier: Apache-2.0
"""Holidays as dates (Safe Harbor row 3): with a year, or after a word that makes one the day of an event."""

from __future__ import annotations

import re

from privacy.text.find.recognizers._months import HOLIDAY, HOLIDAY_STEMS
from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_YEAR = r"(?:(?:19|20)\d\d|'\d\d)"
_EVENT = (
    r"(?:on|since|until|till|before|after|by|around|over|during|last|this|next|past|day\s(?:after|before)|week\s(?:of|after|before)|"
    r"morning\sof|evening\sof|night\sof|eve\sof|following|every|each)(?:\s(?:the|last|this))?"
)


def build(settings: TextSettings) -> Rules:
    """The holiday recognizer; needs no settings."""
    return Rules(
        "holidays",
        [
            PatternRule(
                "DATE_TIME",
                0.7,
                re.compile(rf"\b{HOLIDAY},?\s(?:of\s|in\s)?(?:{_YEAR}|last\syear|this\syear)\b"),
                needs=HOLIDAY_STEMS,
            ),
            PatternRule(
                "DATE_TIME", 0.55, re.compile(rf"\b(?i:{_EVENT})\s(?P<id>{HOLIDAY})(?!\w)"), needs=HOLIDAY_STEMS
            ),
        ],
    )
