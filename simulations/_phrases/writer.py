# SPDX-License-Identifier: Apache-2.0
"""Writer: grows one note from templates and notes at which characters each identifier went."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from string import Formatter

from privacy.text.report import PlantedSpan

ENTITY_OF_SLOT = {
    "patient": "PERSON",
    "family": "PERSON",
    "clinician": "PERSON",
    "relative": "PERSON",
    "date": "DATE",
    "born": "DATE",
    "phone": "PHONE",
    "email": "EMAIL",
    "mrn": "MRN",
    "ssn": "SSN",
    "address": "LOCATION",
    "age": "AGE",
    "account": "ACCOUNT",
    "url": "URL",
}
OLDEST_PLAIN_AGE = 89  # an age over 89 identifies (HIPAA, 45 CFR 164.514(b)(2)(i)(C))


@cache
def _parsed(template: str) -> tuple[tuple[str, str | None], ...]:
    return tuple((literal, slot) for literal, slot, _, _ in Formatter().parse(template))


@cache
def identifiers_in(template: str) -> int:
    """How many identifiers `template` may plant."""
    return sum(slot in ENTITY_OF_SLOT for _, slot in _parsed(template))


class Writer:
    """One growing text. `fill(slot)` gives a slot's value; `abbreviations` shorten all but identifiers."""

    def __init__(self, abbreviations: tuple[tuple[str, str], ...], fill: Callable[[str], str]) -> None:
        self.planted: list[PlantedSpan] = []
        self._abbreviations = abbreviations
        self._fill = fill
        self._text = ""

    def text(self) -> str:
        return self._text

    def add(self, template: str, separator: str = "") -> None:
        """Append the filled `template`, after `separator` unless the text is at the start of a line."""
        if self._text and not self._text.endswith("\n"):
            self._text += separator
        for literal, slot in _parsed(template):
            self._text += self._short(literal)
            if slot is not None:
                self._add_value(slot, self._fill(slot))

    def _add_value(self, slot: str, value: str) -> None:
        entity_type = ENTITY_OF_SLOT.get(slot)
        if entity_type is None or (entity_type == "AGE" and int(value) <= OLDEST_PLAIN_AGE):
            self._text += self._sentence_case(self._short(value))
            return
        start = len(self._text)
        self._text += value
        self.planted.append(PlantedSpan(start, len(self._text), entity_type))

    def _sentence_case(self, value: str) -> str:
        starts = not self._text or self._text.endswith(("\n", ". "))
        return value[0].upper() + value[1:] if starts else value

    def _short(self, text: str) -> str:
        for long, short in self._abbreviations:
            if long in text:
                text = re.sub(rf"\b{long}\b", short, text)
        return text
