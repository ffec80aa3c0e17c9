# SPDX-License-Identifier: Apache-2.0
"""How sure the model must be that a word is nothing: nearly, unless the word is an ordinary one in lower case.

An ordinary word is a whole word of the backbone's vocabulary that stands in no list of names, places or peoples. A
Bayesian would call this a prior; it is what lets the model be recall-first on names without masking prose.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from tokenizers import Tokenizer

from privacy.text import lists

REMEMBERED = 20_000
"""Words whose threshold is kept, in memory alone."""

SHORT = 4
"""Capitals that are an acronym rather than a name, digits that are a figure if there are fewer."""

_NAMED = ("female", "male", "family", "places", "cities", "countries", "regions", "nationalities", "religions")
_MONTHS = frozenset(
    ("january", "february", "april", "june", "july", "august", "september", "october", "november", "december")
)


@dataclass(frozen=True)
class Thresholds:
    """A word is found if its probability of being nothing lies below the threshold of its kind."""

    ordinary: float
    """Of an ordinary word in lower case."""
    strange: float
    """Of another word in lower case that no list of names holds, of short capitals, of letters with digits: terms."""
    capitalised: float
    """Of an ordinary word that is written with a capital."""
    number: float
    """Of up to three digits: rules know what may stand there, and figures are what medicine is made of."""
    other: float
    """Of every other word: listed names, strange words with a capital, years and longer numbers."""


class DecisionThresholds:
    """The threshold of each word."""

    def __init__(self, tokenizer: Tokenizer, thresholds: Thresholds) -> None:
        self._names = _names()
        self._ordinary = _ordinary(tokenizer)
        self._thresholds = thresholds
        self.threshold = lru_cache(REMEMBERED)(self._threshold)

    def _threshold(self, word: str) -> float:
        """What the probability of "nothing" of `word` must stay below for it to be found."""
        if word.isdigit() and len(word) < SHORT:
            return self._thresholds.number
        plain = lists.plain(word)
        if plain in self._names:
            return self._thresholds.other
        if plain in self._ordinary:
            return self._thresholds.ordinary if word.islower() else self._thresholds.capitalised
        return self._thresholds.strange if word.islower() or _is_code(word) else self._thresholds.other


def _is_code(word: str) -> bool:
    digits = sum(c.isdigit() for c in word)
    return (word.isupper() and len(word) <= SHORT) or 0 < digits < len(word) <= 2 * SHORT


def _ordinary(tokenizer: Tokenizer) -> frozenset[str]:
    known = {word for word in tokenizer.get_vocab() if len(word) >= 2 and word.isalpha()}
    return frozenset((known | lists.no_name()) - _names())


@cache
def _names() -> frozenset[str]:
    named = {lists.plain(word) for name in _NAMED for entry in lists.entries(name) for word in entry.split()}
    common = lists.words("function_words") | lists.words("ordinary_words")
    return frozenset((named | lists.words("first_names") | lists.words("surnames") | _MONTHS) - common)
