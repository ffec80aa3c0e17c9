# SPDX-License-Identifier: Apache-2.0
"""What people marked in a text, as a file holds it: words with IOB2 tags, or [start, end, label] in characters.

A cell that cannot be read this way makes its row malformed: a wrong mark would teach a wrong thing silently.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from client.data.formats.rows import is_text
from privacy.text.reading.records import Span


class MalformedAnnotations(ValueError):
    """A cell of words or of annotations that cannot be read. It says nothing of the content."""


def join(words: object) -> tuple[str, list[int]]:
    """The text of a JSON list of words, joined by single blanks, and where each word begins (and one would follow)."""
    listed = _list(words)
    if not all(isinstance(word, str) and word for word in listed):
        raise MalformedAnnotations
    starts = [0]
    for word in listed:
        starts.append(starts[-1] + len(word) + 1)
    return " ".join(listed), starts


def read_spans(cell: object, length: int) -> tuple[Span, ...]:
    """The spans of a JSON list of [start, end, label], each within a text of `length` characters, sorted."""
    spans = []
    for one in _list(cell):
        if not isinstance(one, list) or len(one) != 3:
            raise MalformedAnnotations
        start, end, label = one
        if type(start) is not int or type(end) is not int or not isinstance(label, str) or not label:
            raise MalformedAnnotations
        if not 0 <= start < end <= length:
            raise MalformedAnnotations
        spans.append(Span(start, end, label))
    return tuple(sorted(spans))


def read_tags(cell: object, starts: Sequence[int]) -> tuple[Span, ...]:
    """The spans of a JSON list of IOB2 tags, one a word. An I- that continues nothing begins a span of its own."""
    tags = _list(cell)
    if len(tags) != len(starts) - 1 or not all(_is_tag(tag) for tag in tags):
        raise MalformedAnnotations
    spans: list[Span] = []
    for (start, following), tag, before in zip(pairwise(starts), tags, ["O", *tags], strict=False):
        if tag == "O":
            continue
        label, end = tag[2:], following - 1
        if tag[0] == "I" and before[2:] == label and spans:
            spans[-1] = Span(spans[-1].start, end, label)
        else:
            spans.append(Span(start, end, label))
    return tuple(spans)


def _is_tag(tag: object) -> bool:
    return isinstance(tag, str) and (tag == "O" or (tag[:2] in ("B-", "I-") and len(tag) > 2))


def _list(cell: object) -> list[Any]:
    try:
        value = json.loads(cell) if isinstance(cell, str) else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list) or not is_text(json.dumps(value, ensure_ascii=False)):
        raise MalformedAnnotations  # "\ud800" in JSON is no character
    return value
