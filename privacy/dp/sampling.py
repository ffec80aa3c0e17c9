# SPDX-License-Identifier: Apache-2.0
"""Poisson sampling of privacy units: each unit joins each step by itself with probability sample_rate.

The accountant's amplification holds for exactly this sampling, under a seed that nobody outside the site knows. A
patient who is drawn brings up to k notes, chosen without replacement for that step, whose summed gradient is clipped as
one: so k = 1 accounting is exact for every k (Charles et al., arXiv 2407.07737, user-level sampling). With k = 1
clipping a row is clipping a patient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import numpy as np

from privacy.dp.keystream import KeyStream
from privacy.errors import ContractError
from privacy.randomness import SecretSeed


class PoissonUnits:
    """An endless iterator of steps, each the sorted row indices of one logical batch; an empty draw is [].

    `units[i]` holds the rows of unit i: one row for a record, all notes for a patient. No row is in two units. Of a
    drawn unit `notes_per_unit` rows join, or all where there are fewer.
    """

    def __init__(
        self, seed: SecretSeed, units: Sequence[Sequence[int]], sample_rate: str | Decimal, notes_per_unit: int = 1
    ) -> None:
        rate = Decimal(sample_rate)
        if not 0 < rate <= 1:
            raise ContractError("sample_rate must be above 0 and at most 1")
        rows = [row for unit in units for row in unit]
        if len(set(rows)) != len(rows) or not all(len(unit) for unit in units):
            raise ContractError("every privacy unit needs at least one row, and no row is in two units")
        if notes_per_unit < 1:
            raise ContractError("a drawn unit brings at least one row")
        self._units, self._most = units, notes_per_unit
        self._threshold = int(rate * (1 << 64))
        self._membership = KeyStream(seed, "membership")
        self._choice = KeyStream(seed, "choice")

    def __iter__(self) -> Iterator[list[int]]:
        return self

    def __next__(self) -> list[int]:
        return sorted(row for rows in self.draw() for row in rows)

    def draw(self) -> list[list[int]]:
        """The next step: the rows that each drawn unit brings, in the units' order."""
        words = self._membership.words(len(self._units))
        if self._threshold >= 1 << 64:
            drawn = np.arange(words.size)
        else:
            drawn = np.flatnonzero(words < np.uint64(self._threshold))
        return [self._rows(self._units[index]) for index in drawn.tolist()]

    def _rows(self, unit: Sequence[int]) -> list[int]:
        """Uniform without replacement: the first steps of a Fisher-Yates shuffle."""
        left = list(unit)
        if len(left) <= self._most:
            return left
        return [left.pop(self._choice.below(len(left))) for _ in range(self._most)]
