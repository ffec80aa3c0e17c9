# SPDX-License-Identifier: Apache-2.0
"""Names by Stanford's stanza: `names_model` is the folder of its resources, which holds a folder a language.

Rules: DownloadMethod.NONE unless the site allows a download; stanza reads its weights as tensors alone (torch's
weights_only), from version 1.13 on; its logger is closed. It gives no probabilities, so every finding has the same
score and `names_threshold` is not used.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

from privacy.base.errors import SettingsError
from privacy.base.identifiers import Digest
from privacy.text.find.ner import _models
from privacy.text.reading.records import Finding
from privacy.text.settings import TextSettings

ANY_LANGUAGE: Final = True
SCORE: Final = 0.85

_PROCESSORS = "tokenize,ner"


class StanzaNames:
    """Entities of a stanza pipeline, their labels in our types."""

    name = "stanza"

    def __init__(self, settings: TextSettings) -> None:
        folder = Path(_models.model_name(settings))
        self._pipeline = _load(settings, folder)
        self._types = _models.map_labels(self._pipeline.processors["ner"].get_known_tags(), settings)
        self.fingerprint: Digest = _models.fingerprint(
            settings, folder / settings.language, ("stanza", "torch"), __file__
        )

    def find(self, text: str) -> list[Finding]:
        """See privacy.text.find.ner.NameRecognizer."""
        return [
            Finding(entity.start_char, entity.end_char, self._types[entity.type], SCORE, self.name)
            for entity in self._pipeline(text).ents
            if entity.type in self._types
        ]


def _load(settings: TextSettings, folder: Path) -> Any:
    stanza = _models.library("stanza", "pip install 'collab[stanza]'")
    logging.getLogger("stanza").disabled = True
    if not settings.allow_download:
        _models.close_hub()
    if not settings.allow_download and not (folder / settings.language).is_dir():
        raise SettingsError(
            f"text.names_model: {folder.name} holds no stanza model for '{settings.language}'",
            next_step=f"run stanza.download('{settings.language}', model_dir=...) elsewhere and bring the folder, or "
            "set text.allow_download = true for one start",
        )
    methods = stanza.DownloadMethod
    try:
        return stanza.Pipeline(
            settings.language,
            dir=str(folder),
            processors=_PROCESSORS,
            download_method=methods.REUSE_RESOURCES if settings.allow_download else methods.NONE,
            allow_unknown_language=False,
            use_gpu=False,
            verbose=False,
        )
    except Exception:
        raise _models.broken(folder) from None


def build(settings: TextSettings) -> StanzaNames:
    """The recognizer. Raises SettingsError where library or model is missing."""
    return StanzaNames(settings)
