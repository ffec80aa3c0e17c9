# SPDX-License-Identifier: Apache-2.0
"""Recognizers of names, places and organisations that need a model: one file each, found by the name of the file.

To add one, write `privacy/text/ner/<name>.py` with `build(settings) -> NameRecognizer`. It works without a network
unless the site says `allow_download = true`, never sends or logs text, and its fingerprint covers all that may change a
finding: weights, versions, thresholds. Heavy libraries are imported by the file that needs them alone.
"""

from __future__ import annotations

from typing import Protocol

from privacy import parts
from privacy.identifiers import Digest
from privacy.text.engines import refuse_services
from privacy.text.records import Finding
from privacy.text.settings import TextSettings


class NameRecognizer(Protocol):
    """Finds names by a model. `fingerprint` changes with anything that may change a finding."""

    name: str
    fingerprint: Digest

    def find(self, text: str) -> list[Finding]:
        """Every finding in `text` (a view: privacy.text.view), in its offsets; may overlap. Deterministic.

        Raises whatever goes wrong: the caller then drops the row. Nothing of the text may be in a log or an error.
        """
        ...


def load(settings: TextSettings) -> NameRecognizer:
    """The recognizer of names that `settings.names` names.

    Raises AnonymizationError if it would send text to a service, SettingsError if there is no such file or model.
    """
    refuse_services(settings.names)
    recognizer: NameRecognizer = parts.load("privacy.text.ner", settings.names).build(settings)
    return recognizer
