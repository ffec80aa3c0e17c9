# SPDX-License-Identifier: Apache-2.0
"""Stock Presidio by patterns alone, to stand beside ours: its 17 English recognizers that are on by default, as it has
them, on a blank tokenizer with lower-cased lemmas (so that its context words count). No name model, no download.

Every result above a score of 0 counts as replaced: that is Presidio's own default. Kept apart from the product's code
on purpose: what ours mends or speeds up must not mend what it is compared with. Source: presidio-analyzer 2.2.366.
"""

from __future__ import annotations

import importlib.metadata
import logging
from typing import Any

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpArtifacts, SlimSpacyNlpEngine

from simulations.benchmarks.spans import Masked

RECOGNIZERS = 17
FINGERPRINT = f"stock presidio-analyzer {importlib.metadata.version('presidio-analyzer')}"


class BlankTokenizer(SlimSpacyNlpEngine):  # type: ignore[misc]
    """A blank English pipeline; the lemma is the lower-cased token."""

    def __init__(self) -> None:
        self.models: list[dict[str, str]] = []
        self.auto_download = False
        self.nlp: dict[str, Any] | None = {"en": spacy.blank("en")}

    def load(self) -> None:
        """Nothing to load."""

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


class StockPresidio:
    """Finds by Presidio's own default patterns."""

    fingerprint = FINGERPRINT

    def __init__(self) -> None:
        tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
        logging.getLogger("presidio-analyzer").disabled = True
        registry = RecognizerRegistry(supported_languages=["en"])
        registry.load_predefined_recognizers(languages=["en"])
        patterns = [one for one in registry.recognizers if type(one).__name__ != "SpacyRecognizer"]
        if len(patterns) != RECOGNIZERS:
            raise RuntimeError(f"stock Presidio has {len(patterns)} recognizers of patterns, not {RECOGNIZERS}")
        self._analyzer = AnalyzerEngine(
            registry=RecognizerRegistry(recognizers=patterns, supported_languages=["en"]),
            nlp_engine=BlankTokenizer(),
            supported_languages=["en"],
        )

    def analyze(self, text: str) -> list[Masked]:
        """All that it reports."""
        if not text.strip():
            return []
        return sorted(Masked(r.start, r.end, r.entity_type) for r in self._analyzer.analyze(text, "en"))
