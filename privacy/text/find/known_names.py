# SPDX-License-Identifier: Apache-2.0
"""Names that a row's own columns hold, looked for in that row's text alone: the surest recognizer that a site has.

Rules: nothing crosses from one row to another, and nothing is cached, since the text alone does not tell these names. A
part of a name is found in any letter case, with initials, in a possessive or a compound; a part that is an ordinary
word, or has two letters, only where it is capitalised ("Young came", not "a young man"), and in capitals only beside
another part of a name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from privacy.text import lists
from privacy.text.reading.records import Finding
from privacy.text.reading.tokens import PARTICLES, Token, is_eponym, tokens_of
from privacy.text.reading.view import read

NAME = "known_names"
SCORE = 0.95

_JOINS = frozenset({" ", ", ", ",", "-", "  ", "\t", "_"})
_MAX_CHARACTERS = 200
_NO_PART = frozenset(
    [
        "mr", "mrs", "ms", "miss", "mx", "dr", "prof", "jr", "sr", "ii", "iii", "iv", "md", "rn", "wife",
        "husband", "spouse", "partner", "mother", "father", "son", "daughter", "brother", "sister", "aunt",
        "uncle", "cousin", "niece", "nephew", "grandmother", "grandfather", "grandson", "granddaughter", "friend",
        "neighbor", "neighbour", "guardian", "self", "same", "none", "unknown", "not", "known", "deceased", "and",
        "or", "the", "of", "na", "nil", "null", "nan",
    ]
)  # fmt: skip


def find_known_names(text: str, names: Iterable[str]) -> list[Finding]:
    """Every place in `text` where one of `names` or a part of one stands, in offsets of `text`; may overlap."""
    parts = {part for name in names for part in _parts(name)}
    if not parts:
        return []
    view = read(text)
    tokens = tokens_of(view.text)
    known = [not parts.isdisjoint(_keys(token)) for token in tokens]
    spans = (
        _with_neighbours(view.text, tokens, parts, index)
        for index, token in enumerate(tokens)
        if known[index] and (_beside(view.text, tokens, known, index) or _suffices(view.text, tokens, parts, index))
    )
    return [view.to_original(Finding(start, end, "PERSON", SCORE, NAME)) for start, end in spans]


def _parts(name: str) -> Iterator[str]:
    for token in tokens_of(read(name[:_MAX_CHARACTERS]).text):
        yield from (key for key in _keys(token) if len(key) >= 2 and key not in _NO_PART)


def _keys(token: Token) -> tuple[str, ...]:
    """The forms in which a word of the text or of a name is compared: whole, and the parts of a compound."""
    whole = token.plain.replace("'", "")
    return (whole, *whole.split("-")) if "-" in whole else (whole,)


def _beside(text: str, tokens: list[Token], known: list[bool], index: int) -> bool:
    """Whether another part of a name stands right before or after."""
    return any(
        0 <= other < len(tokens)
        and known[other]
        and not (tokens[index].plain in PARTICLES and tokens[other].plain in PARTICLES)
        and _between(text, tokens, min(index, other)) in _JOINS
        for other in (index - 1, index + 1)
    )


def _between(text: str, tokens: list[Token], index: int) -> str:
    return text[tokens[index].end : tokens[index + 1].start]


def _suffices(text: str, tokens: list[Token], parts: set[str], index: int) -> bool:
    """Whether the word counts without another part of a name beside it."""
    token = tokens[index]
    if token.plain in PARTICLES or is_eponym(text, tokens, index):
        return False
    if any(len(key) >= 3 and key not in lists.no_name() for key in parts.intersection(_keys(token))):
        return True
    return token.capital and not token.shouted


def _with_neighbours(text: str, tokens: list[Token], parts: set[str], index: int) -> tuple[int, int]:
    """The span of the word with the initials beside it: 'J. Q. Zorblatt', 'Zorblatt, J.'."""
    particles = PARTICLES & parts
    first = _leftmost(text, tokens, index, lambda token: token.plain in particles, (" ",))
    first = _leftmost(text, tokens, first, lambda token: token.initial, (" ", ".", ". "))
    return tokens[first].start, _end_with_initial(text, tokens, parts, index)


def _leftmost(
    text: str, tokens: list[Token], index: int, belongs: Callable[[Token], bool], joins: Collection[str]
) -> int:
    """The first of the words right before `index` that all belong to it, each joined to the next by one of `joins`."""
    while index > 0 and belongs(tokens[index - 1]) and _between(text, tokens, index - 1) in joins:
        index -= 1
    return index


def _end_with_initial(text: str, tokens: list[Token], parts: set[str], index: int) -> int:
    """Where the name ends: behind the initial after the word, if it is that of a part of the name."""
    token = tokens[index]
    if index + 1 == len(tokens) or token.name_end != token.end:
        return token.name_end
    after = tokens[index + 1]
    joined = after.initial and _between(text, tokens, index) in (" ", ", ", ",")
    return after.end if joined and after.plain in {part[0] for part in parts} else token.name_end
