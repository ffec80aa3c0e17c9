# SPDX-License-Identifier: Apache-2.0
"""Gram matrices over a row's steps, made in blocks: what is symmetric is computed once.

From HALVED_FROM steps on the steps are cut into PARTS. On the diagonal stand PARTS small blocks; a block above it, of
two neighbouring halves at each level, counts twice. With four parts 5/8 of the products are left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

REMEMBERED = 2
"""Gram matrices that are kept: the one that neighbouring layers share, and the last."""

HALVED_FROM = 32
"""From so many steps on, what mirrors another part of a Gram matrix is not computed."""

PARTS = 4
"""A power of two."""

LEAST = 1e-30
"""A squared length that counts as at least so much where rounding is bounded: below it float32 begins to lose it, and
with a long factor beside it (1e-20 times 1e19) the product would be said to be 0."""

Compare = Callable[[Tensor, Tensor], Tensor]
"""Of (N, m, ...) and (N, n, ...) every pair of steps: (N, m, n)."""


@dataclass(frozen=True)
class Gram:
    """Symmetric matrices a a' (B, T, T): |a_t|^2 (B, T), and blocks (B, ...) with how often each counts."""

    diagonal: Tensor
    blocks: tuple[tuple[Tensor, int], ...]

    def inner(self, other: Gram) -> tuple[Tensor, Tensor]:
        """(sum over t, t' of the product, the same if nothing cancelled), each (B,).

        The second is (sum over t of |a_t| |b_t|) squared, from the diagonals: the first if all were aligned.
        """
        total = torch.stack(
            [times * (a * b).sum(1) for (a, times), (b, _) in zip(self.blocks, other.blocks, strict=True)]
        ).sum(0)
        lengths = (self.diagonal.clamp(min=LEAST) * other.diagonal.clamp(min=LEAST)).sqrt().sum(1)
        return total, lengths.square()


def gram(left: Tensor, right: Tensor, compare: Compare) -> Gram:
    """The Gram matrix of steps (B, T, ...), given twice so that the two sides may be marked differently."""
    rows, steps = left.shape[:2]
    parts = PARTS if steps >= HALVED_FROM else 1
    whole = steps - steps % parts
    sides = [side if whole == steps else side[:, :whole] for side in (left, right)]
    corners = compare(*(side.reshape(rows * parts, whole // parts, *side.shape[2:]) for side in sides))
    diagonals = [corners.diagonal(dim1=1, dim2=2).reshape(rows, whole)]
    blocks = [(corners.reshape(rows, -1), 1)]
    count = parts
    while count > 1:
        pairs = [side.reshape(rows * count // 2, 2, whole // count, *side.shape[2:]) for side in sides]
        blocks.append((compare(pairs[0][:, 0], pairs[1][:, 1]).reshape(rows, -1), 2))
        count //= 2
    if whole < steps:
        corner = compare(left[:, whole:], right[:, whole:])
        diagonals.append(corner.diagonal(dim1=1, dim2=2))
        blocks.append((corner.reshape(rows, -1), 1))
        blocks.append((compare(left[:, whole:], sides[1]).reshape(rows, -1), 2))
    return Gram(torch.cat(diagonals, 1), tuple(blocks))


def products(left: Tensor, right: Tensor) -> Tensor:
    """Compare by inner product."""
    return torch.bmm(left, right.transpose(1, 2))


@dataclass
class Grams:
    """The last Gram matrices of one batch: query, key and value share their input, embeddings their gradient."""

    made: dict[tuple[int, tuple[int, ...], tuple[int, ...]], tuple[Tensor, Gram]] = field(default_factory=dict)

    def of(self, rows: Tensor) -> Gram:
        """rows rows' of (B, T, d). `rows` is held, so that its address names it."""
        key = (rows.data_ptr(), tuple(rows.shape), tuple(rows.stride()))
        if key not in self.made:
            while len(self.made) >= REMEMBERED:
                del self.made[next(iter(self.made))]
            self.made[key] = (rows, gram(rows, rows, products))
        else:
            self.made[key] = self.made.pop(key)
        return self.made[key][1]
