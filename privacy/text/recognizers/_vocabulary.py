# SPDX-License-Identifier: Apache-2.0
"""The word lists of the name recognizer, packaged in `data/`, one word a line, lower-case, without accents.

`first_names`, `surnames` and `ordinary_words` are derived from Faker (`_derive_name_lists`); `function_words`,
`plain_words`, `eponyms` and `clinical_nouns` are hand-written. A plain word is no name by itself, yet it is masked
after a title or a first name, or where the document has shown it to be somebody's name.
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
def packaged(name: str) -> frozenset[str]:
    """One of the lists in `data/`, by the name of its file."""
    file = resources.files("privacy.text.recognizers") / "data" / f"{name}.txt"
    return frozenset(file.read_text(encoding="utf-8").split())


@cache
def no_name() -> frozenset[str]:
    """Words that are no name by themselves."""
    return packaged("function_words") | packaged("plain_words") | packaged("ordinary_words")
