# SPDX-License-Identifier: Apache-2.0
"""What Presidio lacks, one recognizer a file, found by the names of the files. No heavy library is needed here.

To add one, write `privacy/text/find/recognizers/<name>.py` with `build(settings) -> Recognizer`; a file that starts
with an underscore is no recognizer. Patterns must cost at most about linear time: they run on text that others wrote.
"""

from __future__ import annotations

from typing import Protocol

from privacy.base import parts
from privacy.text.reading.records import Finding
from privacy.text.settings import TextSettings


class Recognizer(Protocol):
    """Finds one kind of identifier. `find` depends on its argument alone and may be called from any process."""

    name: str
    entity_types: tuple[str, ...]

    def find(self, text: str) -> list[Finding]:
        """Every finding in `text`, in its offsets; may overlap. `text` is a view (privacy.text.reading.view)."""
        ...


ENGLISH_ALONE = ("addresses", "ages", "names")
"""Recognizers of English words and English capitals: left out where `language` is another, as they would mask nouns."""


def build_all(settings: TextSettings) -> list[Recognizer]:
    """Every recognizer of this folder that suits the site's language, by name."""
    room = "privacy.text.find.recognizers"
    names = [name for name in parts.names(room) if settings.language == "en" or name not in ENGLISH_ALONE]
    built: list[Recognizer] = [parts.load(room, name).build(settings) for name in names]
    return built
