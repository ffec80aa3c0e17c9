# SPDX-License-Identifier: Apache-2.0
"""A label and the number that it announces: "MRN: 4827193", "Policy No. | XKQ 123 456", "member id is 8842-01".

Notes come as prose, forms and tables, so whatever may stand between a label and its value is allowed here, once. Every
part is bounded: a pattern made of these costs linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from privacy.text.find.recognizers._rules import PatternRule

_NOUN = r"(?:[\s_/-]{0,2}(?:numbers?|num|nbr|nos?|nr|ids?|identifiers?|identification|codes?|#)(?![A-Za-z]))"
_ASIDE = r"(?:\s?\([A-Za-z0-9#., /-]{1,24}\))?"
_LINK = (
    r"(?:[\s,]{1,2}(?:is|was|are|reads?|as|to|on\sfile|listed|recorded|noted|assigned|updated|changed|given|"
    r"ending(?:\s(?:in|with))?|issued)(?![A-Za-z]))"
)
_MARKS = r"[\s:#=.|(\[\"'>*_~-]"
MEASURED = (
    r"(?![ \t]?(?:mgs?|mcg|g|gm|grams?|kg|ml|mls|cc|l|dl|units?|iu|meq|mmol|mmhg|mm|cm|cells?|copies|platelets|wbc|rbc|"
    r"cfu|colonies|steps|people|persons|patients|participants|subjects|samples|cases|visits|dollars|bytes|hours?|hrs?|days?|"
    r"weeks?|months?|years?|minutes?|mins?|times|tablets?|tabs?|capsules?|caps?|points?|calories|kcal|rads?|cgy|gy|hz|"
    r"bpm|percent|x\s?10)(?![A-Za-z]))(?![ \t]?[%\u00b0])"
)
"""Not followed by a unit: a dose or a laboratory value is no identifier."""

_PREFIXED = (
    r"(?-i:[A-Z]{1,4})(?:[ ]\d{3,10}(?:[ -]\d{2,9}){0,3}|\d{3,10}(?:[ ]\d{3,9}){1,3}(?![A-Za-z/]))"
    r"|(?-i:\d[A-Z0-9]{3}[ ][A-Z0-9]{3}[ ][A-Z0-9]{2}\d\d)"
)
_SPACED = r"\d{3,6}(?:[ ]\d{2,6}){1,5}|\d{2}(?:[ ]\d{2}){2,4}"
_SOLID = r"(?=[A-Z0-9./_-]{0,24}\d)[A-Z0-9]{1,24}(?:[./_-]{1,2}[A-Z0-9]{1,24}){0,6}"
_HIDDEN = r"[*x\u2022.]{2,16}[ -]?\d{2,6}"
TOKEN = rf"(?P<id>{_PREFIXED}|{_SPACED}|{_SOLID}|{_HIDDEN})(?![A-Za-z0-9])"
"""A number after a label, as group `id`: it holds a digit, perhaps in groups, perhaps with its head hidden by stars."""


def cue(words: str) -> str:
    """The start of a pattern: one of `words` (an alternation, ignoring case), then what may stand before a value."""
    return rf"(?<![A-Za-z0-9])(?:{words})(?![A-Za-z]){_NOUN}{{0,2}}\.?{_ASIDE}{_LINK}{{0,2}}{_MARKS}{{0,8}}"


def marked_cue(words: str) -> str:
    """As `cue`, for words of everyday use: a noun such as 'number', or a mark such as ':' or '#', must follow them."""
    marks = rf"(?:{_NOUN}{{1,2}}\.?{_ASIDE}{_LINK}{{0,2}}{_MARKS}{{0,8}}|{_ASIDE}[ \t]?[:#=|]{_MARKS}{{0,8}})"
    return rf"(?<![A-Za-z0-9])(?:{words})(?![A-Za-z]){marks}"


def enough(*, digits: int, characters: int = 4) -> Callable[[re.Match[str]], bool]:
    """Whether a match's value has at least so many digits, and letters and digits."""

    def keep(match: re.Match[str]) -> bool:
        value: str = match.group("id")
        return (
            sum(character.isdigit() for character in value) >= digits
            and sum(character.isalnum() or character in "*\u2022" for character in value) >= characters
        )

    return keep


_FRACTION = re.compile(r"[\d./ -]*[./][\d./ -]*|[A-Za-z]+ .*")


def _no_measurement(keep: Callable[[re.Match[str]], bool]) -> Callable[[re.Match[str]], bool]:
    """After an everyday word: neither a fraction or decimal number ("report: 120/80") nor "WBC 12000"."""
    return lambda match: keep(match) and _FRACTION.fullmatch(match.group("id")) is None


def labelled(entity_type: str, words: str, score: float, *, digits: int = 3, characters: int = 4) -> PatternRule:
    """The rule of a label that needs no mark, such as MRN."""
    pattern = re.compile(cue(words) + TOKEN + MEASURED, re.IGNORECASE)
    return PatternRule(entity_type, score, pattern, keep=enough(digits=digits, characters=characters))


def marked(entity_type: str, words: str, score: float, *, digits: int = 3, characters: int = 4) -> PatternRule:
    """The rule of a label that is an everyday word, such as 'case' or 'group'."""
    pattern = re.compile(marked_cue(words) + TOKEN + MEASURED, re.IGNORECASE)
    return PatternRule(entity_type, score, pattern, keep=_no_measurement(enough(digits=digits, characters=characters)))
