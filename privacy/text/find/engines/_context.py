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
from functools import cached_property
from itertools import chain, islice, pairwise
from typing import NamedTuple

import spacy
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer, LemmaContextAwareEnhancer
from spacy.attrs import IS_PUNCT, IS_STOP
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc

from privacy.text.find.engines._memo import Memo
from privacy.text.reading.records import Offsets

_RULES = LemmaContextAwareEnhancer()
_BACKWARD = _RULES.context_prefix_count + 1
_FORWARD = _RULES.context_suffix_count + 1
_NEVER_KEYWORDS = ("-PRON-", "be")
_STRETCH = re.compile(r"\S+")
_WITH_COLON = re.compile(r"[^\s:]*:\S*")
_LONGEST_KEPT = 64
_REACH = (80, 20)
"""Characters looked at before and after the start of a match, at first."""


def raised(score: float) -> float:
    """The score of a match that has a context word."""
    more = max(score + _RULES.context_similarity_factor, _RULES.min_score_with_context_similarity)
    return float(min(more, ContextAwareEnhancer.MAX_SCORE))


class _Token(NamedTuple):
    """`end` counts from where its stretch begins. `keyword`: whether it is one, whatever the rest of the text is."""

    lower: str
    end: int
    keyword: bool


class Stretches:
    """Tokens by stretch of text, as spaCy's blank tokenizer of a language makes them. Not to be shared by threads.

    spaCy keeps every word that it sees: after `capacity` new stretches its tokenizer is built anew.
    """

    def __init__(self, language: str, capacity: int = 30_000) -> None:
        self._language, self._capacity = language, capacity
        self._kept: Memo[str, tuple[_Token, ...]] = Memo(capacity)
        self._build()
        self._rules = frozenset(self._spacy.rules)
        self._seams = {pair for rule in self._rules for pair in pairwise([t.text for t in self._plain(rule)])}
        self._seam_characters = {(left[-1], right[0]) for left, right in self._seams}
        getters = self._spacy.vocab.lex_attr_getters
        self._is_stop, self._is_punct = getters[IS_STOP], getters[IS_PUNCT]

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

    def of(self, piece: str) -> tuple[_Token, ...]:
        """The tokens of `piece`, which is not empty and which no seam joins to what stands around it."""
        known = self._kept.get(piece)
        if known is None:
            known = self._word(piece) or tuple(
                _Token(t.lower_.lower(), t.idx + len(t), ":" not in t.lower_ and self._counts(t.lower_))
                for t in self._tokenized(piece)
            )
            if len(piece) <= _LONGEST_KEPT:
                self._kept.put(piece, known)
        return known

    def _word(self, piece: str) -> tuple[_Token, ...] | None:
        """The tokens of ASCII letters or digits, with one of `,;:` or not: only special cases cut these otherwise."""
        word = piece[:-1] if piece.endswith((",", ";", ":")) else piece
        if not (word.isascii() and (word.isalpha() or word.isdigit())) or word in self._rules or piece in self._rules:
            return None
        lower = word.lower()
        token = _Token(lower, len(word), self._counts(lower))
        return (token,) if word == piece else (token, _Token(piece[-1], len(piece), False))

    def parts(self, piece: str) -> Iterator[str]:
        """What the tokens of `piece` with a colon add to the keywords: the parts between colons."""
        for token in self.of(piece):
            if ":" in token.lower and self._counts(token.lower):
                yield from token.lower.split(":")

    def seam(self, left: str, right: str) -> bool:
        """Whether a special case may look across the one space between two stretches."""
        if (left[-1], right[0]) not in self._seam_characters:
            return False
        sides = []
        for piece in (left, right):
            tokens = [t.text for t in self._tokenized(piece)]
            if tokens != [t.text for t in self._plain(piece)]:
                return True  # special cases changed this stretch: its last or first token is not what they look at
            sides.append(tokens)
        return (sides[0][-1], sides[1][0]) in self._seams

    def _tokenized(self, piece: str) -> Doc:
        self._left -= 1
        if self._left < 0:
            self._build()
        return self._spacy(piece)

    def _counts(self, lower: str) -> bool:
        return not (self._is_stop(lower) or self._is_punct(lower) or lower in _NEVER_KEYWORDS)


