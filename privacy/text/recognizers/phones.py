# SPDX-License-Identifier: Apache-2.0
"""Phone, fax and pager numbers by shape or by label, valid or not: an invalid number may be a typing error.

Presidio's own recognizer (libphonenumber, the site's countries) runs beside this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from privacy.text.recognizers._rules import Rule, Rules, cue
from privacy.text.settings import TextSettings

_EXTENSION = r"(?:\s?(?:,\s?)?(?:x|ext\.?|extension)\s?\d{1,6})?"
_CUE = cue(
    r"phone|telephone|tel|fax|pager|beeper|cell|cellphone|mobile|call(?:ed)?|dial|text|contact|ph|"
    r"(?:call|text|reach|ring|answer)(?:s|ed|ing)?\s(?:\w{2,4}\s)?(?:at|on)"
)


def _long_enough(match: re.Match[str]) -> bool:
    digits = sum(character.isdigit() for character in str(match.group("id")))
    may_be_short = match.group().lower().startswith(("pager", "beeper", "fax", "dial"))
    return digits >= (4 if may_be_short else 7)


def _national(match: re.Match[str]) -> bool:
    return sum(character.isdigit() for character in match.group()) >= 9


def build(settings: TextSettings) -> Rules:
    """The phone-shape recognizer; needs no settings."""

    def rule(score: float, pattern: str, keep: Callable[[re.Match[str]], bool] | None = None) -> Rule:
        return Rule("PHONE_NUMBER", score, re.compile(pattern, re.IGNORECASE), keep=keep)

    return Rules(
        "phones",
        [
            rule(0.75, rf"(?<![\w/-])(?:\+?1[ .-]?)?\(\d{{3}}\)[ .-]?\d{{3}}[ .-]?\d{{4}}{_EXTENSION}(?!\w)"),
            rule(0.7, rf"(?<![\w/.-])(?:\+?1[ .-])?\d{{3}}([ .-])\d{{3}}\1\d{{4}}{_EXTENSION}(?![\w-])"),
            rule(
                0.7, r"(?<![\w+])(?:\+|00)[1-9]\d{0,2}[ .-]?(?:\(0\)[ .-]?)?(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}(?!\w)"
            ),
            rule(0.5, r"(?<![\w/.-])0\d{1,4}(?:[ -]\d{2,4}){2,4}(?![\w/-]|[.,]\d)", _national),
            rule(0.6, r"(?<![\w/.-])\d{3}-\d{4}(?![\w-]|\.\d)"),
            rule(0.6, rf"{_CUE}(?P<id>[+(]?\d[\d ().-]{{2,16}}\d{_EXTENSION})(?!\w)", _long_enough),
        ],
    )
