# SPDX-License-Identifier: Apache-2.0
"""What the model reads at once: a line, or a part of a long one. This isolation is the defined meaning of recognition.

A segment's labels follow from its own characters and from nothing else, so that a cache by segment is exact: notes
repeat boilerplate. Hard-wrapped lines are joined, since a name may stand across the wrap; a long line is cut between
sentences. Segments are disjoint, in order, and hold every character that is no white space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 400
"""Characters in a segment, and so at most as many word pieces: fewer than the model has positions."""

WRAPPED = 60
"""A line of at least so many characters that ends in no sentence mark goes on in the next line."""

_LINE = re.compile(r"[^\n]+")
_SENTENCE = re.compile(r"[.!?;:][\"')\]]*\s+")
_SPACE = re.compile(r"\s+")
_CLOSED = (".", "!", "?", ":", ";")


def segments(text: str) -> Iterator[tuple[int, int]]:
    """The segments of `text` as (start, end), without white space around them."""
    for start, end in _paragraphs(text):
        yield from _pieces(text, start, end)


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Lines without the white space around them, wrapped ones joined."""
    held: tuple[int, int] | None = None
    for match in _LINE.finditer(text):
        line = _stripped(text, *match.span())
        if line is None:
            continue
        if held is not None and _goes_on(text, held, match.start()):
            held = held[0], line[1]
        else:
            if held is not None:
                yield held
            held = line
    if held is not None:
        yield held


def _goes_on(text: str, held: tuple[int, int], following: int) -> bool:
    last = text.rfind("\n", held[0], held[1]) + 1 or held[0]
    gap = text[held[1] : following]
    return held[1] - last >= WRAPPED and gap.count("\n") == 1 and text[held[1] - 1] not in _CLOSED


def _stripped(text: str, start: int, end: int) -> tuple[int, int] | None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > LONGEST:
        cut = _cut(text, start)
        piece = _stripped(text, start, cut)
        if piece is not None:
            yield piece
        rest = _stripped(text, cut, end)
        if rest is None:
            return
        start = rest[0]
    yield start, end


def _cut(text: str, start: int) -> int:
    """Where a long line is cut: after the last sentence that fits, else at the last space, else at the limit."""
    for pattern, least in ((_SENTENCE, LONGEST // 4), (_SPACE, 1)):
        ends = [match.end() for match in pattern.finditer(text, start, start + LONGEST) if match.end() - start >= least]
        if ends:
            return ends[-1]
    return start + LONGEST
