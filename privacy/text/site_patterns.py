# SPDX-License-Identifier: Apache-2.0
"""Patterns that a site writes for its own numbers: cheap to match on any text, or refused at once."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}|\?")
_MAX_CHOICES = 10_000


def _check_site_pattern(pattern: str) -> str:
    """A pattern with bounded repetition only: its cost on any text is bounded, whatever the text.

    Allowed: literals, classes, alternation, `(?:...)`, `?`, `{n}`, `{m,n}`. Refused: `*`, `+`, `{n,}`, a repeated
    group, look-around, back-references, flags, and anything that matches the empty string or fewer than three
    characters.
    """
    outside = re.sub(r"\[(?:\\.|[^\]\\])+\]", "C", re.sub(r"\\[^dDwWsSbBAZ1-9]", "L", pattern))
    if re.search(r"[*+]", outside):
        raise ValueError("unbounded repetition is refused: write {m,n}")
    if re.search(r"\(\?(?!:)|\\[1-9]", outside):
        raise ValueError("look-around, flags, named groups and back-references are refused")
    if re.search(r"\)\s*[{?]", outside):
        raise ValueError("a repeated group is refused: repeat a character or a class")
    choices = 1
    for low, high in _repeats(outside):
        if high > 64:
            raise ValueError("a repetition is bounded by 64")
        choices *= high - low + 1
    if choices > _MAX_CHOICES:
        raise ValueError("too many variable repetitions: the pattern could be slow on some texts")
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError("not a valid regular expression") from error
    if any(compiled.fullmatch(probe) for probe in ("", "1", "a", "A", "-", "12", "ab", "AB")):
        raise ValueError("the pattern must not match fewer than three characters")
    return pattern


def _repeats(pattern: str) -> list[tuple[int, int]]:
    repeats = []
    for match in _REPEAT.finditer(pattern):
        if pattern[: match.start()].endswith("(") or match.group().startswith("?"):
            low, high = (0, 1) if not pattern[: match.start()].endswith("(") else (0, 0)
        else:
            low = int(match.group(1))
            if match.group(2) == "":
                raise ValueError("unbounded repetition is refused: write {m,n}")
            high = low if match.group(2) is None else int(match.group(2))
        repeats.append((low, high))
    return repeats


SitePattern = Annotated[str, Field(min_length=3, max_length=200), AfterValidator(_check_site_pattern)]
"""A regular expression of a site's own number format, cheap to match on any text."""
