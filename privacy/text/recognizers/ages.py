# SPDX-License-Identifier: Apache-2.0
"""Ages over 89, as digits or words: Safe Harbor keeps younger ones (45 CFR 164.514(b)(2)(i)(C))."""

from __future__ import annotations

import re

from privacy.text.recognizers._rules import Rule, Rules
from privacy.text.settings import TextSettings

_OLD = r"(?:9\d|1[0-2]\d)"
_WORDS = r"(?:ninety(?:[\s-](?:one|two|three|four|five|six|seven|eight|nine))?|(?:one|a)\shundred(?:\sand\s\w+)?)"
_UNIT = r"[\s-]{0,2}(?:years?|yrs?\.?|y)?[\s/-]{0,2}(?:old|olds|o\b|of\sage|young)"


def build(settings: TextSettings) -> Rules:
    """The age recognizer; needs no settings."""

    def rule(pattern: str) -> Rule:
        return Rule("AGE", 0.85, re.compile(pattern, re.IGNORECASE))

    return Rules(
        "ages",
        [
            rule(rf"(?<![\w./-])(?P<id>{_OLD}|{_WORDS}){_UNIT}"),
            rule(rf"(?<![\w./-])(?P<id>{_OLD})[\s-]?(?:yo|y\.o\.?|y/o|yof|yom|yrs?)\b"),
            rule(
                rf"\b(?:aged?|age\sof|age\sis|age:|turn(?:s|ed|ing)|(?:his|her|their))\s{{0,2}}(?P<id>{_OLD})\b(?!\s?[%/]|\.\d|\s?(?:mg|bpm|kg|cm|units?))"
            ),
            rule(rf"(?<![\w./-])(?P<id>{_OLD})[\s-]year(?:s)?\b(?!\s(?:ago|before|after|history))"),
        ],
    )
