# SPDX-License-Identifier: Apache-2.0
"""The engine: Presidio's patterns, our recognizers and a recognizer of names, their union, and no way to the network.

Rules: no `AnalyzerEngine` (the default one downloads a model; `_recognition` does its work); recognizers come from the
allow-list in `_stock`, from privacy.text.find.recognizers and from privacy.text.find.ner; what one of them shows to be
a name is looked for in the whole text (privacy.text.find.propagation); Presidio's logger is closed, since it writes
context words of the text at DEBUG level.
"""

from __future__ import annotations

import gc
import importlib.metadata
import logging
import sys
from collections.abc import Iterable
from pathlib import Path

import tldextract

from privacy.base.canonical import decimal_string, digest_of
from privacy.base.errors import SettingsError
from privacy.base.identifiers import Digest, sha256_file
from privacy.commandline.settings_file import plain
from privacy.text.find import ner
from privacy.text.find.allow_list import AllowList
from privacy.text.find.engines._recognition import Recognition
from privacy.text.find.engines._stock import build_stock
from privacy.text.find.ner import NameRecognizer
from privacy.text.find.ner.none import NoModel
from privacy.text.find.propagation import propagate
from privacy.text.find.recognizers import build_all
from privacy.text.find.services import refuse_services
from privacy.text.find.stability import settle
from privacy.text.reading.records import Finding, in_order
from privacy.text.settings import TextSettings

_LIBRARIES = ("presidio-analyzer", "phonenumbers", "regex", "spacy", "tldextract")
_ROOM = Path(__file__).resolve().parents[2]
_SOURCES = (
    "find/engines",
    "reading/view.py",
    "reading/records.py",
    "find/propagation.py",
    "find/stability.py",
    "reading/overlaps.py",
    "reading/tokens.py",
    "find/ner",
    "find/tagger",
    "find/allow_list.py",
    "find/recognizers",
    "lists",
)


class PresidioEngine:
    """The engine. Not to be shared between threads."""

    def __init__(self, settings: TextSettings, names: NameRecognizer) -> None:
        # Presidio's patterns and their context words are the same for every language that a site may have.
        english = settings.model_copy(update={"language": "en"})
        stock = build_stock(english)
        self._ours = build_all(settings)
        self._names = names
        self._allowed = AllowList(settings.allow_list)
        for recognizer in stock:
            refuse_services(type(recognizer).__name__)
        self._threshold = settings.score_threshold
        self._recognition = Recognition(stock, english.language, settings.score_threshold)
        # The libraries' objects live as long as the process: full collections need not walk them again and again.
        gc.freeze()
        used = [recognizer.name for recognizer in (*stock, *self._ours, names)]
        self.fingerprint: Digest = _fingerprint(settings, used, names.fingerprint)

    def analyze(self, text: str) -> list[Finding]:
        """Every finding in `text` at or above the threshold, sorted."""
        if not text.strip():
            return []
        reported = [*self._patterns(text), *self._names.find(text)]
        for recognizer in self._ours:
            reported += recognizer.find(text)
        findings = self._settled(text, reported)
        if isinstance(self._names, NoModel):
            return in_order(findings)
        return in_order(settle(text, findings, self._read_again))

    def _read_again(self, tagged: str) -> set[Finding]:
        """What the model finds in a text with its tags."""
        reported = self._names.find(tagged)
        return self._settled(tagged, reported) if reported else set()

    def _settled(self, text: str, reported: Iterable[Finding]) -> set[Finding]:
        """What is found for good: above the threshold, not on the allow list, and what spreads from it."""
        strong = (finding for finding in reported if finding.score >= self._threshold)
        allowed = self._allowed.without_allowed(text, strong)
        return allowed | self._allowed.without_allowed(text, propagate(text, allowed))

    def _patterns(self, text: str) -> list[Finding]:
        return [
            Finding(r.start, r.end, r.entity_type, round(float(r.score), 4), r.recognizer)
            for r in self._recognition.analyze(text)
        ]


def _fingerprint(settings: TextSettings, recognizers: list[str], names: Digest) -> Digest:
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
            "allow_list": settings.allow_list,
            "site_recognizers": [plain(recognizer) for recognizer in settings.recognizers],
            "quasi_identifiers": settings.quasi_identifiers,
            "recognizers": recognizers,
            "names": names,
            "sources": [
                [str(file.relative_to(_ROOM)), sha256_file(file)] for file in files if file.suffix in (".py", ".txt")
            ],
            "libraries": [[name, importlib.metadata.version(name)] for name in _LIBRARIES],
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        }
    )


def build(settings: TextSettings, names: NameRecognizer | None = None) -> PresidioEngine:
    """The engine for `settings`; with `names`, with that recognizer of names instead, for measuring it.

    Touches no network, now or later. Raises SettingsError for an unknown country.
    """
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
    return PresidioEngine(settings, ner.load(settings) if names is None else names)
