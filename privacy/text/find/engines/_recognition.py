# SPDX-License-Identifier: Apache-2.0
"""Presidio's AnalyzerEngine.analyze for pattern recognizers: the same spans and scores, several times faster.

Each recognizer's matches, its duplicates removed, scores raised by context words, low scores dropped, duplicates
removed once more: the steps and their order are Presidio's; no explanation is built, and no token is made that nobody
asks for. A recognizer that is not known here exactly as it was when this was written runs as it is. Source:
presidio-analyzer 2.2.366; equality is asserted by the tests and by simulations/benchmarks/patterns.py.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from presidio_analyzer import EntityRecognizer
from presidio_analyzer.predefined_recognizers import PhoneRecognizer

from privacy.base.errors import AnonymizationError
from privacy.text.find.engines._context import Context, Stretches, raised
from privacy.text.find.engines._patterns import Hit, PatternFinder
from privacy.text.find.engines._phones import PhoneFinder

_LENIENCY = 1


class Recognized(NamedTuple):
    """One result: a span of the text, what it is, how sure, and which recognizer says so."""

    start: int
    end: int
    entity_type: str
    score: float
    recognizer: str


class Recognition:
    """Analyzes texts with a fixed list of recognizers. Not to be shared between threads, and never pickled.

    Its tables are bounded and hold fragments of the last texts, in memory alone.
    """

    def __init__(self, recognizers: Sequence[EntityRecognizer], language: str, score_threshold: float) -> None:
        for recognizer in recognizers:
            if type(recognizer).enhance_using_context is not EntityRecognizer.enhance_using_context:
                raise AnonymizationError(
                    f"{recognizer.name} has context rules of its own", next_step="leave this recognizer out"
                )
        self._recognizers = list(recognizers)
        self._patterns = PatternFinder(recognizers)
        self._phones = {
            place: PhoneFinder(recognizer.supported_regions)
            for place, recognizer in enumerate(recognizers)
            if type(recognizer) is PhoneRecognizer and recognizer.leniency == _LENIENCY
        }
        self._others = sorted(set(range(len(recognizers))) - self._patterns.places - set(self._phones))
        self._stretches = Stretches(language)
        self._words = [[word.lower() for word in recognizer.context or ()] for recognizer in recognizers]
        self._thresholds = [_threshold(recognizer, score_threshold) for recognizer in recognizers]

    def analyze(self, text: str, entities: Collection[str] | None = None) -> list[Recognized]:
        """Every result in `text`, in Presidio's order. `entities` limits it to recognizers of these types.

        Raises ValueError for a type that no recognizer finds, TimeoutError for a pattern that takes too long.
        """
        places = self._places_of(entities)
        hits_by_place = self._patterns.find(text)
        context = Context(text, self._stretches)
        results = []
        for place, recognizer in enumerate(self._recognizers):
            if place not in places:
                continue
            hits = hits_by_place.get(place) or self._by_recognizer(place, text)
            if hits:
                kind = recognizer.supported_entities[0]
                for start, end, score in _without_duplicates(hits):
                    score = self._with_context(place, context, start, score)
                    if score >= self._thresholds[place]:
                        results.append(Recognized(start, end, kind, score, recognizer.name))
        return _ordered(results)

    def _places_of(self, entities: Collection[str] | None) -> Collection[int]:
        places = range(len(self._recognizers))
        if not entities:
            return places
        kinds = [set(recognizer.supported_entities) for recognizer in self._recognizers]
        if unknown := sorted(set(entities) - set().union(*kinds)):
            raise ValueError(f"no recognizer finds {', '.join(unknown)}")
        return {place for place in places if kinds[place] & set(entities)}

    def _by_recognizer(self, place: int, text: str) -> list[Hit]:
        if place in self._phones:
            return [(start, end, PhoneRecognizer.SCORE) for start, end in self._phones[place].find(text)]
        if place in self._others:
            recognizer = self._recognizers[place]
            return [(r.start, r.end, r.score) for r in recognizer.analyze(text, recognizer.supported_entities, None)]
        return []

    def _with_context(self, place: int, context: Context, start: int, score: float) -> float:
        words = self._words[place]
        if not words or (more := raised(score)) <= score or more < self._thresholds[place]:
            return score
        if not context.mentions(place, words):
            return score
        return more if any(word in near for near in context.words(start) for word in words) else score


def _threshold(recognizer: EntityRecognizer, score_threshold: float) -> float:
    own = recognizer.score_thresholds
    return float(own.get(recognizer.supported_entities[0], own.get("default", score_threshold)))


def _without_duplicates(hits: list[Hit]) -> list[Hit]:
    """EntityRecognizer.remove_duplicates for the results of one type."""
    if len(hits) == 1:
        return hits
    distinct: list[Hit] = []
    for hit in sorted(set(hits), key=lambda h: (h[0], h[0] - h[1], -h[2])):
        if hit[2] and not any(k[1] >= hit[1] and hit[2] <= k[2] for k in distinct if k[0] <= hit[0]):
            distinct.append(hit)
    return distinct


def _ordered(results: list[Recognized]) -> list[Recognized]:
    """EntityRecognizer.remove_duplicates, which also orders: best scores first, then by place."""
    by_kind: dict[str, list[Recognized]] = {}
    for result in results:
        by_kind.setdefault(result.entity_type, []).append(result)
    distinct = []
    for kind in sorted(by_kind):
        of_kind = by_kind[kind]
        name = {(r.start, r.end, r.score): r.recognizer for r in reversed(of_kind)}
        distinct += [Recognized(*h[:2], kind, h[2], name[h]) for h in _without_duplicates(list(name))]
    return sorted(distinct, key=lambda r: (-r.score, r.start, r.start - r.end))
