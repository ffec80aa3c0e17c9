# SPDX-License-Identifier: Apache-2.0
"""Names of people by rules and lists: titles, labels, credentials, initials, listed names.

The first defence, not the last: a name that no rule announces and no list holds passes (docs/anonymization.md says how
many). Rules: lists decide only for capitalised words; eponyms before a clinical noun ("Foley catheter") stay; what one
document shows to be a name is masked throughout it by privacy.text.find.propagation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from privacy.text import lists
from privacy.text.find.recognizers import _name_cues as cues
from privacy.text.find.recognizers._search import PatternSearch
from privacy.text.reading.records import Finding
from privacy.text.reading.tokens import JOINS, Token, is_eponym, tokens_of
from privacy.text.settings import TextSettings

_CUES = PatternSearch([rule.pattern for rule in cues.RULES])
_SUFFIX = re.compile(
    r"(?:ova|owski|ewski|inski|ynski|czyk|wicz|vich|vych|enko|chuk|escu|iewicz|sson|sdottir|opoulos|akis|yan|shvili|adze|"
    r"inen|ishvili|oglu|ellini|ucci|acci|hardt|mann|stein|berg|quist|gaard|strom)$"
)


class Names:
    """The recognizer of PERSON. Each rule yields spans of tokens; recurrences: privacy.text.find.propagation."""

    name = "names"
    entity_types: tuple[str, ...] = ("PERSON",)

    def __init__(self) -> None:
        self._first = lists.words("first_names")
        self._last = lists.words("surnames")
        self._short = lists.words("short_names")
        self._function_words = lists.words("function_words")
        self._eponyms = lists.words("eponyms")
        self._no_name = lists.no_name()

    def find(self, text: str) -> list[Finding]:
        """Every name, as found by every rule; may overlap."""
        tokens = tokens_of(text)
        spans: dict[tuple[int, int], float] = {}
        for first, last, score in (*self._announced(text, tokens), *self._listed(text, tokens)):
            spans[first, last] = max(score, spans.get((first, last), 0.0))
        return [
            Finding(tokens[first].start, tokens[last].name_end, "PERSON", score, self.name)
            for (first, last), score in sorted(spans.items())
        ]

    # Rules of announcement: a cue stands before or after the name.

    def _announced(self, text: str, tokens: list[Token]) -> Iterator[tuple[int, int, float]]:
        at = {token.start: index for index, token in enumerate(tokens)}
        for number, matches in _CUES.matches(text):
            rule = cues.RULES[number]
            for match in matches:
                index = at.get(match.start("name"))
                span = None if index is None else self._accept(rule, match, tokens, index)
                if span is not None:
                    yield *span, rule.score

    def _accept(
        self, rule: cues.CueRule, match: re.Match[str], tokens: list[Token], index: int
    ) -> tuple[int, int] | None:
        """The tokens from `index` that are the name which `rule` announces, or None."""
        run = self._run(rule, tokens, index, match.end("name"))
        prose = match.groupdict().get("prose") is not None
        if not run or not self._suffices(rule, [tokens[i] for i in run], prose):
            return None
        if not rule.trusts_first and is_eponym(match.string, tokens, run[-1]):
            return None
        return run[0], run[-1]

    def _run(self, rule: cues.CueRule, tokens: list[Token], index: int, end: int) -> list[int]:
        """The tokens from `index` up to offset `end`, or up to a word that is no name."""
        run: list[int] = []
        for position in range(index, len(tokens)):
            token = tokens[position]
            if token.start >= end or not (token.capital or token.particle):
                break
            if not self._is_blocked(token, trusted=rule.trusts_first and not run):
                run.append(position)
            elif run or not rule.skips_blocked:
                break
        return _without_last_particles(tokens, run)

    def _is_blocked(self, token: Token, *, trusted: bool) -> bool:
        """Whether the word is no name; one that its cue makes us trust is none only if it is a function word."""
        if token.initial or token.particle:
            return False
        return token.plain in (self._function_words if trusted else self._no_name)

    def _suffices(self, rule: cues.CueRule, run: list[Token], prose: bool) -> bool:
        """Whether the words of a possible name are what its cue asks for."""
        words = _full_words(run)
        if words < (2 if rule.needs_pair else 1):
            return False
        if rule.needs_list and not any(token.plain in self._last for token in run):
            return False
        if not (rule.needs_support or prose):
            return True
        return (words >= 2 and not rule.needs_pair) or any(map(self._is_listed, run))

    # Rules of lists: the words themselves are names.

    def _listed(self, text: str, tokens: list[Token]) -> Iterator[tuple[int, int, float]]:
        index = 0
        while index < len(tokens):
            last = index
            while last + 1 < len(tokens) and self._continues(text, tokens[last], tokens[last + 1]):
                last += 1
            if last == index and not tokens[index].capital:
                yield from self._uncapitalised(text, tokens, index)
            if tokens[index].capital:
                yield from self._listed_in(text, tokens, index, last)
            index = last + 1

    def _continues(self, text: str, token: Token, following: Token) -> bool:
        between = text[token.end : following.start]
        if between == ". " and not token.initial:
            return False
        return token.capital and (following.capital or following.particle) and between in JOINS

    def _listed_in(self, text: str, tokens: list[Token], first: int, last: int) -> Iterator[tuple[int, int, float]]:
        run = [i for i in range(first, last + 1) if not is_eponym(text, tokens, i)]
        for i in run:
            token = tokens[i]
            alone = not any(self._may_be_name(tokens[j]) for j in run if abs(i - j) == 1)
            if self._is_first_name(token, alone=alone):
                yield from self._from_first_name(text, tokens, i, run[-1])
            elif self._looks_foreign(token) or (token.plain in self._last and self._backs(tokens, i, run)):
                yield self._with_word_before(tokens, i, run[0]), i, 0.5

    def _from_first_name(
        self, text: str, tokens: list[Token], first: int, last: int
    ) -> Iterator[tuple[int, int, float]]:
        """The name that the first name at `first` begins, and with a surname before a comma."""
        end = self._extend(tokens, first, last)
        if end > first or not tokens[first].shouted:
            yield first, end, 0.8 if end > first else 0.5
        comma = self._before_comma(text, tokens, first)
        if comma is not None:
            yield comma, end, 0.7

    def _with_word_before(self, tokens: list[Token], index: int, first: int) -> int:
        """Where a name begins whose surname stands at `index`: one word before it, or an initial and a word."""
        before = index - 2 if index > first + 1 and tokens[index - 1].initial else index - 1
        return before if before >= first and self._may_be_name(tokens[before]) else index

    def _uncapitalised(self, text: str, tokens: list[Token], index: int) -> Iterator[tuple[int, int, float]]:
        """A listed first name and a listed surname in lower case, as hurried people type: 'maria lopez'."""
        if index + 1 >= len(tokens) or text[tokens[index].end : tokens[index + 1].start] != " ":
            return
        first, last = tokens[index], tokens[index + 1]
        words = (first.plain, last.plain)
        if last.capital or min(map(len, words)) < 4 or any(word in self._no_name for word in words):
            return
        if first.plain in self._first and last.plain in self._last and not self._eponyms.intersection(words):
            yield index, index + 1, 0.5

    def _is_first_name(self, token: Token, *, alone: bool) -> bool:
        if token.plain in self._no_name or token.plain not in self._first:
            return False
        if token.plain in self._eponyms and alone:
            return False
        return len(token.plain) >= 4 or not alone or (token.plain in self._short and not token.shouted)

    def _extend(self, tokens: list[Token], first: int, last: int) -> int:
        """The end of a name that starts with a first name: at most three more words of the same run."""
        end = first
        for i in range(first + 1, min(last, first + 3) + 1):
            if tokens[i].particle or tokens[i].initial:
                continue
            if not self._may_be_name(tokens[i]) or (tokens[i].shouted and not self._is_listed(tokens[i])):
                break
            end = i
        return end

    def _before_comma(self, text: str, tokens: list[Token], first: int) -> int | None:
        """The surname in 'Surname, First'."""
        if first == 0 or text[tokens[first - 1].end : tokens[first].start] not in (", ", ","):
            return None
        surname = tokens[first - 1]
        return first - 1 if surname.capital and surname.plain in self._last and self._may_be_name(surname) else None

    def _backs(self, tokens: list[Token], index: int, run: list[int]) -> bool:
        """A listed surname after another word that may be a name: 'Xiomara Lopez'."""
        if index == run[0] or tokens[index].plain in self._eponyms or tokens[index].shouted:
            return False
        before = tokens[index - 1]
        return self._may_be_name(before) and not before.shouted and before.plain not in self._eponyms

    def _looks_foreign(self, token: Token) -> bool:
        if token.shouted or len(token.plain) < 5 or not self._may_be_name(token) or token.plain in self._eponyms:
            return False
        return not token.text.isascii() or (len(token.plain) >= 6 and _SUFFIX.search(token.plain) is not None)

    def _may_be_name(self, token: Token) -> bool:
        return token.capital and not token.particle and len(token.plain) >= 2 and token.plain not in self._no_name

    def _is_listed(self, token: Token) -> bool:
        return token.plain in self._first or token.plain in self._last


def _without_last_particles(tokens: list[Token], run: list[int]) -> list[int]:
    length = len(run)
    while length > 1 and tokens[run[length - 1]].particle:
        length -= 1
    return run[:length]


def _full_words(run: list[Token]) -> int:
    """How many words of a possible name are neither initials nor particles."""
    return sum(not (token.initial or token.particle) for token in run)


def build(settings: TextSettings) -> Names:
    """The name recognizer; needs no settings."""
    return Names()
