# SPDX-License-Identifier: Apache-2.0
"""Condition: what one illness says in a note. Conditions of every service fill the same slots of the same sentences."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Condition:
    """One illness: noun phrases for names, complaints, findings, studies and drugs; plans follow "will" or "to"."""

    names: tuple[str, ...]
    complaints: tuple[str, ...]
    findings: tuple[str, ...]
    studies: tuple[str, ...]
    drugs: tuple[str, ...]
    plans: tuple[str, ...]


def listed(text: str) -> tuple[str, ...]:
    """The parts of "one; two; three", with inner line breaks and double spaces made single spaces."""
    return tuple(" ".join(part.split()) for part in text.split(";"))


def condition(*, names: str, complaints: str, findings: str, studies: str, drugs: str, plans: str) -> Condition:
    """A Condition from lists written as "one; two; three"."""
    columns = (names, complaints, findings, studies, drugs, plans)
    return Condition(*(listed(column) for column in columns))
