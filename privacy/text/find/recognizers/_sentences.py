# SPDX-License-Identifier: Apache-2.0
"""What stands around a match: the rest of its sentence, and the stretch of its line."""

from __future__ import annotations

import re

_END = re.compile(r"[.!?;](?=[\s,])|\n")
REACH = 160
"""Characters to each side that may be asked: a bound, so that a rule costs linear time."""


def sentence(match: re.Match[str], reach: int = REACH) -> str:
    """The sentence of `match`, cut at `reach` characters to each side."""
    return before(match, reach) + match.group() + after(match, reach)


def before(match: re.Match[str], reach: int = REACH) -> str:
    """What of its sentence stands before `match`."""
    text = match.string[max(0, match.start() - reach) : match.start()]
    ends = [end.end() for end in _END.finditer(text)]
    return text[ends[-1] :] if ends else text


def after(match: re.Match[str], reach: int = REACH) -> str:
    """What of its sentence stands after `match`."""
    return _END.split(match.string[match.end() : match.end() + reach], maxsplit=1)[0]


def line(match: re.Match[str], reach: int) -> str:
    """The line of `match`, cut at `reach` characters to each side: dictated notes are one line for many sentences."""
    text = match.string
    start, end = max(0, match.start() - reach), min(len(text), match.end() + reach)
    start = max(start, text.rfind("\n", start, match.start()) + 1)
    newline = text.find("\n", match.end(), end)
    return text[start : end if newline < 0 else newline]
