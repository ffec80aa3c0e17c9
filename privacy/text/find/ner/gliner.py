# SPDX-License-Identifier: Apache-2.0
"""Names by a GLiNER model, which is asked for kinds of words in plain English: a local folder, or a cached hub name.

Rules: weights are safetensors; the model and its tokenizer are read from their folder alone; a long text is read in
pieces that overlap, and a piece that GLiNER cuts all the same is an error, not a text half read. `names_labels`
replaces what is asked for: { "name of a ward" = "ORGANIZATION" }.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from privacy.base.identifiers import Digest
from privacy.text.find.ner import _models
from privacy.text.reading.records import Finding
from privacy.text.settings import KEEP, TextSettings

ANY_LANGUAGE: Final = True
QUESTIONS: Final = {
    "person": "PERSON",
    "city": "LOCATION",
    "country": "LOCATION",
    "address": "LOCATION",
    "organization": "ORGANIZATION",
    "hospital": "ORGANIZATION",
    "date": "DATE_TIME",
    "nationality": "DEMOGRAPHIC",
}
"""What is asked for where the site does not say."""

_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
_WORDS = 150
_WORD = re.compile(r"\w+(?:[-_]\w+)*|\S")  # the words that GLiNER counts


class GlinerNames:
    """Zero-shot spans above `names_threshold`."""

    name = "gliner"

    def __init__(self, settings: TextSettings) -> None:
        folder = _models.hub_folder(settings, _FILES)
        _models.refuse_code(folder)
        self._model = _load(folder)
        self._words = min(_WORDS, int(self._model.config.max_len))
        self._threshold = settings.names_threshold
        labels = settings.names_labels or QUESTIONS
        self._types = {label: entity_type for label, entity_type in labels.items() if entity_type != KEEP}
        self.fingerprint: Digest = _models.fingerprint(settings, folder, ("gliner", "transformers", "torch"), __file__)

    def find(self, text: str) -> list[Finding]:
        """See privacy.text.find.ner.NameRecognizer."""
        findings: set[Finding] = set()
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*truncated")
            for start, end in _pieces(text, self._words):
                findings.update(self._in(text[start:end], start))
        return sorted(findings)

    def _in(self, piece: str, offset: int) -> list[Finding]:
        entities = self._model.predict_entities(piece, list(self._types), threshold=self._threshold)
        return [
            Finding(
                offset + int(entity["start"]),
                offset + int(entity["end"]),
                self._types[entity["label"]],
                max(_models.LEAST_SCORE, min(1.0, round(float(entity["score"]), 3))),
                self.name,
            )
            for entity in entities
        ]


def _pieces(text: str, words: int) -> Iterator[tuple[int, int]]:
    """Spans of at most `words` of GLiNER's words each, every one a quarter into the one before."""
    spans = [match.span() for match in _WORD.finditer(text)]
    for first in range(0, len(spans), max(1, words - words // 4)):
        last = min(first + words, len(spans)) - 1
        yield spans[first][0], spans[last][1]
        if last == len(spans) - 1:
            return


def _load(folder: Path) -> Any:
    gliner = _models.library(
        "gliner", "pip install --no-deps gliner==0.2.29 sentencepiece (docs/adr/0010-dependencies.md)"
    )
    try:
        return gliner.GLiNER.from_pretrained(str(folder), local_files_only=True, map_location="cpu").eval()
    except Exception:
        raise _models.broken(folder) from None


def build(settings: TextSettings) -> GlinerNames:
    """The recognizer. Raises SettingsError where library or model is missing."""
    return GlinerNames(settings)
