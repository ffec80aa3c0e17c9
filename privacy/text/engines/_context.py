# SPDX-License-Identifier: Apache-2.0
"""Presidio's context words with only the few tokens looked at that can count, and the same answer for every text.

Presidio asks which words stand before a match: up to six keywords backwards from the match's own token, and the first
keyword from there on. A keyword is a token that is no stop word, no punctuation and not `be`; where a token with a
colon stands anywhere in the text, its parts are keywords as well.

spaCy's blank tokenizer cuts at white space and treats each stretch by itself, so a stretch is tokenized once and kept.
One thing reaches further: a stretch's last token and the next one's first may together begin one of its special cases
(`: (` for `:(`), which then hides a genuine one. Stretches with such a seam are tokenized together. Source:
LemmaContextAwareEnhancer of presidio-analyzer 2.2.366; tokenizer.pyx of spaCy 3.8, where `_special_matcher` is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise

import spacy
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer, LemmaContextAwareEnhancer
from spacy.tokenizer import Tokenizer

from privacy.text.engines._memo import Memo

_RULES = LemmaContextAwareEnhancer()
_BACKWARD = _RULES.context_prefix_count + 1
_FORWARD = _RULES.context_suffix_count + 1
_NEVER_KEYWORDS = ("-PRON-", "be")
_STRETCH = re.compile(r"\S+")
_WITH_COLON = re.compile(r"[^\s:]*:\S*")
_LONGEST_KEPT = 64
_WINDOW = (80, 20)
"""Characters looked at before and after the start of a match, at first."""


def raised(score: float) -> float:
    """The score of a match that has a context word."""
    more = max(score + _RULES.context_similarity_factor, _RULES.min_score_with_context_similarity)
    return float(min(more, ContextAwareEnhancer.MAX_SCORE))


@dataclass(frozen=True, slots=True)
class _Token:
    """`end` counts from where its stretch begins. `keyword`: whether it is one, whatever the rest of the text is."""

    lower: str
    end: int
    keyword: bool


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Tokens of a piece of text. `special`: spaCy's special cases changed them. `parts`: of tokens with a colon."""

    tokens: tuple[_Token, ...]
    first: str
    last: str
    special: bool
    parts: tuple[str, ...]


class Stretches:
    """Tokens by stretch of text, as spaCy's blank tokenizer of a language makes them. Not to be shared by threads.

    spaCy keeps every word that it sees: after `capacity` new stretches its tokenizer is built anew.
    """

    def __init__(self, language: str, capacity: int = 30_000) -> None:
        self._language, self._capacity = language, capacity
        self._kept: Memo[str, _Stretch] = Memo(capacity)
        self._build()
        self._seams = {pair for rule in self._spacy.rules for pair in pairwise([t.text for t in self._plain(rule)])}
        self._seam_characters = {(left[-1], right[0]) for left, right in self._seams}

    def _build(self) -> None:
        self._spacy = spacy.blank(self._language).tokenizer
        self._plain = Tokenizer(
            self._spacy.vocab,
            prefix_search=self._spacy.prefix_search,
            suffix_search=self._spacy.suffix_search,
            infix_finditer=self._spacy.infix_finditer,
            token_match=self._spacy.token_match,
            url_match=self._spacy.url_match,
        )
        self._left = self._capacity

    def of(self, piece: str) -> _Stretch:
        """The tokens of `piece`, which is not empty and which no seam joins to what stands around it."""
        known = self._kept.get(piece)
        if known is not None:
            return known
        self._left -= 1
        if self._left < 0:
            self._build()
        doc = self._spacy(piece)
        tokens = tuple(_Token(t.lower_.lower(), t.idx + len(t), self._is_keyword(t.lower_)) for t in doc)
        colons = [t.lower_ for t in doc if ":" in t.lower_ and self._counts(t.lower_)]
        parts = tuple(part.lower() for lower in colons for part in lower.split(":"))
        special = [t.text for t in doc] != [t.text for t in self._plain(piece)]
        made = _Stretch(tokens, doc[0].text, doc[-1].text, special, parts)
        return self._kept.put(piece, made) if len(piece) <= _LONGEST_KEPT else made

    def seam(self, left: _Stretch, right: _Stretch) -> bool:
        """Whether a special case may look across the one space between two stretches."""
        if left.special or right.special:
            return (left.last[-1], right.first[0]) in self._seam_characters
        return (left.last, right.first) in self._seams

    def _counts(self, lower: str) -> bool:
        lexeme = self._spacy.vocab[lower]
        return not (lexeme.is_stop or lexeme.is_punct or lower in _NEVER_KEYWORDS)

    def _is_keyword(self, lower: str) -> bool:
        return ":" not in lower and self._counts(lower)


