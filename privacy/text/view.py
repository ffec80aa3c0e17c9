# SPDX-License-Identifier: Apache-2.0
"""The view of a text that recognizers read: easier to match, with every offset traceable to the original.

Full-width digits, typographic quotes, dashes and odd spaces become plain ones, a letter with a combining mark becomes
one character, and invisible format characters vanish: none of them may split a name or a number into two harmless
halves. Tags that stand in the text already are blanked, so that anonymized text gives no findings of its own.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from privacy.text.records import ENTITY_TYPES, Finding

TAG = re.compile("<(?:" + "|".join(sorted(ENTITY_TYPES)) + ")>")
"""A tag that replacement writes."""

_BLANK = "\u25a0"
_PLAIN = str.maketrans(
    "\u2018\u2019\u02bc\u201b\u2032\u201c\u201d\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d",
    "'''''\"\"----------",
)


@dataclass(frozen=True, slots=True, repr=False)
class View:
    """`text` is what recognizers read; character i of it stands for original [starts[i], ends[i]) (None: the same)."""

    text: str
    starts: tuple[int, ...] | None
    ends: tuple[int, ...] | None

    def to_original(self, finding: Finding) -> Finding:
        """The same finding in offsets of the original text. Raises IndexError for a span outside the view."""
        if not 0 <= finding.start < finding.end <= len(self.text):
            raise IndexError("a finding lies outside the text")
        if self.starts is None or self.ends is None:
            return finding
        start, end = self.starts[finding.start], self.ends[finding.end - 1]
        return Finding(start, end, finding.entity_type, finding.score, finding.recognizer)


def _fold(cluster: str) -> str:
    """One visible character for `cluster` (a character with its combining marks), or '' for an invisible one."""
    if unicodedata.category(cluster[0]) == "Cf":
        return ""
    folded = unicodedata.normalize("NFKC", cluster).translate(_PLAIN)
    if len(folded) != 1:
        folded = cluster[0].translate(_PLAIN)
    return " " if unicodedata.category(folded) == "Zs" else folded


def _clusters(text: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for index, character in enumerate(text):
        if spans and unicodedata.combining(character):
            spans[-1] = (spans[-1][0], index + 1)
        else:
            spans.append((index, index + 1))
    return spans


def _blank_tags(text: str) -> str:
    return TAG.sub(lambda tag: _BLANK * len(tag.group()), text) if "<" in text else text


def read(text: str) -> View:
    """The view of `text`. ASCII text is its own view, apart from blanked tags."""
    if text.isascii():
        return View(_blank_tags(text), None, None)
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end in _clusters(text):
        if folded := _fold(text[start:end]):
            letters.append(folded)
            starts.append(start)
            ends.append(end)
    return View(_blank_tags("".join(letters)), tuple(starts), tuple(ends))
