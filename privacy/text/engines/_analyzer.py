# SPDX-License-Identifier: Apache-2.0
"""Presidio's AnalyzerEngine around our own tokenizer: no model, no download, and context words that count.

The lemma is the lower-cased token, or context scoring is silently dead. Source: presidio-analyzer 2.2.366 (pinned:
parts of it are subclassed).
"""

from __future__ import annotations

from typing import Any

import spacy
from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer
from presidio_analyzer.nlp_engine import NlpArtifacts, SlimSpacyNlpEngine

from privacy.text.settings import TextSettings


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


class ContextWords(LemmaContextAwareEnhancer):  # type: ignore[misc]
    """Presidio's context scoring, for the recognizers that have context words; the others' results pass as they are."""

    def enhance_using_context(
        self,
        text: str,
        raw_results: list[RecognizerResult],
        nlp_artifacts: NlpArtifacts,
        recognizers: list[EntityRecognizer],
        context: list[str] | None = None,
    ) -> list[RecognizerResult]:
        """The results, with raised scores where a context word stands before a match."""
        with_context = {recognizer.id for recognizer in recognizers if recognizer.context}
        key = RecognizerResult.RECOGNIZER_IDENTIFIER_KEY
        mine = [result for result in raw_results if result.recognition_metadata[key] in with_context]
        others = [result for result in raw_results if result.recognition_metadata[key] not in with_context]
        return [*others, *super().enhance_using_context(text, mine, nlp_artifacts, recognizers, context)]


def build_analyzer(settings: TextSettings, recognizers: list[EntityRecognizer]) -> AnalyzerEngine:
    """An analyzer of exactly these recognizers."""
    nlp_engine = LowerCaseTokenizer(settings.language)
    nlp_engine.load()
    return AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=recognizers, supported_languages=[settings.language]),
        nlp_engine=nlp_engine,
        context_aware_enhancer=ContextWords(),
        supported_languages=[settings.language],
        default_score_threshold=settings.score_threshold,
    )
