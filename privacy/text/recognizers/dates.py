# SPDX-License-Identifier: Apache-2.0
"""Dates as people write them: textual, partial, numeric, bare years and months after a preposition.

Safe Harbor (45 CFR 164.514(b)(2)(i)(C)) removes every element of a date but the year; we remove the year too where a
word marks it as one. Doses, scores and laboratory values such as `5/5`, `120/80`, `1998 mL` must stay.
"""

from __future__ import annotations

import re

from privacy.text.recognizers._rules import Rule, Rules
from privacy.text.settings import TextSettings

_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sept", "sep", "oct", "nov", "dec",
)  # fmt: skip
# In lower case these three are ordinary words or abbreviations: "patient may 2 ...".
_MONTHS = sorted(
    {form for name in _NAMES for form in (name.capitalize(), name.upper())} | (set(_NAMES) - {"may", "march", "mar"}),
    key=lambda form: (-len(form), form),
)
_MONTH = rf"(?:{'|'.join(_MONTHS)})\b\.?"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th|ST|ND|RD|TH)?\b"
_YEAR = r"(?:(?:1[89]|20)\d\d\b|'\d\d\b)"
_WEEKDAY = r"(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day,?\s)?"
_NO_UNIT = (
    r"(?![.,]\d)(?!\s?(?:mg|mcg|g|kg|ml|cc|l|dl|units?|iu|meq|mmol|mm|cm|tab|tablets?|caps?|capsules?|cells?|copies|"
    r"calories|kcal|hours?|hrs?|days?|times|steps|patients|people|points|pg|ng|rads?|cgy|gy|hz|ms|bpm|x)\b)(?!\s?[%/])"
)
_BEFORE_DATE = (
    r"(?:on|dated?|since|until|till|from|by|before|after|through|thru|of|DOB|dob|D\.O\.B\.|born|birth|admitted|discharged|"
    r"seen|surgery|expires?|exp|due|LMP|lmp|EDC|edc|visit|signed|dictated|transcribed|DD|DT|D|T)"
)
_BEFORE_YEAR = (
    r"(?:in|since|from|until|till|by|during|before|after|around|circa|c\.|year|born|early|mid|late|back\sin|"
    r"(?:spring|summer|fall|autumn|winter)(?:\sof)?|and|to|of\s(?:the\s)?year)"
)
_BEFORE_MONTH = r"(?:in|last|this|next|since|until|till|by|early|late|mid|during|of|from|through|every)"


def _rule(score: float, pattern: str, *, ignore_case: bool = False, gate: str | None = None) -> Rule:
    flags = re.IGNORECASE if ignore_case else 0
    return Rule("DATE_TIME", score, re.compile(pattern, flags), gate=re.compile(gate) if gate else None)


def _plausible(match: re.Match[str]) -> bool:
    numbers = [int(part) for part in re.findall(r"\d+", match.group())]
    small = [number for number in numbers if number <= 31]
    return len(small) >= min(2, len(numbers) - 1) and any(1 <= number <= 12 for number in small)


def build(settings: TextSettings) -> Rules:
    """The date recognizer; needs no settings."""
    of_day = rf"{_WEEKDAY}(?:the\s)?{_DAY}(?:\sof|,)?[\s/-]{{1,2}}{_MONTH}(?:,?[\s/-]{{1,2}}(?:{_YEAR}|\d\d\b(?!\d)))?"
    rules = [
        _rule(0.85, rf"(?<![\w.:/]){of_day}"),
        _rule(0.85, rf"{_WEEKDAY}\b{_MONTH}[\s-]{_DAY}{_NO_UNIT}(?:,?[\s-]{{1,2}}{_YEAR})?(?:\s?[-,]\s?{_YEAR})?"),
        _rule(0.85, rf"\b{_MONTH},?(?:\sof)?[\s/-]{{1,2}}{_YEAR}"),
        _rule(0.5, rf"\b(?i:{_BEFORE_MONTH})\s(?P<id>{_MONTH})(?!\s?\d)"),
        Rule(
            "DATE_TIME",
            0.8,
            re.compile(
                r"(?<![\d./-])(?:\d{1,2}([/.-])\d{1,2}\1(?:\d{4}|\d{2})|\d{4}([/.-])\d{1,2}\2\d{1,2}"
                r"|\d{1,2}\s/\s\d{1,2}\s/\s(?:\d{4}|\d{2}))(?:(?:T|,?\s)\d{1,2}:\d\d(?::\d\d)?(?!\d))?(?![\d/-]|\.\d)"
            ),
            keep=_plausible,
        ),
        _rule(0.7, r"(?<![\d./-])(?:0?[1-9]|1[0-2])[/-](?:19|20)\d\d(?![\d/-])"),
        _rule(
            0.6,
            rf"\b{_BEFORE_DATE}[\s:]{{1,3}}(?P<id>(?:0?[1-9]|[12]\d|3[01])[/-](?:0?[1-9]|[12]\d|3[01]))(?![\d/-]){_NO_UNIT}",
            ignore_case=False,
        ),
        _rule(
            0.6,
            rf"\b{_BEFORE_YEAR}\s(?P<id>(?:19|20)\d\d(?:\s?[-/]\s?(?:(?:19|20)\d\d|\d\d))?)\b{_NO_UNIT}",
            ignore_case=True,
        ),
        _rule(0.6, r"(?P<id>\b(?:19|20)\d\d\s?[-/]\s?(?:19|20)\d\d\b)"),
        _rule(0.5, r"\((?P<id>(?:19|20)\d\d)\)"),
        _rule(0.5, r"(?<=[a-z],\s)(?P<id>(?:19|20)\d\d)(?=[.;)\n]|$)"),
    ]
    return Rules("dates", rules)
