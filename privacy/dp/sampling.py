# SPDX-License-Identifier: Apache-2.0
"""Poisson sampling of privacy units: each unit joins each step by itself with probability sample_rate.

The accountant's amplification holds for exactly this sampling, under a seed that nobody outside the site knows. A
patient who is drawn brings ONE note, uniformly chosen for that step: then clipping a row is clipping a patient, and k
= 1 accounting is exact (Charles et al., arXiv 2407.07737, user-level sampling).
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

    `units[i]` holds the rows of unit i: one row for a record, all notes for a patient. No row is in two units.
    """

    def __init__(self, seed: SecretSeed, units: Sequence[Sequence[int]], sample_rate: str | Decimal) -> None:
        rate = Decimal(sample_rate)
        if not 0 < rate <= 1:
            raise ContractError("sample_rate must be above 0 and at most 1")
        rows = [row for unit in units for row in unit]
        if len(set(rows)) != len(rows) or not all(len(unit) for unit in units):
            raise ContractError("every privacy unit needs at least one row, and no row is in two units")
        self._units = units
        self._threshold = int(rate * (1 << 64))
        self._membership = KeyStream(seed, "membership")
        self._choice = KeyStream(seed, "choice")

    def __iter__(self) -> Iterator[list[int]]:
        return self

    def __next__(self) -> list[int]:
        words = self._membership.words(len(self._units))
        if self._threshold >= 1 << 64:
            drawn = np.arange(words.size)
        else:
            drawn = np.flatnonzero(words < np.uint64(self._threshold))
        return sorted(self._row(self._units[index]) for index in drawn.tolist())

    def _row(self, unit: Sequence[int]) -> int:
        return unit[0] if len(unit) == 1 else unit[self._choice.below(len(unit))]
