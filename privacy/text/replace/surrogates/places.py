# SPDX-License-Identifier: Apache-2.0
"""Surrogates of places and organisations: names from the packaged lists, in the shape of what was found.

Kept are words that say what kind of thing it is (Hospital, Street, Ltd: the list `kinds_of_place`) and small joining
words; each run of other words becomes one invented name, state codes become other codes, numbers other numbers
of the same length. Nothing else is kept, not even an initial. A finding with nothing to replace, or with foreign
characters, gets a tag.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

from privacy.text import lists
from privacy.text.lists import plain
from privacy.text.replace.surrogates.keyed import UnitKey
from privacy.text.replace.surrogates.numbers import scrambled

STATES = (
    "AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DE", "FL", "GA", "HI", "ID", "IL", "IN", "IA", "KS", "KY", "LA",
    "ME", "MD", "MA", "MI", "MN", "MS", "MO", "MT", "NE", "NV", "NH", "NJ", "NM", "NY", "NC", "ND", "OH", "OK",
    "OR", "PA", "RI", "SC", "SD", "TN", "TX", "UT", "VT", "VA", "WA", "WV", "WI", "WY", "DC", "PR",
)  # fmt: skip
JOINING = frozenset(
    (
        "of", "and", "the", "in", "at", "on", "for", "de", "la", "le", "du", "des", "der", "die", "das", "del",
        "di", "da", "von", "van", "y",
    )
)  # fmt: skip
_TOKEN = re.compile(r"(?P<number>\d+)|(?P<word>[^\W\d_]+(?:['-][^\W\d_]+)*)")
_BETWEEN = frozenset(" \t\r\n.,;:'-()/&#\"")
_ORDINALS = frozenset(("st", "nd", "rd", "th"))
_BEHIND_STATE = re.compile(r"[,.\s]*(?:\d|$)")


def write(key: UnitKey, entity_type: str, text: str) -> str | None:
    """An invented place or organisation in the shape of `text` (folded by `view`); None if none can be made."""
    if not _BETWEEN.issuperset(_TOKEN.sub("", text)):
        return None
    tokens = [(match, _kind(match, text)) for match in _TOKEN.finditer(text)]
    if all(kind == "kept" for _, kind in tokens):
        return None
    pieces: list[str] = []
    position = index = 0
    while index < len(tokens):
        last = _end_of_run(text, tokens, index)
        start, end, kind = tokens[index][0].start(), tokens[last][0].end(), tokens[index][1]
        written = _stand_in(key, entity_type, text[start:end], kind)
        if written is None:
            return None
        pieces += (text[position:start], written)
        position, index = end, last + 1
    return "".join([*pieces, text[position:]])


def _kind(match: re.Match[str], text: str) -> str:
    word = match.group()
    if match.group("number"):
        return "number"
    if word in STATES and not text.isupper():
        return "state"
    if _ends_ordinal(match, text) or plain(word) in lists.words("kinds_of_place") or word in JOINING:
        return "kept"
    return "state" if word in STATES and _BEHIND_STATE.match(text, match.end()) else "name"


def _ends_ordinal(match: re.Match[str], text: str) -> bool:
    """The "th" of "5th Avenue"."""
    return match.group().lower() in _ORDINALS and text[max(0, match.start() - 1) : match.start()].isdigit()


def _end_of_run(text: str, tokens: list[tuple[re.Match[str], str]], index: int) -> int:
    """The last token of the name that begins at `index`: words of a name that only white space parts are one name."""
    last = index
    while (
        tokens[index][1] == "name"
        and last + 1 < len(tokens)
        and tokens[last + 1][1] == "name"
        and not text[tokens[last][0].end() : tokens[last + 1][0].start()].strip()
    ):
        last += 1
    return last


def _stand_in(key: UnitKey, entity_type: str, words: str, kind: str) -> str | None:
    if kind == "kept":
        return words
    if kind == "number":
        return scrambled(key, "LOCATION", words)
    if kind == "state":
        others = [state for state in STATES if state != words]
        return others[key.choices("LOCATION", words).below(len(others))]
    return _name(key, entity_type, words)


def _name(key: UnitKey, entity_type: str, words: str) -> str:
    own = {plain(word) for word in words.split()}
    pool = _towns("several") if len(own) > 1 else _towns("one") if entity_type == "LOCATION" else _firms()
    start = key.choices(entity_type, " ".join(plain(word) for word in words.split())).below(len(pool))
    chosen = next(place for place in (*pool[start:], *pool[:start]) if own.isdisjoint(map(plain, place.split())))
    if words.isupper() and len(words) > 1:
        return chosen.upper()
    return chosen.lower() if words.islower() else chosen


@cache
def _firms() -> tuple[str, ...]:
    """Words that companies call themselves, and towns of one word."""
    firms = tuple(word for word in lists.entries("company_words") if word.isascii() and word.isalpha())
    return (*firms, *_towns("one"))


@cache
def _towns(size: Literal["one", "several"]) -> tuple[str, ...]:
    """Towns of letters and spaces alone, without words that say a kind of place: of one word, or of several."""
    barred = lists.no_name() | lists.words("kinds_of_place")
    of_size = (town for town in lists.entries("places") if (" " in town) == (size == "several"))
    return tuple(town for town in of_size if _is_simple(town) and not _speaks(town, barred))


def _is_simple(town: str) -> bool:
    return town.isascii() and town.replace(" ", "").isalpha() and len(town) > 3


def _speaks(town: str, barred: frozenset[str]) -> bool:
    """Whether one of its words is a short or an ordinary one."""
    return any(len(word) <= 2 or plain(word) in barred for word in town.split())
