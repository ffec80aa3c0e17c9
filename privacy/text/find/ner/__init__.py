# SPDX-License-Identifier: Apache-2.0
"""Recognizers of names, places and organisations that need a model: one file each, found by the name of the file.

To add one, write `privacy/text/find/ner/<name>.py` with `build(settings) -> NameRecognizer`. It works without a network
unless the site says `allow_download = true`, never sends or logs text, and its fingerprint covers all that may change a
finding: weights, versions, thresholds. Heavy libraries are imported by the file that needs them alone. A file whose
models can be of another language than English says so: `ANY_LANGUAGE = True`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Final, Protocol

from privacy.base import parts
from privacy.base.errors import SettingsError
from privacy.base.identifiers import Digest
from privacy.text.find.services import refuse_services
from privacy.text.reading.records import Finding
from privacy.text.settings import TextSettings

_ROOM: Final = "privacy.text.find.ner"


class NameRecognizer(Protocol):
    """Finds names by a model. `fingerprint` changes with anything that may change a finding."""

    name: str
    fingerprint: Digest

    def find(self, text: str) -> list[Finding]:
        """Every finding in `text` (a view: privacy.text.reading.view), in its offsets; may overlap. Deterministic.

        Raises whatever goes wrong: the caller then drops the row. Nothing of the text may be in a log or an error.
        """
        ...


def load(settings: TextSettings) -> NameRecognizer:
    """The recognizer of names that `settings.names` names.

    Raises AnonymizationError if it would send text to a service, SettingsError if there is no such file or model, or
    if it cannot be of the site's language.
    """
    refuse_services(settings.names)
    room = parts.load(_ROOM, settings.names)
    if settings.language != "en" and not _any_language(room):
        choices = [name for name in parts.names(_ROOM) if _any_language(parts.load(_ROOM, name))]
        raise SettingsError(
            f"text.names = '{settings.names}' finds names in English (en) alone, and text.language is "
            f"'{settings.language}'",
            next_step=f"set text.names to one of {', '.join(choices)} and text.names_model to a model made for "
            f"'{settings.language}'",
        )
    recognizer: NameRecognizer = room.build(settings)
    return recognizer


def _any_language(room: ModuleType) -> bool:
    return getattr(room, "ANY_LANGUAGE", False) is True
