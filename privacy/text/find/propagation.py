# SPDX-License-Identifier: Apache-2.0
"""What a text has shown to be somebody's name is a name everywhere in that text, and in no other.

The parts of a found PERSON that are no ordinary words are looked for in the whole text, in any letter case that keeps
them apart from words. Nothing crosses from one row to another: that would break the epsilon of a privacy unit.
"""

from __future__ import annotations

from collections.abc import Iterable

from privacy.text import lists
from privacy.text.reading.records import Finding
from privacy.text.reading.tokens import Token, is_eponym, tokens_of

SCORE = 0.6
NAME = "propagation"


def propagate(text: str, findings: Iterable[Finding]) -> set[Finding]:
    """Further findings: every other place where a part of a found PERSON stands as a capitalised word."""
    spans = sorted((f.start, f.end) for f in findings if f.entity_type == "PERSON")
    if not spans:
        return set()
    tokens = tokens_of(text)
    known = _known(tokens, spans)
    return {
        Finding(token.start, token.name_end, "PERSON", SCORE, NAME)
        for index, token in enumerate(tokens)
        if token.capital and _is_known(token, known) and not is_eponym(text, tokens, index)
    }


def _known(tokens: list[Token], spans: list[tuple[int, int]]) -> set[str]:
    return {token.plain for token in _inside(tokens, spans) if _spreads(token)}


def _is_known(token: Token, known: set[str]) -> bool:
    return not known.isdisjoint((token.plain, *token.plain.split("-")))


def _inside(tokens: list[Token], spans: list[tuple[int, int]]) -> Iterable[Token]:
    at = 0
    for token in tokens:
        while at < len(spans) and spans[at][1] <= token.start:
            at += 1
        if at < len(spans) and spans[at][0] <= token.start and token.name_end <= spans[at][1]:
            yield token


def _spreads(token: Token) -> bool:
    capital = token.capital and not token.particle and not token.initial
    return capital and len(token.plain) >= 3 and token.plain not in lists.no_name()
