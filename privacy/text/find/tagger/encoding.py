# SPDX-License-Identifier: Apache-2.0
"""Segments as the model sees them: word pieces of the packaged MiniLM, and the shape of the word that each belongs to.

The vocabulary is uncased; the shape says what it lost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from tokenizers import Tokenizer
from torch import Tensor

CLS, SEP, MASK, PAD = 101, 102, 103, 0
SHAPES = 8
"""0 no word, 1 lower, 2 Capital, 3 UPPER, 4 miXed, 5 digits, 6 one capital letter, 7 letters and digits."""

REMEMBERED = 20_000
"""Words whose shape is kept, in memory alone."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Encoded:
    """Word pieces of one segment: ids, shapes, and (start, end) of each in the segment's characters."""

    ids: tuple[int, ...]
    shapes: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]

    def window(self, start: int, end: int) -> Encoded:
        """The pieces from `start` up to `end`."""
        return Encoded(self.ids[start:end], self.shapes[start:end], self.offsets[start:end])


@lru_cache(REMEMBERED)
def shape_of(word: str) -> int:
    """The shape of a word: see SHAPES."""
    if any(c.isdigit() for c in word):
        return 5 if all(c.isdigit() for c in word) else 7
    if word.islower():
        return 1
    if word.isupper():
        return 6 if len(word) == 1 else 3
    return 2 if word[0].isupper() and word[1:].islower() else 4


def encode(tokenizer: Tokenizer, segment: str) -> Encoded:
    """The word pieces of `segment`, without the special ones at its ends."""
    encoding = tokenizer.encode(segment, add_special_tokens=False)
    words = [match.span() for match in _WORD.finditer(segment)]
    shapes: list[int] = []
    at = 0
    for start, _ in encoding.offsets:
        while at < len(words) and words[at][1] <= start:
            at += 1
        inside = at < len(words) and words[at][0] <= start
        shapes.append(shape_of(segment[slice(*words[at])]) if inside else 0)
    return Encoded(tuple(encoding.ids), tuple(shapes), tuple(encoding.offsets))


def batch(rows: Sequence[Encoded]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, shapes (both int64) and mask (bool, True at pieces), each of shape (rows, longest + 2)."""
    lengths = [len(row.ids) + 2 for row in rows]
    width = max(lengths)
    ids = torch.tensor(
        [(CLS, *row.ids, SEP, *(PAD,) * (width - length)) for row, length in zip(rows, lengths, strict=True)]
    )
    shapes = torch.tensor(
        [(0, *row.shapes, 0, *(0,) * (width - length)) for row, length in zip(rows, lengths, strict=True)]
    )
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    return ids, shapes, mask
