# SPDX-License-Identifier: Apache-2.0
"""The word lists of this room, packaged in `data/`: what recognizers look up, and what invented texts are made of.

Two kinds. Lists of single words in lower case without accents, for look-ups (`words`): `first_names`, `surnames` and
`ordinary_words` are derived from Faker (`derive`); `function_words`, `plain_words`, `eponyms`, `clinical_nouns` and
`kinds_of_place` are hand-written. Lists of entries in natural spelling, one a line (`entries`): `female`, `male`,
`family` and `places` are derived from Faker as well, the others are hand-written. A plain word is no name by itself,
yet it is masked after a title or a first name, or where the document has shown it to be somebody's name. No list was
taken from evaluation data.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib import resources


def plain(word: str) -> str:
    """`word` in lower case, without accents and without a possessive ending: the form in which words are looked up."""
    lower = word.lower().removesuffix("'s")
    if lower.isascii():
        return lower
    letters = (c for c in unicodedata.normalize("NFD", lower) if not unicodedata.combining(c))
    return "".join(letters)


@cache
def words(name: str) -> frozenset[str]:
    """The words of one of the lists in `data/`, by the name of its file."""
    return frozenset(_read(name).split())


@cache
def entries(name: str) -> tuple[str, ...]:
    """The entries of one of the lists in `data/`, in the order of the file: they may hold spaces."""
    return tuple(line for line in _read(name).split("\n") if line)


def _read(name: str) -> str:
    return (resources.files("privacy.text.lists") / "data" / f"{name}.txt").read_text(encoding="utf-8")


@cache
def no_name() -> frozenset[str]:
    """Words that are no name by themselves."""
    return words("function_words") | words("plain_words") | words("ordinary_words")
