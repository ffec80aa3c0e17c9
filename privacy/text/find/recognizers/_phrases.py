# SPDX-License-Identifier: Apache-2.0
"""A list of words and phrases, looked up at a word of a text: its size costs nothing, as one alternation's would."""

from __future__ import annotations

from collections.abc import Iterable

from privacy.text.reading.tokens import Token, tokens_of

_JOINS = frozenset({" ", "-", "'", "  "})


class Phrases:
    """Knows where one of `entries` starts. Letter case, accents and a plural s do not matter."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for entry in sorted(set(entries)):
            words = tuple(token.plain for token in tokens_of(entry))
            if words:
                self._by_first.setdefault(words[0], []).append(words)
        for phrases in self._by_first.values():
            phrases.sort(key=len, reverse=True)

    def end_at(self, text: str, tokens: list[Token], index: int) -> int | None:
        """The index after the last word of the longest entry that starts at word `index`, or None."""
        word = tokens[index].plain
        for form in (word, word.removesuffix("s")):
            for phrase in self._by_first.get(form, ()):
                if self._matches(text, tokens, index, phrase):
                    return index + len(phrase)
        return None

    def _matches(self, text: str, tokens: list[Token], index: int, phrase: tuple[str, ...]) -> bool:
        if index + len(phrase) > len(tokens):
            return False
        for offset in range(1, len(phrase)):
            token = tokens[index + offset]
            last = offset == len(phrase) - 1
            if token.plain != phrase[offset] and not (last and token.plain == phrase[offset] + "s"):
                return False
            if text[tokens[index + offset - 1].end : token.start] not in _JOINS:
                return False
        return True
