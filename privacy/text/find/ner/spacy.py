# SPDX-License-Identifier: Apache-2.0
"""Names by a spaCy pipeline: an installed model package, or a folder that `nlp.to_disk` has written.

Rules: never `spacy.cli.download`, whatever `allow_download` says: a model by name is a Python package, and installing
one while text is being read would run code that nobody has looked at. spaCy gives no probabilities, so every finding
has the same score and `names_threshold` is not used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from privacy.base.errors import SettingsError
from privacy.base.identifiers import Digest
from privacy.text.find.ner import _models
from privacy.text.reading.records import Finding
from privacy.text.settings import TextSettings

ANY_LANGUAGE: Final = True
SCORE: Final = 0.85
"""That of Presidio's own spaCy recognizer."""

_NEVER_NEEDED = ("tagger", "morphologizer", "parser", "senter", "attribute_ruler", "lemmatizer", "textcat")
_READS_WORD_CLASSES = ("entity_ruler", "span_ruler")


class SpacyNames:
    """Entities of `doc.ents`, their labels in our types."""

    name = "spacy"

    def __init__(self, settings: TextSettings) -> None:
        self._nlp = _load(settings)
        finders = [pipe for pipe in self._nlp.pipe_names if "doc.ents" in self._nlp.get_pipe_meta(pipe).assigns]
        if not finders:
            raise SettingsError(
                "the pipeline of text.names_model finds no entities", next_step="choose one with an 'ner' component"
            )
        if not set(self._nlp.pipe_names).intersection(_READS_WORD_CLASSES):
            self._nlp.select_pipes(disable=[pipe for pipe in self._nlp.pipe_names if pipe in _NEVER_NEEDED])
        labels = {label for pipe in finders for label in self._nlp.get_pipe(pipe).labels}
        self._types = _models.map_labels(labels, settings)
        self.fingerprint: Digest = _models.fingerprint(settings, self._nlp.path, ("spacy", "thinc", "numpy"), __file__)

    def find(self, text: str) -> list[Finding]:
        """See privacy.text.find.ner.NameRecognizer. spaCy forgets the words of the text afterwards."""
        with self._nlp.memory_zone():
            return [
                Finding(entity.start_char, entity.end_char, self._types[entity.label_], SCORE, self.name)
                for entity in self._nlp(text).ents
                if entity.label_ in self._types
            ]


def _load(settings: TextSettings) -> Any:
    name = _models.model_name(settings)
    spacy = _models.library("spacy", "it is a dependency of collab")
    if _models.is_folder(name):
        _models.existing(name)
    elif not spacy.util.is_package(name):
        raise SettingsError(
            f"text.names_model: there is no spaCy model '{name}' here",
            next_step="install its package into this environment, or give the folder of a saved one (./models/...): "
            "packages are never installed for you",
        )
    try:
        nlp = spacy.load(name)
    except Exception:
        raise _models.broken(Path(name)) from None
    if nlp.lang not in (settings.language, "xx"):
        raise SettingsError(
            f"the model of text.names_model is for language '{nlp.lang}', and text.language is '{settings.language}'",
            next_step="choose a model of the text's language",
        )
    return nlp


def build(settings: TextSettings) -> SpacyNames:
    """The recognizer. Touches no network. Raises SettingsError where the model is missing or unfit for the language."""
    return SpacyNames(settings)
