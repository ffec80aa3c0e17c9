# SPDX-License-Identifier: Apache-2.0
"""Texts to spans: segments through the network, each segment once.

The spans of a segment follow from its own characters and from nothing else: segments of like length are computed
together, and where a decision was so close that the company might have tipped it, the segment is computed once more
alone. A bounded cache in memory, never written anywhere, holds the spans of segments seen lately: notes repeat
boilerplate.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from privacy.text.find.tagger.decision_thresholds import DecisionThresholds, Thresholds
from privacy.text.find.tagger.decoding import ScoredSpan, decode
from privacy.text.find.tagger.encoding import Encoded, batch, encode
from privacy.text.find.tagger.network import Backbone, Classifier
from privacy.text.find.tagger.segments import segments

CACHED_SEGMENTS = 20_000
AREA = 1024
"""Word pieces, padding included, that are computed at once."""

_LETTER = re.compile(r"[^\W_]")
"""A letter or a digit, as str.isalnum has it: every span holds one, so a segment without any needs no reading."""

Spans = tuple[ScoredSpan, ...]


class Tagger:
    """A trained classifier at work, in one thread."""

    def __init__(self, classifier: Classifier, backbone: Backbone, thresholds: Thresholds) -> None:
        self._classifier = classifier
        self._tokenizer = backbone.tokenizer
        self._threshold = DecisionThresholds(backbone.tokenizer, thresholds).threshold
        self._known: OrderedDict[str, Spans] = OrderedDict()

    def tag(self, text: str) -> list[ScoredSpan]:
        """The spans in `text`, in its offsets and sorted."""
        places = [place for place in segments(text) if _LETTER.search(text, *place)]
        with _one_thread():
            by_segment = self._spans({text[start:end] for start, end in places})
        return [
            ScoredSpan(start + span.start, start + span.end, span.label, span.score)
            for start, end in places
            for span in by_segment[text[start:end]]
        ]

    def _spans(self, wanted: set[str]) -> dict[str, Spans]:
        known = {segment: self._known[segment] for segment in wanted if segment in self._known}
        for segment in known:
            self._known.move_to_end(segment)
        fresh = sorted(wanted - known.keys(), key=lambda segment: (len(segment), segment))
        encoded = [(segment, encode(self._tokenizer, segment)) for segment in fresh]
        for group in _groups(encoded):
            known.update(self._compute(group))
        for segment in fresh:
            self._known[segment] = known[segment]
        while len(self._known) > CACHED_SEGMENTS:
            self._known.popitem(last=False)
        return known

    def _compute(self, group: Sequence[tuple[str, Encoded]]) -> Iterator[tuple[str, Spans]]:
        probabilities = self._classifier.probabilities(*batch([encoded for _, encoded in group])).numpy()
        for (segment, encoded), row in zip(group, probabilities, strict=True):
            spans, close = decode(segment, encoded.offsets, row[1 : len(encoded.ids) + 1], self._threshold)
            if close and len(group) > 1:
                yield from self._compute([(segment, encoded)])
            else:
                yield segment, tuple(spans)


def _groups(encoded: Sequence[tuple[str, Encoded]]) -> Iterator[list[tuple[str, Encoded]]]:
    """Segments of like length, shortest first, at most AREA pieces together."""
    group: list[tuple[str, Encoded]] = []
    for item in sorted(encoded, key=lambda item: len(item[1].ids)):
        width = len(item[1].ids) + 2
        if group and ((len(group) + 1) * width > AREA or width > 1.5 * (len(group[0][1].ids) + 2) + 8):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread while it lasts: another number gives other last bits. Sites use more processes instead."""
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
