# SPDX-License-Identifier: Apache-2.0
"""The built-in name model (privacy.text.find.tagger): names, places, organisations, dates, ages and numbers in English.

It runs on its own frozen copy of the packaged MiniLM, whatever BERT the site fine-tunes. A word that names a disease, a
sign or a device ("Foley catheter") is left alone; an age is a finding only from 90 on, as Safe Harbor has it, unless
the site wants bands of all ages (`by_type.AGE = "generalize"`).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import asdict
from operator import attrgetter
from typing import Final

import torch

from privacy.base.canonical import decimal_string, digest_of
from privacy.base.identifiers import Digest
from privacy.text.find.tagger import weights
from privacy.text.find.tagger.decoding import ScoredSpan
from privacy.text.find.tagger.network import Backbone, Classifier, load_backbone
from privacy.text.find.tagger.tagger import Tagger
from privacy.text.reading.records import Finding
from privacy.text.reading.tokens import Token, is_eponym, tokens_of
from privacy.text.settings import TextSettings

TYPES: Final = {
    "PERSON": "PERSON",
    "LOCATION": "LOCATION",
    "ORGANIZATION": "ORGANIZATION",
    "DATE_TIME": "DATE_TIME",
    "DEMOGRAPHIC": "DEMOGRAPHIC",
    "ID": "ID_NUMBER",
}
"""What the model's labels are called as findings; AGE is decided by its number."""

OLD: Final = 90
LEAST: Final = 0.5
"""The score of what the model is least sure of and yet finds: above any threshold that a site may set."""
MOST: Final = 0.8
MOST_OF_ID: Final = 0.55
"""The score of what it is surest of: below a rule with a label, which knows better what a number is."""

_START = attrgetter("start")
_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"[^\s,;]+")
_RANGE = re.compile(r"\d{1,3}(?:\.\d+)?\s?-\s?\d{1,3}(?:\.\d+)?")
_FRACTION = re.compile(r"\d{1,2}(?:\s?/\s?\d{1,3})?")
_GRADED = re.compile(
    r"\b(?:murmurs?|strength|power|motor|reflex(?:es)?|pulses?|dtrs?|grade|pain|apgars?|scores?|gcs|o?edema|vision|acuity|"
    r"visual|tone|sensation)\W{1,3}(?:\w+\W{1,2}){0,2}$",
    re.IGNORECASE,
)


class BuiltIn:
    """A packaged tagger as a recognizer of names. Use it from one thread."""

    def __init__(self, name: str, tagger: Tagger, fingerprint: Digest, settings: TextSettings) -> None:
        self.name = name
        self._young = settings.replacement.by_type.get("AGE") == "generalize"
        self._kept = {"DEMOGRAPHIC"} if settings.quasi_identifiers == "keep" else set()
        self.fingerprint = fingerprint
        self._tagger = tagger

    def find(self, text: str) -> list[Finding]:
        """Every finding in `text`."""
        spans = self._tagger.tag(text)
        if not spans:
            return []
        tokens = tokens_of(text)
        findings = (self._finding(text, part, tokens) for span in spans for part in _parts(text, span))
        return [finding for finding in findings if finding is not None]

    def _finding(self, text: str, span: ScoredSpan, tokens: list[Token]) -> Finding | None:
        if span.label == "AGE":
            ages = [int(number) for number in _NUMBER.findall(text[span.start : span.end]) if len(number) <= 3]
            masked = bool(ages) and (max(ages) >= OLD or self._young)
            return self._of_type("AGE", span) if masked else None
        if span.label in self._kept or _is_figure(text, span) or _names_a_thing(text, span, tokens):
            return None
        return self._of_type(TYPES[span.label], span)

    def _of_type(self, entity_type: str, span: ScoredSpan) -> Finding:
        highest = MOST_OF_ID if entity_type == "ID_NUMBER" else MOST
        score = round(LEAST + (highest - LEAST) * span.score, 3)
        return Finding(span.start, span.end, entity_type, score, self.name)


def _parts(text: str, span: ScoredSpan) -> Iterator[ScoredSpan]:
    """The span, or each address in it: e-mail addresses that stand side by side stay apart."""
    if span.label != "ID" or "@" not in text[span.start : span.end]:
        yield span
        return
    for match in _WORD.finditer(text, span.start, span.end):
        yield ScoredSpan(match.start(), match.end(), span.label, span.score)


def _is_figure(text: str, span: ScoredSpan) -> bool:
    """Whether a date or a number is a grade ("murmur 2/6") or a range ("70-110")."""
    figure = text[span.start : span.end]
    if span.label == "ID":
        return _RANGE.fullmatch(figure) is not None
    graded = span.label == "DATE_TIME" and _FRACTION.fullmatch(figure) is not None
    return graded and _GRADED.search(text, max(0, span.start - 40), span.start) is not None


def _names_a_thing(text: str, span: ScoredSpan, tokens: list[Token]) -> bool:
    first = bisect_left(tokens, span.start, key=_START)
    alone = first < len(tokens) and tokens[first].start < span.end
    alone = alone and (first + 1 == len(tokens) or tokens[first + 1].start >= span.end)
    return alone and is_eponym(text, tokens, first)


def of_classifier(name: str, classifier: Classifier, backbone: Backbone, settings: TextSettings) -> BuiltIn:
    """A recognizer of any classifier, with the thresholds and the digest of the packaged one of that name."""
    packaged = weights.PACKAGED[name]
    fingerprint = digest_of(
        {
            "backbone": backbone.digest,
            "weights": packaged.digest,
            "thresholds": {name: decimal_string(value) for name, value in asdict(packaged.thresholds).items()},
            "torch": torch.__version__,
            "ages": settings.replacement.by_type.get("AGE", "tag"),
        }
    )
    return BuiltIn(name, Tagger(classifier, backbone, packaged.thresholds), fingerprint, settings)


def load(name: str, settings: TextSettings) -> BuiltIn:
    """The packaged tagger of that name. Raises SettingsError or IntegrityError if its weights are not the packaged."""
    backbone = load_backbone()
    return of_classifier(name, weights.classifier(name, backbone), backbone, settings)


def build(settings: TextSettings) -> BuiltIn:
    """The built-in model. Raises what `load` raises."""
    return load("builtin", settings)
