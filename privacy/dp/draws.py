# SPDX-License-Identifier: Apache-2.0
"""Draws that belong to a unit: words that follow from a secret, a unit's name, the step and a place, and nothing else.

One unit more or less changes no other unit's draws, and neither does the order of the rows, the physical batch or its
padding: with the same seed two neighbouring data sets differ by what the one unit adds, even for whoever knows the seed
(ADR 24). Sampling, dropout and the hiding of word pieces all draw from here; torch's generators draw nothing.

A word is a part of E(E(E(tag) ^ first) ^ second), with E AES-256 under a key of its own for each purpose: CBC-MAC of a
fixed number of blocks, so that distinct inputs have independent words (Bellare, Kilian, Rogaway, JCSS 2000).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from privacy.base.errors import ContractError
from privacy.base.randomness import Purpose, SecretSeed
from privacy.dp.keystream import BlockKey, Words

Tags = npt.NDArray[np.uint64]
"""The names of units as AES blocks, (units, 2): distinct, and independent of which other units there are."""

_SITE_BITS, _PLACE_BITS = 40, 32


def tags_of(names: Sequence[bytes]) -> Tags:
    """The tags of distinct names: their BLAKE2b hashes of 128 bits. Raises ContractError where a name comes twice."""
    if len(set(names)) != len(names):
        raise ContractError("two privacy units have one name: their draws would be the same")
    hashes = b"".join(blake2b(name, digest_size=16).digest() for name in names)
    return np.frombuffer(hashes, "<u8").astype(np.uint64).reshape(-1, 2)


def tags_by_place(count: int) -> Tags:
    """Tags for units that have no name but their place: rows that are invented, or that never leave or join."""
    return np.stack([np.arange(count, dtype=np.uint64), np.zeros(count, np.uint64)], axis=1)


def numbered(names: Iterable[bytes]) -> list[bytes]:
    """Each name with how often it came before: rows that are the same in all they hold may stand for each other."""
    repeats: dict[bytes, int] = {}
    distinct = []
    for name in names:
        repeats[name] = repeats.get(name, -1) + 1
        distinct.append(name + repeats[name].to_bytes(8, "big"))
    return distinct


class UnitWords:
    """The words of each unit under one seed. `purpose` is that of the seed's own derivation."""

    def __init__(self, seed: SecretSeed, purpose: Purpose, tags: Tags) -> None:
        self._key = BlockKey(seed, purpose)
        self._bases = self._key.encrypt(tags)

    def of_all(self, first: int) -> Words:
        """What the words of every unit at `first` start from, (units, 2): random numbers themselves."""
        return self._key.encrypt(_marked(self._bases, np.uint64(first)))

    def bases(self, units: npt.NDArray[np.intp], first: npt.NDArray[np.uint64]) -> Words:
        """What the words of `units` at `first` (units,) start from, (units, 2)."""
        return self._key.encrypt(_marked(self._bases[units], first))

    def words(self, bases: Words, second: npt.NDArray[np.uint64]) -> Words:
        """Two words for each base (n, 2) at each of `second` (m,): (n, m, 2)."""
        count = len(second)
        return self._key.encrypt(_marked(np.repeat(bases, count, 0), np.tile(second, len(bases)))).reshape(-1, count, 2)


def _marked(blocks: Words, marks: npt.NDArray[np.uint64] | np.uint64) -> Words:
    """Copies of the blocks with a number mixed into the second half."""
    marked = blocks.copy()
    marked[:, 1] ^= marks
    return marked


class RowDraws:
    """The draws of rows in training: a row is named by its unit and its place among the rows of that unit."""

    def __init__(self, seed: SecretSeed, units: Sequence[Sequence[int]], tags: Tags) -> None:
        self._seed, self._units, self._tags = seed, units, tags

    @cached_property
    def _words(self) -> UnitWords:
        return UnitWords(self._seed, "rows", self._tags)

    @cached_property
    def _places(self) -> dict[int, tuple[int, int]]:
        return {row: (unit, place) for unit, rows in enumerate(self._units) for place, row in enumerate(rows)}

    def of(self, step: int, rows: Sequence[int]) -> BatchDraws:
        """The draws of a physical batch of `rows` in a step. Nothing is computed before it is asked for."""
        return BatchDraws(self, step, rows)

    def bases(self, step: int, rows: Sequence[int]) -> tuple[UnitWords, Words]:
        """The stream, and what the rows' words start from."""
        places = np.array([self._places[row] for row in rows], np.int64).reshape(-1, 2)
        first = np.uint64(step << _PLACE_BITS) | places[:, 1].astype(np.uint64)
        return self._words, self._words.bases(places[:, 0], first)


class BatchDraws:
    """Uniform 32-bit words for the rows of one physical batch in one step. `site` tells the places of use apart."""

    HIDING = 0
    """The site of masked-language modelling; layers with dropout count from 1 in the order in which they run."""

    def __init__(self, rows: RowDraws, step: int, members: Sequence[int]) -> None:
        self._rows, self._step, self._members, self._site = rows, step, members, self.HIDING

    @cached_property
    def _started(self) -> tuple[UnitWords, Words]:
        return self._rows.bases(self._step, self._members)

    def words(self, site: int, count: int) -> npt.NDArray[np.uint32]:
        """`count` words a row, (rows, count). More of them begin with the same: padding to the right changes none."""
        stream, bases = self._started
        second = np.uint64(site << _SITE_BITS) | np.arange(-(-count // 4), dtype=np.uint64)
        return stream.words(bases, second).view(np.uint32).reshape(len(bases), -1)[:, :count]

    def next_site(self) -> int:
        """The next layer with dropout of this forward pass."""
        self._site += 1
        return self._site


_CURRENT: ContextVar[BatchDraws | None] = ContextVar("draws", default=None)


@contextmanager
def using(draws: BatchDraws) -> Iterator[None]:
    """While the batch is built and run forward, `current` gives these draws."""
    before = _CURRENT.set(draws)
    try:
        yield
    finally:
        _CURRENT.reset(before)


def current() -> BatchDraws:
    """The draws of the physical batch that runs now. Raises ContractError outside of training."""
    draws = _CURRENT.get()
    if draws is None:
        raise ContractError("dropout and hidden word pieces are drawn in training alone, under a site's secret")
    return draws
