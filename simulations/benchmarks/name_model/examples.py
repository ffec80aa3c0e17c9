# SPDX-License-Identifier: Apache-2.0
"""Training examples: segments of invented texts with a label for each word piece, in the states that real text is in.

Texts are joined, cut into segments as in use, and altered: all lower or upper case, letters swapped, punctuation set
apart or lost, names in lower case, words hidden so that the model leans on the context.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from tokenizers import Tokenizer

from privacy.text.find.tagger.encoding import MASK, Encoded, encode
from privacy.text.find.tagger.network import LABELS
from privacy.text.find.tagger.segments import segments
from privacy.text.invent.rng import Rng
from privacy.text.invent.templates import FilledSlot, FilledTemplate, make, sections

LONGEST_PIECES = 96
_BULLETS = ("- ", "* ", "• ", "1. ", "2) ", "> ", "-- ", "a) ", "\t", "   ")
_PUNCTUATION = re.compile(r"(?<=\w)(?=[^\w\s])|(?<=[^\w\s])(?=\w)")


@dataclass(frozen=True, slots=True)
class Example:
    """A segment and its targets, one a piece."""

    encoded: Encoded
    targets: tuple[int, ...]


@cache
def _templates() -> tuple[tuple[str, ...], tuple[str, ...]]:
    return sections("clinical")[""], sections("general")[""]


def examples(rng: Rng, tokenizer: Tokenizer) -> Iterator[Example]:
    """Training examples without end."""
    while True:
        text = document(rng)
        for start, end in segments(text.text):
            values = [v for v in text.values if v.start < end and v.end > start]
            encoded = encode(tokenizer, text.text[start:end])
            targets = _targets(encoded, values, start)
            if len(encoded.ids) > LONGEST_PIECES:
                at = rng.integer(0, len(encoded.ids) - LONGEST_PIECES)
                encoded = encoded.window(at, at + LONGEST_PIECES)
                targets = targets[at : at + LONGEST_PIECES]
            if encoded.ids:
                yield _hidden(rng, Example(encoded, targets))


def document(rng: Rng) -> FilledTemplate:
    """One to four templates of one kind, altered."""
    templates = _templates()[rng.chance(0.55)]
    piece = _altered(rng, make(rng.choose(templates), rng))
    while rng.chance(0.45):
        piece = piece.joined(_altered(rng, make(rng.choose(templates), rng)), rng.choose((" ", " ", " ", "\n", "  ")))
    if rng.chance(0.06):
        piece = FilledTemplate("", ()).joined(piece, rng.choose(_BULLETS))
    return piece


def _altered(rng: Rng, piece: FilledTemplate) -> FilledTemplate:
    roll = rng.uniform()
    if roll < 0.07:
        return _same_length(piece, piece.text.lower())
    if roll < 0.13:
        return _same_length(piece, piece.text.upper())
    if roll < 0.16:
        return _same_length(piece, _swapped(rng, piece.text))
    if roll < 0.19:
        return _same_length(piece, re.sub(r"[.,;:](?=\s|$)", " ", piece.text))
    if roll < 0.28:
        return _set_apart(piece)
    if roll < 0.32:
        return _names_lower(piece)
    return piece


def _same_length(piece: FilledTemplate, text: str) -> FilledTemplate:
    return replace(piece, text=text) if len(text) == len(piece.text) else piece


def _swapped(rng: Rng, text: str) -> str:
    letters = list(text)
    for _ in range(max(1, len(text) // 60)):
        at = rng.integer(0, max(0, len(letters) - 2))
        if at + 1 < len(letters) and letters[at].isalpha() and letters[at + 1].isalpha():
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return "".join(letters)


def _set_apart(piece: FilledTemplate) -> FilledTemplate:
    """Punctuation between spaces, as corpora of tokens have it."""
    cuts = [match.start() for match in _PUNCTUATION.finditer(piece.text)]
    text, at = "", 0
    for cut in cuts:
        text += piece.text[at:cut] + " "
        at = cut
    text += piece.text[at:]

    def moved(place: int, *, end: bool) -> int:
        return place + sum(cut < place or (cut == place and not end) for cut in cuts)

    values = tuple(FilledSlot(moved(v.start, end=False), moved(v.end, end=True), v.slot) for v in piece.values)
    return FilledTemplate(text, values)


def _names_lower(piece: FilledTemplate) -> FilledTemplate:
    text = piece.text
    for value in piece.values:
        if value.label in ("PERSON", "LOCATION", "ORGANIZATION"):
            lowered = text[value.start : value.end].lower()
            if len(lowered) == value.end - value.start:
                text = text[: value.start] + lowered + text[value.end :]
    return _same_length(piece, text)


def _targets(encoded: Encoded, values: list[FilledSlot], offset: int) -> tuple[int, ...]:
    targets = [0] * len(encoded.ids)
    for value in values:
        if value.label is None:
            continue
        begin = 1 + 2 * LABELS.index(value.label)
        first = True
        for at, (start, end) in enumerate(encoded.offsets):
            if start + offset < value.end and end + offset > value.start:
                targets[at] = begin if first else begin + 1
                first = False
    return tuple(targets)


def _hidden(rng: Rng, example: Example) -> Example:
    """Some examples lose words, some their case."""
    encoded = example.encoded
    ids, shapes = list(encoded.ids), list(encoded.shapes)
    if rng.chance(0.25):
        ids = [MASK if rng.chance(0.1) else piece for piece in ids]
    if rng.chance(0.08):
        shapes = [1 if shape in (2, 3, 4, 6) else shape for shape in shapes]
    return Example(replace(encoded, ids=tuple(ids), shapes=tuple(shapes)), example.targets)
