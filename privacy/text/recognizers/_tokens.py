# SPDX-License-Identifier: Apache-2.0
"""Words of a text as the name recognizer sees them."""

from __future__ import annotations

import re
from typing import NamedTuple

from privacy.text.recognizers._vocabulary import plain

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
