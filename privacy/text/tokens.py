# SPDX-License-Identifier: Apache-2.0
"""Words of a text, as name rules and propagation see them."""

from __future__ import annotations

import re
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


def tokens_of(text: str) -> list[Token]:
    """The words of `text`, in order."""
    found = []
    for match in _WORD.finditer(text):
        start, end, word = match.start(), match.end(), match.group()
        capital = word[0].isupper()
        own = end - 2 if word.endswith(("'s", "'S")) and len(word) > 2 else end
        shouted = initial = False
        if capital and text[start:own].isupper():
            shouted, initial = own - start > 1, own - start == 1
        lower = plain(word)
        found.append(Token(start, end, own, word, lower, capital, shouted, initial, lower in PARTICLES and not shouted))
    return found


def is_eponym(text: str, tokens: list[Token], index: int) -> bool:
    """Whether the word names a disease, sign or device: it stands right before a clinical noun ("Foley catheter")."""
    if index + 1 >= len(tokens):
        return False
    between = text[tokens[index].end : tokens[index + 1].start]
    return between in JOINS and tokens[index + 1].plain in words("clinical_nouns")
