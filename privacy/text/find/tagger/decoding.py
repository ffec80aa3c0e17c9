# SPDX-License-Identifier: Apache-2.0
"""Probabilities of word pieces to spans of whole words.

A word is found when the probability of "nothing" of its least certain piece lies below the word's threshold: recall
first. Its label is the likeliest of its pieces together. Words of one label that follow each other without a break are
one span.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

import numpy as np
from numpy.typing import NDArray

from privacy.text.find.tagger.network import LABELS

MARGIN: Final = 1e-4
"""A decision nearer than this to its tipping point is called close. Floating-point noise between two ways to compute
the same probabilities (other rows in the batch, another instruction set) is far smaller in float32."""

_WORD = re.compile(r"\w+|[^\w\s]")
_LEADING = frozenset(",;:.!?-–/|\"'()[]<>=*&•#")
_TRAILING = frozenset(",;:!?-–/|\"'([<>=*&•")
_SCORES = 10
_NEVER = 1e-12
"""A score is one only where the probability of nothing is lost beside 1 (below 1e-16). Noise of a small probability is
relative to it, so that above this bound and near zero a score of 0.9 is not close to 1."""


@dataclass(frozen=True, slots=True)
class ScoredSpan:
    """Characters [start, end) of a segment are of `label`, with `score` in 0..1, in steps of a tenth."""

    start: int
    end: int
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class _Word:
    label: str
    begins: bool
    score: float
    close: bool
    may_begin: bool
    """Whether it was close that it begins a name, which matters only behind another word of its label."""


def decode(
    segment: str,
    offsets: Sequence[tuple[int, int]],
    probabilities: NDArray[np.float32],
    threshold: Callable[[str], float],
) -> tuple[list[ScoredSpan], bool]:
    """The spans in `segment`, and whether any decision was close.

    `probabilities` has shape (pieces, OUTPUTS); a word is found if its probability of O lies below its `threshold`.
    """
    spans: list[ScoredSpan] = []
    nothing: list[float] = probabilities[:, 0].tolist()
    beginning: list[list[float]] = probabilities[:, 1::2].tolist()
    inner: list[list[float]] = probabilities[:, 2::2].tolist()
    open_label, close = "", False
    for match, pieces in _words(segment, offsets):
        start, end = match.span()
        least = min(nothing[pieces])
        limit = threshold(match.group())
        close |= -MARGIN < least - limit < MARGIN
        if least >= limit:
            open_label = ""
            continue
        word = _called(beginning[pieces], inner[pieces], least)
        close |= word.close
        broken = word.label == open_label and segment[spans[-1].end : start] != ""
        close |= broken and word.may_begin
        if word.label == open_label and not (broken and word.begins):
            spans[-1] = ScoredSpan(spans[-1].start, end, word.label, max(spans[-1].score, word.score))
        else:
            spans.append(ScoredSpan(start, end, word.label, word.score))
        open_label = word.label
    return [trimmed for span in spans if (trimmed := _trimmed(segment, span)) is not None], close


def _words(segment: str, offsets: Sequence[tuple[int, int]]) -> Iterator[tuple[re.Match[str], slice]]:
    """Each word that has pieces of its own, and which ones."""
    at, last = 0, len(offsets)
    for match in _WORD.finditer(segment):
        first, end = at, match.end()
        while at < last and offsets[at][0] < end:
            at += 1
        if first < at:
            yield match, slice(first, at)


def _called(beginning: Sequence[Sequence[float]], inner: Sequence[Sequence[float]], nothing: float) -> _Word:
    """What a found word is: of each piece and label the probability that it begins a name, and that it stands in one.

    `nothing` is the least probability of O of its pieces.
    """
    totals = [float(sum(of_label)) for of_label in zip(*beginning, *inner, strict=True)]
    highest = max(totals)
    best = totals.index(highest)
    totals[best] = -1.0
    begin, inside = beginning[0][best], inner[0][best]
    tenths = (1.0 - nothing) * _SCORES
    near = highest - max(totals) < MARGIN
    near |= abs(tenths - round(tenths)) < MARGIN * _SCORES and not (_NEVER < nothing < 2 * MARGIN)
    return _Word(LABELS[best], begin > inside, int(tenths) / _SCORES, near, abs(begin - inside) < MARGIN)


def _trimmed(segment: str, span: ScoredSpan) -> ScoredSpan | None:
    """The span without marks at its ends that belong to no name; None where nothing is left."""
    words = segment[span.start : span.end]
    start = span.start + _marks(words, _LEADING)
    words = segment[start : span.end]
    words = words[: len(words) - _marks(reversed(words), _TRAILING)]
    if words.endswith((")", "]")) and "(" not in words and "[" not in words:
        words = words[:-1]
    return ScoredSpan(start, start + len(words), span.label, span.score) if any(map(str.isalnum, words)) else None


def _marks(characters: Iterable[str], marks: frozenset[str]) -> int:
    """How many of `characters` come before the first one that is neither white space nor one of `marks`."""
    return sum(1 for _ in takewhile(lambda c: c in marks or c.isspace(), characters))
