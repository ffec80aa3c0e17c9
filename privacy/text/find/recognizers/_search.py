# SPDX-License-Identifier: Apache-2.0
"""The matches of many patterns in one text: the same as `finditer`'s, looked for only where one can begin.

Most patterns begin with a label, a capital or a digit. Where runs of letters, runs of digits and signs begin in a text
is read once for all patterns, with the characters that stand there, and a pattern is tried at those of its own
beginnings alone (`_first_sets`). A pattern that may begin anywhere is run as it is. What is known of the last texts is
kept in memory alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from privacy.text.find.recognizers._first_sets import LONGEST, WILD, first_set, symbols

_HEAD = re.compile(r"[A-Za-z]+|[0-9]+|[^A-Za-z0-9 ]")


class _Heads(NamedTuple):
    """Where each beginning stands in a text, and the places of which nothing is known."""

    places: Mapping[str, Sequence[int]]
    known: frozenset[str]
    wild: Sequence[int]


@lru_cache(2)
def _heads(text: str) -> _Heads:
    first, later = symbols(text)
    whole: dict[str, list[int]] = {}
    for match in _HEAD.finditer(first):
        at = match.start()
        whole.setdefault(first[at] + later[at + 1 : at + LONGEST], []).append(at)
    places: dict[str, list[int]] = {}
    for beginning, found in whole.items():
        for length in range(1, len(beginning) + 1):
            places.setdefault(beginning[:length], []).extend(found)
    wild = [at for beginning, found in whole.items() if WILD in beginning for at in found] if WILD in first else []
    return _Heads(places, frozenset(places), wild)


class PatternSearch:
    """Looks for `patterns`, known by their number."""

    def __init__(self, patterns: Sequence[re.Pattern[str]]) -> None:
        self._patterns = tuple(patterns)
        first_sets = [first_set(pattern) for pattern in patterns]
        self._anywhere = frozenset(number for number, begun in enumerate(first_sets) if begun is None)
        self._numbers: dict[str, list[int]] = {}
        for number, begun in enumerate(first_sets):
            for beginning in begun or ():
                self._numbers.setdefault(beginning, []).append(number)
        self._known = frozenset(self._numbers)

    def matches(self, text: str) -> Iterator[tuple[int, Iterator[re.Match[str]]]]:
        """Of each pattern that may match, its number and its matches, as `finditer` gives them, in order."""
        heads = _heads(text)
        places: dict[int, list[Sequence[int]]] = {}
        for beginning in self._known & heads.known:
            for number in self._numbers[beginning]:
                places.setdefault(number, [heads.wild]).append(heads.places[beginning])
        for number, pattern in enumerate(self._patterns):
            if number in self._anywhere:
                yield number, pattern.finditer(text)
            elif number in places or heads.wild:
                yield number, _at(pattern, text, places.get(number, [heads.wild]))


def _at(pattern: re.Pattern[str], text: str, places: Iterable[Sequence[int]]) -> Iterator[re.Match[str]]:
    """The matches that begin at `places`, none inside another: those of `finditer` if it has no others."""
    match_at, end = pattern.match, 0
    for place in sorted(chain.from_iterable(places)):
        if place >= end and (match := match_at(text, place)) is not None:
            yield match
            end = match.end()
