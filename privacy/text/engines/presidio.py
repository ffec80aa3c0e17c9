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
import re
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


class UrlAfterDot(UrlRecognizer):  # type: ignore[misc]
    """Presidio's costly URL pattern, run only where a dot stands right before a letter: every match holds that."""

    _GATE = re.compile(r"\.[^\W\d_]")

    def analyze(self, text: str, *arguments: Any, **named: Any) -> list[RecognizerResult]:
        """As Presidio's, or nothing where no address can be."""
        return super().analyze(text, *arguments, **named) if self._GATE.search(text) else []  # type: ignore[no-any-return]


class Ours(EntityRecognizer):  # type: ignore[misc]
    """privacy.text.recognizers as one recognizer of Presidio's; each result keeps the name of the one that found it."""

    def __init__(self, recognizers: list[Recognizer]) -> None:
        self._recognizers = recognizers
        types = sorted({name for recognizer in recognizers for name in recognizer.entity_types})
        super().__init__(supported_entities=types, name="collab", supported_language="en")

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """The recognizers' findings as Presidio's results."""
        name, identifier = RecognizerResult.RECOGNIZER_NAME_KEY, RecognizerResult.RECOGNIZER_IDENTIFIER_KEY
        return [
            RecognizerResult(f.entity_type, f.start, f.end, f.score, None, {name: f.recognizer, identifier: self.id})
            for recognizer in self._recognizers
            for f in recognizer.find(text)
        ]


class PresidioEngine:
    """The engine. Not to be shared between threads."""

    def __init__(self, settings: TextSettings) -> None:
        ours = build_all(settings)
        recognizers = [*_presidios_own(settings), Ours(ours)]
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
        self.fingerprint: Digest = _fingerprint(settings, [one.name for one in (*recognizers, *ours)])

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
        UrlAfterDot(),
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
