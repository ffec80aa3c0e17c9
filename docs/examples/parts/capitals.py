# SPDX-License-Identifier: Apache-2.0
"""Every run of two or three capitalised words is a name: for texts where masking too much is no loss."""

from __future__ import annotations

import re
from pathlib import Path

from privacy.base.identifiers import Digest, sha256_file
from privacy.text.reading.records import Finding
from privacy.text.settings import TextSettings

RUN = re.compile(r"\b[^\W\d_a-z][^\W\d_]{1,30}(?: [^\W\d_a-z][^\W\d_]{1,30}){1,2}\b")


class Capitals:
    """See privacy.text.find.ner.NameRecognizer."""

    name = "capitals"
    fingerprint: Digest = sha256_file(Path(__file__))

    def find(self, text: str) -> list[Finding]:
        return [Finding(run.start(), run.end(), "PERSON", 0.5, self.name) for run in RUN.finditer(text)]


def build(settings: TextSettings) -> Capitals:
    """The recognizer; needs no settings."""
    return Capitals()
