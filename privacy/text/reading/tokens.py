# SPDX-License-Identifier: Apache-2.0
"""Words of a text, as name rules and propagation see them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from privacy.text.lists import plain, words

JOINS = frozenset({" ", ". ", "-", "  "})
"""What may stand between two words of one name."""

PARTICLES = frozenset(
    (
        "van",
        "von",
        "de",
        "del",
        "della",
        "der",
        "den",
        "la",
        "le",
        "di",
        "da",
        "dos",
        "das",
        "al",
        "bin",
        "ben",
        "el",
        "ter",
        "zu",
        "av",
    )
)
REMEMBERED = 20_000
"""Words of which is kept what they look like, in memory alone, as are the words of the last texts."""

_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")


class Token(NamedTuple):
    """One word: `name_end` leaves out a possessive 's; `shouted`: all capitals; `initial`: one capital."""

    start: int
    end: int
    name_end: int
    text: str
    plain: str
    capital: bool
    shouted: bool
    initial: bool
    particle: bool


@lru_cache(2)
def tokens_of(text: str) -> list[Token]:
    """The words of `text`, in order. The list is shared by all who ask about the last texts: never write to it."""
    return [
        Token(match.start(), match.end(), match.start() + facts[0], word, *facts[1:])
        for match in _WORD.finditer(text)
        for word in (match.group(),)
        for facts in (_facts(word),)
    ]


@lru_cache(REMEMBERED)
def _facts(word: str) -> tuple[int, str, bool, bool, bool, bool]:
    """Its length without a possessive 's; and what follows `text` in its Token."""
    capital = word[0].isupper()
    own = len(word) - 2 if word.endswith(("'s", "'S")) and len(word) > 2 else len(word)
    shouted = initial = False
    if capital and word[:own].isupper():
        shouted, initial = own > 1, own == 1
    lower = plain(word)
    return own, lower, capital, shouted, initial, lower in PARTICLES and not shouted


def is_eponym(text: str, tokens: list[Token], index: int) -> bool:
    """Whether the word names a disease, sign or device: it stands right before a clinical noun ("Foley catheter")."""
    if index + 1 >= len(tokens):
        return False
    between = text[tokens[index].end : tokens[index + 1].start]
    return between in JOINS and tokens[index + 1].plain in words("clinical_nouns")
