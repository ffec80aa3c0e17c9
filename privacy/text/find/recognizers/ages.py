# SPDX-License-Identifier: Apache-2.0
"""Ages over 89, as digits or words: Safe Harbor keeps younger ones (45 CFR 164.514(b)(2)(i)(C), row 3)."""

from __future__ import annotations

import re
from collections.abc import Callable

from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_OLD = r"(?:9\d|1[0-2]\d)"
_WORDS = (
    r"(?:ninety(?:[\s-](?:one|two|three|four|five|six|seven|eight|nine))?"
    r"|(?:(?:one|a)\s)?hundred(?:\s(?:and\s)?(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve))?)"
)
_UNIT = r"[\s-]{0,2}(?:years?|yrs?\.?|y(?!\w)|ys)?[\s/-]{0,2}(?:old|olds|o\b|of\sage|young)"
_SHORT = r"(?:yo|y\.\s?o\.?|y/o|yof|yom|y/o[mf]|y-o|yrs?\s?/?\s?o|yrs?|y|jahre|ans|a\u00f1os|anni|jaar)"
_NO_VALUE = (
    r"(?![ \t]?(?:[%\u00b0-]|/(?!\s?[MF]\b))|[.,]\d|\s?(?:mg|bpm|kg|lbs?|cm|mm|units?|degrees|mmhg|"
    r"percent|minutes|days|weeks|months|systolic|on\sRA)\b)"
)
_SEX = (
    r"(?:years?|y)?\s?(?:/|-|,)?\s?(?:M|F|male|female|man|woman|gentleman|lady|mother|father|"
    r"grandmother|grandfather|veteran|widow|widower)"
)
_HOT = re.compile(
    r"(?:temp\w*|fever\w*|febrile|T|Tmax|T-?max|to|of|at|degrees|HR|pulse|rate|BP|sat\w*|SpO2|O2)[\s:=]{0,3}$",
    re.IGNORECASE,
)


def _no_temperature(match: re.Match[str]) -> bool:
    """'fever to 102 F with chills' is no woman of 102."""
    return _HOT.search(match.string, max(0, match.start("id") - 16), match.start("id")) is None


def build(settings: TextSettings) -> Rules:
    """The age recognizer; needs no settings."""

    def rule(pattern: str, keep: Callable[[re.Match[str]], bool] | None = None) -> PatternRule:
        return PatternRule("AGE", 0.85, re.compile(pattern, re.IGNORECASE), keep=keep)

    return Rules(
        "ages",
        [
            rule(rf"(?<![\w./-])(?P<id>{_OLD}|{_WORDS}){_UNIT}"),
            rule(rf"(?<![\w./-])(?P<id>{_OLD})[\s-]?{_SHORT}(?!\w)(?!\s(?:ago|before|after|history|of\s(?!age)))"),
            rule(
                rf"\b(?:aged?|ages|age\sof|age\sis|age\swas|pt\sage|turn(?:s|ed|ing)|(?:his|her|their)|age\s?/\s?sex|age\s\(\w{{1,8}}\)|at\sage|"
                rf"d\.?o\.?b\.?/age|AGE\sAT\s\w{{3,10}}|alter)\s{{0,2}}[:=|]?\s{{0,3}}(?P<id>{_OLD}|{_WORDS})\b{_NO_VALUE}"
            ),
            rule(rf"(?<![\w./-])(?P<id>{_OLD})[\s-]year(?:s)?\b(?!\s(?:ago|before|after|history|of\s(?!age)))"),
            rule(
                rf"(?<![\w./-])(?P<id>{_OLD})[\s-]?{_SEX}(?![\w-])(?=\s(?:with|w/|who|admitted|present|h/o|hx|s/p|c/o|in\s|here|from|found|seen|brought|lives)|[,;])",
                _no_temperature,
            ),
            rule(rf"(?<![\w./-])(?P<id>{_OLD})[\s-](?:female|male|man|woman|gentleman|lady)(?!\w)", _no_temperature),
            rule(
                rf"\b(?:he|she|patient|pt|who|mother|father|grandmother|grandfather|and)\s(?:is|was|'s)\s(?:now\s|currently\s|almost\s|nearly\s)?(?P<id>{_OLD}|ninety-\w{{3,5}})(?=[.,;)]|\sand\s|\swith\s|\sbut\s|\swho\s|$){_NO_VALUE}"
            ),
            rule(rf"(?<![\w./-])(?P<id>{_OLD}(?:st|nd|rd|th))\s(?:birthday|year\sof\slife|decade)"),
            rule(
                r"\b(?:in|of|into|reached|to)\s(?:his|her|their)\s(?:early\s|mid[\s-]?|late\s)?(?P<id>(?:90|100)'?s|nineties)\b"
            ),
            rule(r"\b(?:super)?(?P<id>(?:nonagenarian|centenarian)s?)\b"),
            rule(
                rf"\b(?:over|older\sthan|above|past|at\sleast|>=?|\u2265)\s?(?P<id>{_OLD})[\s-]?(?:years?|yrs?|yo|y/o)\b"
            ),
            rule(r"\b(?P<id>9\d)\s?(?:to|-)\s?(?:9\d|10\d)[\s-](?:years?|yrs?)"),
        ],
    )
