# SPDX-License-Identifier: Apache-2.0
"""Words of a text as the name recognizer sees them."""

from __future__ import annotations

import re
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Token:
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
        own = end - 2 if word.endswith(("'s", "'S")) and len(word) > 2 else end
        body = text[start:own]
        found.append(
            Token(
                start,
                end,
                own,
                word,
                plain(word),
                capital=word[0].isupper(),
                shouted=len(body) > 1 and body.isupper(),
                initial=len(body) == 1 and body.isupper(),
                particle=word.lower() in PARTICLES and not word.isupper(),
            )
        )
    return found
