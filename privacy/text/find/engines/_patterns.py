# SPDX-License-Identifier: Apache-2.0
"""Presidio's pattern recognizers with the same spans and scores, and most of a text never shown to a pattern.

Patterns whose matches hold no white space see one stretch between two white spaces at a time, and only stretches with
a digit, an @ or a few signs more; what they find there depends on the stretch alone, so it is kept. The others see the
whole text, if their prefilter matches it. A pattern that runs longer than Presidio's limit raises TimeoutError: the row
is then refused, where Presidio would go on without that pattern's findings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import regex  # type: ignore[import-untyped]
from presidio_analyzer import EntityRecognizer, PatternRecognizer
from presidio_analyzer.pattern_recognizer import REGEX_TIMEOUT_SECONDS
from presidio_analyzer.predefined_recognizers import IbanRecognizer

from privacy.text.find.engines._memo import Memo
from privacy.text.find.engines._prefilters import DULL, TRIGGER, Prefilter, prefilters_of

Hit = tuple[int, int, float]
"""(start, end, score) of one match of a recognizer."""

_SPACES = str.maketrans("\t\n\r\f\v", "     ")
_LONGEST_KEPT = 100


@dataclass(frozen=True, slots=True)
class _FilteredPattern:
    """One pattern of the recognizer at `place`, compiled as Presidio compiles it."""

    place: int
    recognizer: PatternRecognizer
    expression: regex.Pattern[str]
    score: float

    def hits(self, text: str) -> Iterator[Hit]:
        """Every match that validation leaves a score. `text` is a whole text or, for a local prefilter, a stretch."""
        for match in self.expression.finditer(text, timeout=REGEX_TIMEOUT_SECONDS):
            word = match.group()
            if word:
                score = _score(self.recognizer, word, self.score)
                if score > EntityRecognizer.MIN_SCORE:
                    yield match.start(), match.end(), score


def _score(recognizer: PatternRecognizer, word: str, score: float) -> float:
    valid = recognizer.validate_result(word)
    if valid is not None:
        score = EntityRecognizer.MAX_SCORE if valid else EntityRecognizer.MIN_SCORE
    return EntityRecognizer.MIN_SCORE if recognizer.invalidate_result(word) else score


def _filtered_hits(filtered: dict[re.Pattern[str], list[_FilteredPattern]], text: str) -> Iterator[tuple[int, Hit]]:
    for condition, patterns in filtered.items():
        if condition.search(text):
            for pattern in patterns:
                for hit in pattern.hits(text):
                    yield pattern.place, hit


class PatternFinder:
    """The recognizers of `all_recognizers` that have prefilters, run together. Not to be shared between threads."""

    def __init__(self, all_recognizers: Sequence[EntityRecognizer], capacity: int = 50_000) -> None:
        self._local: dict[re.Pattern[str], list[_FilteredPattern]] = {}
        self._across: dict[re.Pattern[str], list[_FilteredPattern]] = {}
        self._ibans: list[tuple[int, PatternRecognizer, Prefilter]] = []
        self.places: set[int] = set()
        for place, recognizer in enumerate(all_recognizers):
            prefilters = prefilters_of(recognizer) if isinstance(recognizer, PatternRecognizer) else None
            if prefilters is None:
                continue
            self.places.add(place)
            if isinstance(recognizer, IbanRecognizer):
                self._ibans.append((place, recognizer, prefilters[0]))
                continue
            for pattern, prefilter in zip(recognizer.patterns, prefilters, strict=True):
                expression = regex.compile(pattern.regex, flags=recognizer.global_regex_flags)
                filtered = _FilteredPattern(place, recognizer, expression, pattern.score)
                (self._local if prefilter.local else self._across).setdefault(prefilter.condition, []).append(filtered)
        self._kept: Memo[str, tuple[tuple[int, Hit], ...]] = Memo(capacity)

    def find(self, text: str) -> dict[int, list[Hit]]:
        """Hits by the place of their recognizer, before any removal of duplicates."""
        hits: dict[int, list[Hit]] = {}
        if self._local:
            self._find_local(text, hits)
        for place, hit in _filtered_hits(self._across, text):
            hits.setdefault(place, []).append(hit)
        for place, recognizer, prefilter in self._ibans:
            if prefilter.condition.search(text):
                results = recognizer.analyze(text, recognizer.supported_entities)
                hits.setdefault(place, []).extend((r.start, r.end, r.score) for r in results)
        return hits

    def _find_local(self, text: str, hits: dict[int, list[Hit]]) -> None:
        flat = text.translate(_SPACES)
        trigger = TRIGGER.search(text)
        while trigger is not None:
            start = flat.rfind(" ", 0, trigger.start()) + 1
            end = flat.find(" ", start)
            end = len(flat) if end < 0 else end
            for place, (low, high, score) in self._in_stretch(text[start:end]):
                hits.setdefault(place, []).append((start + low, start + high, score))
            trigger = TRIGGER.search(text, end)

    def _in_stretch(self, stretch: str) -> tuple[tuple[int, Hit], ...]:
        known = self._kept.get(stretch)
        if known is None:
            known = () if DULL.fullmatch(stretch) else tuple(_filtered_hits(self._local, stretch))
            if len(stretch) <= _LONGEST_KEPT:
                self._kept.put(stretch, known)
        return known
