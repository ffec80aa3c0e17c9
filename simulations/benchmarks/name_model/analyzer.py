# SPDX-License-Identifier: Apache-2.0
"""Presidio's own AnalyzerEngine over the same recognizers: what `_recognition` must equal, in tests and benchmarks.

The product never runs it. It is Presidio as shipped, with a blank spaCy tokenizer instead of a model, whose lemma is
the lower-cased token: with empty lemmas, context scoring is silently dead. Source: presidio-analyzer 2.2.366 (pinned:
parts of it are subclassed).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import spacy
from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpArtifacts, SlimSpacyNlpEngine


class LowerCaseTokenizer(SlimSpacyNlpEngine):  # type: ignore[misc]
    """A blank spaCy pipeline whose lemma is the lower-cased token, so that context words count. Loads no model."""

    def __init__(self, language: str) -> None:
        self.models: list[dict[str, str]] = []
        self.auto_download = False
        self.nlp: dict[str, Any] | None = None
        self._language = language

    def load(self) -> None:
        """Build the tokenizer."""
        self.nlp = {self._language: spacy.blank(self._language)}

    def _doc_to_nlp_artifact(self, doc: Any, language: str) -> NlpArtifacts:
        return NlpArtifacts(
            entities=[],
            tokens=doc,
            tokens_indices=[token.idx for token in doc],
            lemmas=[token.lower_ for token in doc],
            nlp_engine=self,
            language=language,
            scores=[],
        )


def build_analyzer(
    recognizers: Sequence[EntityRecognizer], language: str = "en", score_threshold: float = 0.0
) -> AnalyzerEngine:
    """Presidio's analyzer of exactly these recognizers, with Presidio's context scoring."""
    nlp_engine = LowerCaseTokenizer(language)
    nlp_engine.load()
    return AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=list(recognizers), supported_languages=[language]),
        nlp_engine=nlp_engine,
        supported_languages=[language],
        default_score_threshold=score_threshold,
    )


def english_defaults(regions: Sequence[str] | None = None) -> list[EntityRecognizer]:
    """The seventeen recognizers that Presidio loads for English, without the one that needs a spaCy model.

    `regions`: those of the phone numbers instead of Presidio's eight.
    """
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    recognizers = [recognizer for recognizer in registry.recognizers if recognizer.name != "SpacyRecognizer"]
    for recognizer in recognizers:
        if regions is not None and recognizer.name == "PhoneRecognizer":
            recognizer.supported_regions = tuple(regions)
    return recognizers
