# SPDX-License-Identifier: Apache-2.0
"""Probabilities of word pieces to spans of whole words.

A word is found when the probability of "nothing" of its least certain piece lies below the word's threshold: recall
first. Its label is the likeliest of its pieces together. Words of one label that follow each other without a break are
one span.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from privacy.text.tagger.network import LABELS

MARGIN: Final = 1e-4
"""A decision nearer than this to its tipping point is called close. Floating-point noise between two ways to compute
the same probabilities (other rows in the batch, another instruction set) is some hundred times smaller."""

_WORD = re.compile(r"\w+|[^\w\s]")
_LEADING = frozenset(",;:.!?-–/|\"'()[]<>=*&•#")
_TRAILING = frozenset(",;:!?-–/|\"'([<>=*&•")
_SCORES = 10


@dataclass(frozen=True, slots=True)
class Span:
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


def decode(
    segment: str,
    offsets: Sequence[tuple[int, int]],
    probabilities: NDArray[np.float32],
    threshold: Callable[[str], float],
) -> tuple[list[Span], bool]:
    """The spans in `segment`, and whether any decision was close.

    `probabilities` has shape (pieces, OUTPUTS); a word is found if its probability of O lies below its `threshold`.
    """
    spans: list[Span] = []
    open_label, close, at = "", False, 0
    for match in _WORD.finditer(segment):
        start, end = match.span()
        pieces = []
        while at < len(offsets) and offsets[at][0] < end:
            if offsets[at][1] > start:
                pieces.append(at)
            at += 1
        if not pieces:
            continue
        word = _decide(probabilities[pieces], threshold(match.group()))
        close |= word.close
        if not word.label:
            open_label = ""
            continue
        if word.label == open_label and not (word.begins and segment[spans[-1].end : start]):
            spans[-1] = Span(spans[-1].start, end, word.label, max(spans[-1].score, word.score))
        else:
            spans.append(Span(start, end, word.label, word.score))
        open_label = word.label
    return [kept for span in spans if (kept := _trimmed(segment, span)) is not None], close


def _decide(probabilities: NDArray[np.float32], threshold: float) -> _Word:
    nothing = float(probabilities[:, 0].min())
    near = abs(nothing - threshold) < MARGIN
    if nothing >= threshold:
        return _Word("", False, 0.0, near)
    together = probabilities[:, 1::2].sum(0) + probabilities[:, 2::2].sum(0)
    second, best = np.argsort(together)[-2:]
    begin, inside = float(probabilities[0, 1 + 2 * best]), float(probabilities[0, 2 + 2 * best])
    tenths = (1.0 - nothing) * _SCORES
    near |= bool(together[best] - together[second] < MARGIN) or abs(begin - inside) < MARGIN
    near |= abs(tenths - round(tenths)) < MARGIN * _SCORES
    return _Word(LABELS[best], begin > inside, int(tenths) / _SCORES, near)


def _trimmed(segment: str, span: Span) -> Span | None:
    """The span without marks at its ends that belong to no name; None where nothing is left."""
    start, end = span.start, span.end
    while start < end and (segment[start] in _LEADING or segment[start].isspace()):
        start += 1
    while end > start and (segment[end - 1] in _TRAILING or segment[end - 1].isspace()):
        end -= 1
    if end > start and segment[end - 1] in ")]" and not any(c in "([" for c in segment[start:end]):
        end -= 1
    return Span(start, end, span.label, span.score) if any(c.isalnum() for c in segment[start:end]) else None
