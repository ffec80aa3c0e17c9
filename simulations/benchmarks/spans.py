# SPDX-License-Identifier: Apache-2.0
"""Labelled text and what became of it: reading the sets of personal-data spans and of tags, and the measures on them.

A gold span is masked if every word character in it was replaced, whatever the replacement is called; an honorific, an
article, "of" and a possessive s may stay (MAY_STAY: court texts label "Mr A. B." whole), and `literal` measures say
what holds if they may not. Tokens are runs of word characters. For recall a token counts if it was replaced whole, for
precision and for words kept if it was touched at all: both are the stricter reading. Pure; never shows text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_WORD = re.compile(r"\w+")
MAY_STAY = frozenset(
    ("mr", "mrs", "ms", "miss", "mx", "dr", "prof", "professor", "sir", "lord", "lady", "judge", "the", "of", "s")
)
LITERAL: frozenset[str] = frozenset()


class Gold(NamedTuple):
    """Characters [start, end) are of `type`; `identifier` is DIRECT, QUASI or NO_MASK where a set says it."""

    start: int
    end: int
    type: str
    identifier: str = ""


class Masked(NamedTuple):
    """Characters [start, end) of the original were replaced, called `type`, as `recognizer` had said."""

    start: int
    end: int
    type: str
    recognizer: str = ""


@dataclass(frozen=True, repr=False)
class Document:
    """A text, what in it is personal data, and the flags that it should raise."""

    text: str
    gold: tuple[Gold, ...]
    flags: tuple[str, ...] = ()


class Count(NamedTuple):
    """`found` of `planted`."""

    found: int
    planted: int

    @property
    def share(self) -> float | None:
        """None where nothing was planted."""
        return self.found / self.planted if self.planted else None

    def __add__(self, other: object) -> Count:
        if not isinstance(other, Count):
            return NotImplemented
        return Count(self.found + other.found, self.planted + other.planted)


MaskedSpans = Sequence[Sequence[Masked]]
"""For each document what was replaced in it."""
SpanMeasure = Callable[[Sequence[Document], MaskedSpans], Count]
"""A share of what is in the documents, or of what was replaced in them."""
GoldFilter = Callable[[Gold], bool]


# -- reading ------------------------------------------------------------------------------------------------


def read(file: Path) -> list[Document]:
    """The rows of a JSON Lines file with `spans`, with `tokens` and `tags` (IOB2), or with neither.

    Raises ValueError, without text, if a span's characters are not its value or the tokens do not make up the text.
    """
    with file.open(encoding="utf-8") as lines:
        return [_document(number, json.loads(line)) for number, line in enumerate(lines)]


def _document(number: int, row: dict[str, object]) -> Document:
    text = str(row["text"])
    if "tags" in row:
        return Document(text, tuple(_of_tags(number, text, row["tokens"], row["tags"])))  # type: ignore[arg-type]
    spans: list[dict[str, object]] = row.get("spans", [])  # type: ignore[assignment]
    if any(text[int(s["start"]) : int(s["end"])] != s["value"] for s in spans):  # type: ignore[call-overload]
        raise ValueError(f"row {number}: a span's characters are not its value")
    gold = (Gold(s["start"], s["end"], str(s["type"]), str(s.get("identifier_type", ""))) for s in spans)  # type: ignore[arg-type]
    return Document(text, tuple(gold))


def _of_tags(number: int, text: str, tokens: Sequence[str], tags: Sequence[str]) -> Iterator[Gold]:
    if " ".join(tokens) != text or len(tokens) != len(tags):
        raise ValueError(f"row {number}: the tokens do not make up the text")
    at, begun = 0, None
    for token, tag in zip(tokens, tags, strict=True):
        kind = tag.partition("-")[2]
        if begun and not (tag.startswith("I-") and kind == begun.type):
            yield begun
            begun = None
        if kind:
            begun = Gold(begun.start if begun else at, at + len(token), kind)
        at += len(token) + 1
    if begun:
        yield begun


# -- measures ------------------------------------------------------------------------------------------------


def of_types(*types: str) -> GoldFilter:
    """Gold spans of these types."""
    return lambda gold: gold.type in types


def spans_masked(
    documents: Sequence[Document], replaced: MaskedSpans, wanted: GoldFilter, stays: frozenset[str] = MAY_STAY
) -> Count:
    """Of the wanted gold spans, those that are masked."""
    return _sum(
        Count(_hidden(document.text, gold, hidden, stays), 1)
        for document, hidden in _with_masks(documents, replaced)
        for gold in document.gold
        if wanted(gold)
    )


def documents_leaking(
    documents: Sequence[Document], replaced: MaskedSpans, wanted: GoldFilter, stays: frozenset[str] = MAY_STAY
) -> Count:
    """Of the documents with a wanted gold span, those in which one is not masked."""
    counts = []
    for document, hidden in _with_masks(documents, replaced):
        masked = [_hidden(document.text, gold, hidden, stays) for gold in document.gold if wanted(gold)]
        counts += [Count(not all(masked), 1)] if masked else []
    return _sum(counts)


def tokens_masked(
    documents: Sequence[Document], replaced: MaskedSpans, wanted: GoldFilter, *, whole: bool = True
) -> Count:
    """Of the tokens that a wanted gold span touches, those that were replaced: whole, or touched at all."""
    test = all if whole else any
    return _sum(
        Count(test(hidden[start:end]), 1)
        for document, hidden in _with_masks(documents, replaced)
        for start, end in _touched(document.text, [gold for gold in document.gold if wanted(gold)])
    )


def tokens_right(
    documents: Sequence[Document],
    replaced: MaskedSpans,
    called: str | None = None,
    wanted: GoldFilter = lambda gold: True,
) -> Count:
    """Of the tokens that were touched (by replacements of the type `called`), those that a wanted gold span touches."""
    counts = []
    for document, masked in zip(documents, replaced, strict=True):
        gold = set(_touched(document.text, [one for one in document.gold if wanted(one)]))
        ours = _touched(document.text, [one for one in masked if called in (None, one.type)])
        counts.append(Count(sum(token in gold for token in ours), len(ours)))
    return _sum(counts)


def words_touched(documents: Sequence[Document], replaced: MaskedSpans) -> Count:
    """Of all tokens, those that were touched."""
    return _sum(
        Count(any(hidden[start:end]), 1)
        for document, hidden in _with_masks(documents, replaced)
        for start, end in _words(document.text)
    )


def missed(documents: Sequence[Document], replaced: MaskedSpans, wanted: GoldFilter) -> Iterator[tuple[Document, Gold]]:
    """The wanted gold spans that are not masked. For development, on text that may be looked at."""
    for document, hidden in _with_masks(documents, replaced):
        for gold in document.gold:
            if wanted(gold) and not _hidden(document.text, gold, hidden, MAY_STAY):
                yield document, gold


def _with_masks(documents: Sequence[Document], replaced: MaskedSpans) -> Iterator[tuple[Document, bytearray]]:
    """Each document with a byte for each of its characters: 1 where it was replaced."""
    for document, masked in zip(documents, replaced, strict=True):
        hidden = bytearray(len(document.text))
        for one in masked:
            hidden[one.start : one.end] = b"\1" * (one.end - one.start)
        yield document, hidden


def _hidden(text: str, gold: Gold, hidden: bytearray, stays: frozenset[str]) -> bool:
    words = _WORD.finditer(text, gold.start, gold.end)
    return all(all(hidden[word.start() : word.end()]) for word in words if word.group().lower() not in stays)


def _touched(text: str, spans: Sequence[Gold] | Sequence[Masked]) -> list[tuple[int, int]]:
    """The tokens of the whole text of which a span holds at least one character."""
    inside = bytearray(len(text))
    for one in spans:
        inside[one.start : one.end] = b"\1" * (one.end - one.start)
    return [(start, end) for start, end in _words(text) if any(inside[start:end])]


def _words(text: str) -> list[tuple[int, int]]:
    return [word.span() for word in _WORD.finditer(text)]


def _sum(counts: Iterator[Count] | Sequence[Count]) -> Count:
    found = planted = 0
    for count in counts:
        found, planted = found + count.found, planted + count.planted
    return Count(found, planted)
