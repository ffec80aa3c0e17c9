# SPDX-License-Identifier: Apache-2.0
"""Presidio's analyzer with our own tokenizer, an explicit list of recognizers and no way to the network.

Rules: no default `AnalyzerEngine()` (it downloads a model); the lemma is the lower-cased token, or context scoring is
silently dead; recognizers come from the allow-list below and from privacy.text.recognizers; Presidio's logger is
closed, since it writes context words of the text at DEBUG level. Source: presidio-analyzer 2.2.366 (pinned: parts of
it are subclassed); https://microsoft.github.io/presidio.
"""

from __future__ import annotations

import gc
import importlib.metadata
import logging
import sys
from pathlib import Path
from typing import Any

import presidio_analyzer.predefined_recognizers as predefined
import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer
from presidio_analyzer.nlp_engine import NlpArtifacts, SlimSpacyNlpEngine
from presidio_analyzer.predefined_recognizers import EmailRecognizer, PhoneRecognizer, UrlRecognizer

from privacy.canonical import decimal_string, digest_of
from privacy.errors import SettingsError
from privacy.identifiers import Digest, sha256_file
from privacy.text.engines import refuse_services
from privacy.text.recognizers import Recognizer, build_all
from privacy.text.records import Finding
from privacy.text.settings import TextSettings

EVERYWHERE = (
    "CreditCardRecognizer",
    "CryptoRecognizer",
    "DateRecognizer",
    "IbanRecognizer",
    "IpRecognizer",
    "MacAddressRecognizer",
    "UuidRecognizer",
)
BY_COUNTRY = {
    "US": (
        "MedicalLicenseRecognizer",
        "UsBankRecognizer",
        "UsItinRecognizer",
        "UsMbiRecognizer",
        "UsNpiRecognizer",
        "UsPassportRecognizer",
    ),
    "GB": ("NhsRecognizer", "UkNinoRecognizer", "UkPostcodeRecognizer"),
}
"""Presidio's recognizers that we use, by class name. UsLicenseRecognizer is left out on purpose: it takes B12, T12, L4
and
E11 for driving licences. UsSsnRecognizer too: ours masks mistyped numbers as well."""

_LIBRARIES = ("presidio-analyzer", "phonenumbers", "regex", "spacy", "tldextract")
_ROOM = Path(__file__).resolve().parents[1]
_SOURCES = ("engines/presidio.py", "view.py", "records.py", "recognizers")


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


class EmailByShape(EmailRecognizer):  # type: ignore[misc]
    """Presidio's e-mail pattern without its demand for a public suffix: `.local` and `.corp` are addresses too."""

    def validate_result(self, pattern_text: str) -> bool | None:
        """Neither proof nor doubt: the shape is enough."""
        return None


class Ours(EntityRecognizer):  # type: ignore[misc]
    """One of privacy.text.recognizers in Presidio's clothes."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        super().__init__(
            supported_entities=list(recognizer.entity_types), name=recognizer.name, supported_language="en"
        )

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """The recognizer's findings as Presidio's results."""
        metadata = {
            RecognizerResult.RECOGNIZER_NAME_KEY: self.name,
            RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
        }
        return [
            RecognizerResult(f.entity_type, f.start, f.end, f.score, None, metadata)
            for f in self._recognizer.find(text)
        ]


class PresidioEngine:
    """The engine. Not to be shared between threads."""

    def __init__(self, settings: TextSettings) -> None:
        recognizers = [*_presidios_own(settings), *(Ours(one) for one in build_all(settings))]
        for recognizer in recognizers:
            refuse_services(type(recognizer).__name__)
        nlp_engine = LowerCaseTokenizer(settings.language)
        nlp_engine.load()
        self._language = settings.language
        self._analyzer = AnalyzerEngine(
            registry=RecognizerRegistry(recognizers=recognizers, supported_languages=[settings.language]),
            nlp_engine=nlp_engine,
            context_aware_enhancer=ContextWords(),
            supported_languages=[settings.language],
            default_score_threshold=settings.score_threshold,
        )
        # The libraries' objects live as long as the process: full collections need not walk them again and again.
        gc.freeze()
        self.fingerprint: Digest = _fingerprint(settings, [recognizer.name for recognizer in recognizers])

    def analyze(self, text: str) -> list[Finding]:
        """Every finding in `text` at or above the threshold, sorted."""
        if not text.strip():
            return []
        results = self._analyzer.analyze(text, self._language)
        key = RecognizerResult.RECOGNIZER_NAME_KEY
        return sorted(
            Finding(r.start, r.end, r.entity_type, round(float(r.score), 4), r.recognition_metadata[key])
            for r in results
        )


def _presidios_own(settings: TextSettings) -> list[EntityRecognizer]:
    names = [*EVERYWHERE, *(name for country in settings.countries for name in BY_COUNTRY.get(country, ()))]
    regions = tuple(settings.countries)
    return [
        EmailByShape(),
        # The first two patterns find what the other two find in quotes, at half the cost.
        UrlRecognizer(patterns=UrlRecognizer.PATTERNS[:2], supported_language=settings.language),
        PhoneRecognizer(supported_regions=regions, supported_language=settings.language),
        *(getattr(predefined, name)(supported_language=settings.language) for name in names),
    ]


def _fingerprint(settings: TextSettings, recognizers: list[str]) -> Digest:
    """Over the settings that change findings, every source and list of this room, and the libraries' versions."""
    files = [_ROOM / source for source in _SOURCES]
    files = [file for entry in files for file in (sorted(entry.rglob("*")) if entry.is_dir() else [entry])]
    return digest_of(
        {
            "engine": "presidio",
            "language": settings.language,
            "countries": settings.countries,
            "score_threshold": decimal_string(settings.score_threshold),
            "mrn_pattern": settings.mrn_pattern,
            "deny_list": settings.deny_list,
            "recognizers": recognizers,
            "sources": [
                [str(file.relative_to(_ROOM)), sha256_file(file)] for file in files if file.suffix in (".py", ".txt")
            ],
            "libraries": [[name, importlib.metadata.version(name)] for name in _LIBRARIES],
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        }
    )


def build(settings: TextSettings) -> PresidioEngine:
    """The engine for `settings`. Touches no network, now or later. Raises SettingsError for an unknown country."""
    from phonenumbers import SUPPORTED_REGIONS

    unknown = sorted(set(settings.countries) - set(SUPPORTED_REGIONS))
    if unknown:
        raise SettingsError(
            f"no phone numbers are known for {', '.join(unknown)}", next_step="use ISO 3166-1 codes such as US or GB"
        )
    # Only the list of public suffixes that tldextract carries with it: it must neither fetch one nor read a stale
    # cache.
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    # At DEBUG level Presidio logs context words, which are words of the text; nothing it logs is of use to a site.
    logging.getLogger("presidio-analyzer").disabled = True
    logging.getLogger("tldextract").disabled = True
    return PresidioEngine(settings)