class _Window(NamedTuple):
    """Some neighbouring pieces of a text; `first`, `last`: whether they begin or end it."""

    pieces: list[Offsets]
    first: bool
    last: bool

    def place(self, start: int) -> int | None:
        """Which piece the match at `start` begins in, or which one follows it; None where the window does not tell.

        Raises ValueError if the whole text has none.
        """
        place = next((i for i, (_, end) in enumerate(self.pieces) if end > start), None)
        if place is None and self.first and self.last:
            raise ValueError("no token reaches the match")
        is_cut = place == 0 and self.pieces[0][0] > start and not self.first
        return None if is_cut else place

    def decides(self, backward: int, forward: int) -> bool:
        """Whether so many keywords in each direction are all that a longer window would give."""
        return (self.first or backward >= _BACKWARD) and (self.last or forward >= _FORWARD)


class Context:
    """The words around places of one text."""

    def __init__(self, text: str, stretches: Stretches) -> None:
        self._text, self._stretches = text, stretches
        self._lower = text.lower()
        self._mentioned: dict[int, bool] = {}

    def mentions(self, place: int, words: Iterable[str]) -> bool:
        """Whether one of the `words` of the recognizer at `place` stands anywhere in the text.

        A keyword is a part of the text in lower case, so that no keyword holds a word which the text does not hold.
        That is so for words of ASCII; others count as mentioned.
        """
        known = self._mentioned.get(place)
        if known is None:
            known = any(word in self._lower or not word.isascii() for word in words)
            self._mentioned[place] = known
        return known

    def words(self, start: int) -> set[str]:
        """The keywords around the match that starts at `start`, in lower case.

        Raises ValueError if no token reaches that far, as Presidio does.
        """
        before, after = _REACH
        while True:
            low, high = max(0, start - before), min(len(self._text), start + after)
            window = _Window(self._pieces(low, high), low == 0, high == len(self._text))
            words = self._around(window, start)
            if words is not None:
                return words
            before, after = before * 4, after * 4

    def _around(self, window: _Window, start: int) -> set[str] | None:
        """The keywords around `start`, or None where the window does not decide."""
        place = window.place(start)
        if place is None:
            return None
        begin, end = window.pieces[place]
        tokens = self._stretches.of(self._text[begin:end])
        index = next(i for i, token in enumerate(tokens) if begin + token.end > start)
        ahead = chain(tokens[index:], self._tokens(window.pieces[place + 1 :]))
        behind = chain(reversed(tokens[: index + 1]), self._tokens_backward(window.pieces[:place]))
        forward = list(islice(self._keywords(ahead), _FORWARD))
        backward = list(islice(self._keywords(behind), _BACKWARD))
        return {*backward, *forward} if window.decides(len(backward), len(forward)) else None

    def _tokens(self, pieces: list[Offsets]) -> Iterator[_Token]:
        for begin, end in pieces:
            yield from self._stretches.of(self._text[begin:end])

    def _tokens_backward(self, pieces: list[Offsets]) -> Iterator[_Token]:
        for begin, end in reversed(pieces):
            yield from reversed(self._stretches.of(self._text[begin:end]))

    def _keywords(self, tokens: Iterable[_Token]) -> Iterator[str]:
        for token in tokens:
            if token.keyword or token.lower in self._parts:
                yield token.lower

    @cached_property
    def _parts(self) -> frozenset[str]:
        """The parts of all tokens with a colon. (No special case with a colon has a stop word for a part.)"""
        pieces = _WITH_COLON.findall(self._text) if ":" in self._text else []
        return frozenset(part for piece in pieces for part in self._stretches.parts(piece))

    def _pieces(self, low: int, high: int) -> list[Offsets]:
        """The pieces of [low, high) that are tokenized each by itself, in order: stretches, joined at seams, and gaps.

        White space is a piece, but for one space behind a stretch. What a cut may have touched is left out.
        """
        text = self._text
        groups = self._groups([match.span() for match in _STRETCH.finditer(text, low, high)])
        groups = groups[1 if low > 0 else 0 : len(groups) - 1 if high < len(text) else len(groups)]
        pieces: list[Offsets] = []
        at = 0 if low == 0 else None
        for begin, end in groups:
            if at is not None:
                pieces += self._gap(at, begin)
            pieces.append((begin, end))
            at = end
        if at is not None and high == len(text):
            pieces += self._gap(at, high)
        return pieces

    def _groups(self, spans: list[Offsets]) -> list[Offsets]:
        """Stretches, joined where a seam lies between them."""
        groups: list[Offsets] = []
        last = ""
        for begin, end in spans:
            stretch = self._text[begin:end]
            if last and begin == groups[-1][1] + 1 and self._stretches.seam(last, stretch):
                groups[-1] = (groups[-1][0], end)
            else:
                groups.append((begin, end))
            last = stretch
        return groups

    def _gap(self, begin: int, end: int) -> list[Offsets]:
        if begin > 0 and self._text[begin : begin + 1] == " ":
            begin += 1
        return [(begin, end)] if begin < end else []
