# SPDX-License-Identifier: Apache-2.0
"""Choices drawn from a numpy generator, in batches, since a numpy call a choice is slow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
_BATCH = 256


class Rng:
    """A stream of choices fixed by `generator`. Uniform up to 2^-53: good for inventing text, not for privacy."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator
        self._drawn: list[float] = []

    def uniform(self) -> float:
        """A number in [0, 1)."""
        if not self._drawn:
            self._drawn = self._generator.random(_BATCH).tolist()
        return self._drawn.pop()

    def integer(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.uniform() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        return self.uniform() < probability

    def choose(self, options: Sequence[T]) -> T:
        return options[int(self.uniform() * len(options))]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """All of `options` in a random order (Fisher-Yates)."""
        order = list(options)
        for last in range(len(order) - 1, 0, -1):
            other = self.integer(0, last)
            order[last], order[other] = order[other], order[last]
        return order

    def digits(self, count: int) -> str:
        return "".join(self.choose("0123456789") for _ in range(count))

    def letters(self, count: int) -> str:
        """Capital letters that are not read as digits."""
        return "".join(self.choose("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(count))

    def shaped(self, shape: str) -> str:
        """`shape` with each # replaced by a digit, each @ by a capital letter and each ^ by either."""
        return "".join(
            self.choose("0123456789")
            if c == "#"
            else self.choose("ABCDEFGHJKLMNPRSTUVWXYZ")
            if c == "@"
            else self.choose("0123456789ABCDEFGHJKLMNPRSTUVWXYZ")
            if c == "^"
            else c
            for c in shape
        )
