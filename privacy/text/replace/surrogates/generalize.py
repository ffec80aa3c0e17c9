# SPDX-License-Identifier: Apache-2.0
"""Less instead of nothing: an age becomes a band of ten years, as Safe Harbor allows.

45 CFR 164.514(b)(2)(i)(C): ages over 89 are one class, which is `90+` here. What is not read gets a tag. ZIP codes:
privacy.text.lists.zip_prefixes.
"""

from __future__ import annotations

import re

OLDEST = 125
_UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {
    **{word: number for number, word in enumerate([*_UNITS, *_TEENS])},
    **{word: 10 * number for number, word in enumerate(_TENS, start=2)},
    **{f"{ten}{unit}": 10 * t + u for t, ten in enumerate(_TENS, start=2) for u, unit in enumerate(_UNITS) if u},
    "hundred": 100,
    "onehundred": 100,
    "ahundred": 100,
}
_NUMBER = rf"(?:(?:{'|'.join(_TENS)})(?:[ -]?(?:{'|'.join(_UNITS[1:])}))?|{'|'.join([*_TEENS, *_UNITS])})"
_AGE = re.compile(
    r"(?P<before>(?:age of|age:|aged?|turned|turning)?\s*)"
    rf"(?P<age>\d{{1,3}}|(?:one |a )?hundred(?: and {_NUMBER})?|{_NUMBER})"
    r"(?P<after>[\s/-]{0,2}(?:years?|yrs?\.?|y)?[\s/-]{0,2}(?:old|olds|of age|young|yo|y\.?o\.?|y/o|o|yof|yom)?)",
    re.IGNORECASE,
)


def age_in(text: str) -> int | None:
    """The age in years that `text` states, 0 to 125; None if it states none, or more than that."""
    match = _AGE.fullmatch(text.strip())
    return None if match is None else _years(match.group("age"))


def age_band(text: str) -> str | None:
    """`text` with its age as a band of ten years, such as 40-49, or 90+; None if it cannot be read."""
    stripped = text.strip()
    match = _AGE.fullmatch(stripped)
    years = None if match is None else _years(match.group("age"))
    if match is None or years is None:
        return None
    band = "90+" if years >= 90 else f"{years // 10 * 10}-{years // 10 * 10 + 9}"
    return match.group("before") + band + match.group("after")


def _years(words: str) -> int | None:
    if words.isdecimal():
        return int(words) if int(words) <= OLDEST else None
    numbers = [_WORDS.get(re.sub(r"[\s-]", "", part)) for part in words.lower().split(" and ")]
    years = sum(number for number in numbers if number is not None)
    return None if None in numbers or years > OLDEST else years