class Context:
    """The words around places of one text."""

    def __init__(self, text: str, stretches: Stretches) -> None:
        self._text, self._stretches = text, stretches

    def words(self, start: int) -> set[str]:
        """The keywords around the match that starts at `start`, in lower case.

        Raises ValueError if no token reaches that far, as Presidio does.
        """
        before, after = _WINDOW
        while True:
            low, high = max(0, start - before), min(len(self._text), start + after)
            tokens, ends = self._window(low, high)
            found = self._around(tokens, ends, start, low == 0, high == len(self._text))
            if found is not None:
                return found
            before, after = before * 4, after * 4

    def _around(self, tokens: list[_Token], ends: list[int], start: int, first: bool, last: bool) -> set[str] | None:
        """The words, or None where the tokens of the window do not decide. first, last: they are the text's."""
        index = next((i for i, end in enumerate(ends) if end > start), None)
        if index is None:
            if last and first:
                raise ValueError("no token reaches the match")
            return None
        backward = list(islice(self._keywords(reversed(tokens[: index + 1])), _BACKWARD))
        forward = list(islice(self._keywords(tokens[index:]), _FORWARD))
        if (len(backward) < _BACKWARD and not first) or (len(forward) < _FORWARD and not last):
            return None
        return {*backward, *forward}

    def _keywords(self, tokens: Iterable[_Token]) -> Iterator[str]:
        for token in tokens:
            if token.keyword or token.lower in self._parts:
                yield token.lower

    @cached_property
    def _parts(self) -> frozenset[str]:
        """The parts of all tokens with a colon. (No special case with a colon has a stop word for a part.)"""
        if ":" not in self._text:
            return frozenset()
        pieces = _WITH_COLON.findall(self._text)
        return frozenset(part for piece in pieces for part in self._stretches.of(piece).parts)

    def _window(self, low: int, high: int) -> tuple[list[_Token], list[int]]:
        """Tokens and where they end, of all of [low, high) that no cut and no seam with what lies outside touches."""
        text = self._text
        groups = self._groups([match.span() for match in _STRETCH.finditer(text, low, high)])
        # The first and the last group may go on outside.
        groups = groups[1 if low > 0 else 0 : len(groups) - 1 if high < len(text) else len(groups)]
        tokens: list[_Token] = []
        ends: list[int] = []
        at = 0 if low == 0 else None
        for begin, end in groups:
            if at is not None:
                self._append_gap(tokens, ends, at, begin)
            self._append(tokens, ends, begin, end)
            at = end
        if at is not None and high == len(text):
            self._append_gap(tokens, ends, at, high)
        return tokens, ends

    def _groups(self, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Stretches, joined where a seam lies between them."""
        groups: list[tuple[int, int]] = []
        last: _Stretch | None = None
        for begin, end in spans:
            stretch = self._stretches.of(self._text[begin:end])
            if last is not None and begin == groups[-1][1] + 1 and self._stretches.seam(last, stretch):
                groups[-1] = (groups[-1][0], end)
            else:
                groups.append((begin, end))
            last = stretch
        return groups

    def _append_gap(self, tokens: list[_Token], ends: list[int], begin: int, end: int) -> None:
        """White space is a token of its own, but for one space behind a word."""
        if begin > 0 and self._text[begin : begin + 1] == " ":
            begin += 1
        if begin < end:
            self._append(tokens, ends, begin, end)

    def _append(self, tokens: list[_Token], ends: list[int], begin: int, end: int) -> None:
        for token in self._stretches.of(self._text[begin:end]).tokens:
            tokens.append(token)
            ends.append(begin + token.end)
