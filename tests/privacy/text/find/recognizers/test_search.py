# SPDX-License-Identifier: Apache-2.0
"""Looking only where a match can begin finds what `finditer` finds: for every pattern of ours, in any text."""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.text.find import recognizers
from privacy.text.find.recognizers._first_sets import first_set
from privacy.text.find.recognizers._rules import Rules
from privacy.text.find.recognizers._search import PatternSearch
from privacy.text.invent.notes import notes
from privacy.text.reading.view import BLANK
from privacy.text.settings import TextSettings


def searches(thing: object, depth: int = 4) -> list[PatternSearch]:
    """Every PatternSearch that a recognizer or a module holds."""
    if isinstance(thing, PatternSearch):
        return [thing]
    if depth == 0 or not (isinstance(thing, Rules | tuple | list) or hasattr(thing, "__dict__")):
        return []
    held = thing if isinstance(thing, tuple | list) else vars(thing).values()
    return [found for one in list(held) for found in searches(one, depth - 1)]


@cache
def patterns() -> tuple[re.Pattern[str], ...]:
    """All patterns that are looked for so, of the US and of other countries."""
    found: dict[tuple[str, int], re.Pattern[str]] = {}
    built = recognizers.build_all(TextSettings(countries=("US", "GB", "DE", "FR", "IT", "ES")))
    names = [info.name for info in pkgutil.iter_modules(recognizers.__path__)]
    modules = [importlib.import_module(f"{recognizers.__name__}.{name}") for name in names]
    for search in [*searches(list(built)), *(s for m in modules for v in vars(m).values() for s in searches(v, 2))]:
        for pattern in search._patterns:
            found[pattern.pattern, pattern.flags] = pattern
    return tuple(found.values())


def spans(pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    return [match.span() for match in pattern.finditer(text)]


def found_in(text: str) -> dict[int, list[tuple[int, int]]]:
    return {number: [match.span() for match in matches] for number, matches in PatternSearch(patterns()).matches(text)}


def check(text: str) -> int:
    found = found_in(text)
    for number, pattern in enumerate(patterns()):
        assert found.get(number, []) == spans(pattern, text), (pattern.pattern[:80], text)
    return sum(map(len, found.values()))


def test_most_patterns_are_looked_for_where_they_can_begin() -> None:
    assert len(patterns()) > 50
    assert sum(first_set(pattern) is not None for pattern in patterns()) > len(patterns()) / 2


def test_the_same_matches_in_generated_notes() -> None:
    assert sum(check(note.text) for note, *_ in notes(np.random.default_rng(41), 40)) > 1000


PIECES = [
    "Dr.",
    "Mrs",
    "MR",
    "patient:",
    "Name",
    "Lopez,",
    "Maria",
    "DOB",
    "3/14/2020",
    "March",
    "14th,",
    "2020",
    "MRN#",
    "12-345",
    "SSN",
    "123-45-6789",
    "(312)",
    "867-5309",
    "fax",
    "12",
    "Elm",
    "Street",
    "Apt",
    "4",
    "Springfield,",
    "IL",
    "62704",
    "P.O.",
    "Box",
    "9",
    "age",
    "92",
    "y/o",
    "male",
    "German",
    "nurse",
    "worked",
    "as",
    "a",
    "baker",
    "VIN",
    "plate",
    "UDI",
    "(01)00844588003288",
    "lot",
    "serial",
    "acct",
    "#",
    "policy",
    "no.",
    "H-12345",
    "$1,200",
    "Ward",
    "4B",
    "Room",
    "12",
    "x123",
    "http://a.b",
    "10.1.2.3",
    "née",
    "O'Brien-Smith",
]
ODD = (
    "\n",
    "\t",
    " ",
    " ",
    BLANK,
    "é",
    "ſ",
    "\u212a",
    "İ",
    "ß",
    "ж",
    "٣",
    "１",
    "-",
    "_",
    ".",
    "'",
    "’",
    "x",
    "Z",
    "7",
    "\u0301",
)
TEXTS = st.lists(
    st.tuples(st.sampled_from((*PIECES, *ODD)), st.sampled_from((" ", "", "\n", ", ", "é", "_"))), max_size=14
)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_the_same_matches_in_any_text(pieces: list[tuple[str, str]]) -> None:
    check("".join(piece + gap for piece, gap in pieces))


@pytest.mark.slow
@settings(max_examples=3000, deadline=None)
@given(TEXTS)
def test_the_same_matches_in_thousands_of_texts(pieces: list[tuple[str, str]]) -> None:
    check("".join(piece + gap for piece, gap in pieces))


EXPRESSIONS = (
    "(?i)k[a-z]+",
    "(?<![A-Za-z])dr",
    r"\bdr\b",
    "a|bc?d",
    "(?i:s)t",
    "[^a]b",
    r"\d+-\d",
    "(?:x|yz){2,}q",
    r"(?<=\d)m",
    "",
    "a*",
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(EXPRESSIONS), st.text("aAbBcdDrRksStxyzqm KſK0129-_\n" + BLANK, max_size=12))
def test_any_kind_of_expression_is_served(expression: str, text: str) -> None:
    pattern = re.compile(expression)
    found = [m.span() for _, matches in PatternSearch([pattern]).matches(text) for m in matches]
    assert found == spans(pattern, text)
