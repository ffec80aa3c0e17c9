# SPDX-License-Identifier: Apache-2.0
"""No model at all: names by rules and lists alone (recognizers/names.py). Fast, and it misses people."""

from __future__ import annotations

from privacy.base.canonical import digest_of
from privacy.base.identifiers import Digest
from privacy.text.reading.records import Finding
from privacy.text.settings import TextSettings


class NoModel:
    """Finds nothing."""

    name = "none"
    fingerprint: Digest = digest_of({"names": "none"})

    def find(self, text: str) -> list[Finding]:
        """Nothing."""
        return []


def build(settings: TextSettings) -> NoModel:
    """The recognizer that needs no model."""
    return NoModel()
