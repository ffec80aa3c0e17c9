# SPDX-License-Identifier: Apache-2.0
"""Poisson sampling of privacy units: each unit joins each step by itself with probability sample_rate.

The accountant's amplification holds for exactly this sampling, under a seed that nobody outside the site knows. A
patient who is drawn brings up to k notes, chosen without replacement for that step, whose summed gradient is clipped as
one: so k = 1 accounting is exact for every k (Charles et al., arXiv 2407.07737, user-level sampling). With k = 1
clipping a row is clipping a patient. Whether a unit joins, and with which notes, follows from the seed, the step and
the unit's own name (privacy.dp.draws): one unit more changes no other's draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from privacy.base.errors import ContractError
from privacy.base.randomness import SecretSeed
from privacy.dp.draws import Tags, UnitWords, tags_by_place
from privacy.dp.keystream import Words

_AT_BITS = 16
"""Enough for the place of a note (privacy.dp.params.MAX_NOTES); above them stands how often a word was drawn again."""


class PoissonUnits:
    """An endless iterator of steps, each the sorted row indices of one logical batch; an empty draw is [].

    `units[i]` holds the rows of unit i: one row for a record, all notes for a patient. No row is in two units. Of a
    drawn unit `notes_per_unit` rows join, or all where there are fewer. `tags[i]` is the name of unit i; without them a
    unit is named by its place.
    """

    def __init__(
        self,
        seed: SecretSeed,
        units: Sequence[Sequence[int]],
        sample_rate: str | Decimal,
        notes_per_unit: int = 1,
        tags: Tags | None = None,
    ) -> None:
        rate, tags = Decimal(sample_rate), tags_by_place(len(units)) if tags is None else tags
        _check(rate, units, notes_per_unit, tags)
        self._units, self._most, self._step = [list(unit) for unit in units], notes_per_unit, 0
        self._long = np.array([len(unit) > notes_per_unit for unit in self._units], np.bool_)
        self._threshold = int(rate * (1 << 64))
        self._membership = UnitWords(seed, "membership", tags)
        self._choice = UnitWords(seed, "choice", tags)

    def __iter__(self) -> Iterator[list[int]]:
        return self

    def __next__(self) -> list[int]:
        return sorted(row for rows in self.draw() for row in rows)

    def draw(self) -> list[list[int]]:
        """The next step: the rows that each drawn unit brings, in the units' order."""
        step, self._step = self._step, self._step + 1
        drawn = self._drawn(step)
        rows = [self._units[index] for index in drawn.tolist()]
        long = np.flatnonzero(self._long[drawn])
        if len(long):
            bases = self._choice.bases(drawn[long], np.full(len(long), step, np.uint64))
            words = self._choice.words(bases, np.arange(self._most, dtype=np.uint64))[:, :, 0].tolist()
            for at, base, of_unit in zip(long.tolist(), bases, words, strict=True):
                rows[at] = self._chosen(rows[at], base, of_unit)
        return rows

    def _drawn(self, step: int) -> npt.NDArray[np.intp]:
        """The units whose word is below the threshold."""
        if self._threshold >= 1 << 64:
            return np.arange(len(self._units))
        return np.flatnonzero(self._membership.of_all(step)[:, 0] < np.uint64(self._threshold))

    def _chosen(self, rows: Sequence[int], base: Words, words: Sequence[int]) -> list[int]:
        """As many rows as there are words, uniform without replacement: the first steps of a Fisher-Yates shuffle."""
        remaining = list(rows)
        return [remaining.pop(self._below(word, base, at, len(remaining))) for at, word in enumerate(words)]

    def _below(self, word: int, base: Words, at: int, bound: int) -> int:
        """A uniform integer in [0, bound), without modulo bias: words above the largest multiple are drawn again."""
        limit, attempts = (1 << 64) - (1 << 64) % bound, 0
        while word >= limit:
            attempts += 1
            word = int(self._choice.words(base[None], np.array([attempts << _AT_BITS | at], np.uint64))[0, 0, 0])
        return word % bound


def _check(rate: Decimal, units: Sequence[Sequence[int]], notes_per_unit: int, tags: Tags) -> None:
    """Raises ContractError for what is no sampling of disjoint units that are named one by one."""
    if not 0 < rate <= 1:
        raise ContractError("sample_rate must be above 0 and at most 1")
    rows = [row for unit in units for row in unit]
    if len(set(rows)) != len(rows) or not all(len(unit) for unit in units):
        raise ContractError("every privacy unit needs at least one row, and no row is in two units")
    if notes_per_unit < 1:
        raise ContractError("a drawn unit brings at least one row")
    if tags.shape != (len(units), 2):
        raise ContractError("every privacy unit has one name")
