# SPDX-License-Identifier: Apache-2.0
"""What goes in and what comes out: a row of private text, a finding in it, the anonymized record.

Rules: a finding keeps type, span and score, never the words; no repr shows text, label or an identifier, so that a
stray log line or a traceback shows none either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

ENTITY_TYPES = frozenset(
    {
        "ACCOUNT_NUMBER",
        "AGE",
        "CREDIT_CARD",
        "CRYPTO",
        "DATE_TIME",
        "DEMOGRAPHIC",
        "DEVICE_ID",
        "EMAIL_ADDRESS",
        "HEALTH_PLAN_ID",
        "IBAN_CODE",
        "ID_NUMBER",
        "IP_ADDRESS",
        "LICENSE_NUMBER",
        "LOCATION",
        "MAC_ADDRESS",
        "MEDICAL_LICENSE",
        "MEDICAL_RECORD_NUMBER",
        "MONEY",
        "ORGANIZATION",
        "PERSON",
        "PHONE_NUMBER",
        "SITE_TERM",
        "UK_NHS",
        "UK_NINO",
        "UK_POSTCODE",
        "URL",
        "US_BANK_NUMBER",
        "US_ITIN",
        "US_MBI",
        "US_NPI",
        "US_PASSPORT",
        "US_SSN",
        "UUID",
        "VEHICLE_ID",
    }
)
"""Every type a finding may have, and so every tag that may stand in anonymized text. A closed set: text in angle
brackets that is no such tag is ordinary text and is analyzed."""

FLAG_TYPES = frozenset({"BIOMETRIC", "PHOTO"})
"""Types of findings that no replacement cures: the words tell of a fingerprint or a photograph elsewhere. These
words stay in the text, and the record is flagged."""


Offsets = tuple[int, int]
"""Characters [start, end) of a text."""


@dataclass(frozen=True, slots=True, order=True, repr=False)
class Span:
    """Characters [start, end) of a text carry `label`: what people marked, as a finding is what a recognizer found."""

    start: int
    end: int
    label: str

    def __repr__(self) -> str:
        return f"Span({self.end - self.start} characters)"


@dataclass(frozen=True, slots=True, repr=False)
class TextRow:
    """One row of private text. `patient_id` is None where the site has no patient column.

    `known_names`: names that the row's own columns hold, of the patient or of relatives; looked for in this row alone.
    `spans`: marked spans of `text`. `pair`: a second text, as private as the first (a question, the other sentence).
    """

    record_id: str
    text: str
    label: str | None = None
    patient_id: str | None = None
    known_names: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    pair: str | None = None

    def __repr__(self) -> str:
        return f"TextRow({len(self.text)} characters)"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Characters [start, end) of the original text are of `entity_type`, says `recognizer`, with `score` in 0..1."""

    start: int
    end: int
    entity_type: str
    score: float
    recognizer: str


_ORDER = attrgetter("start", "end", "entity_type", "score", "recognizer")


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """As `sorted` has it, and several times faster than by comparing two findings at a time."""
    return sorted(findings, key=_ORDER)


@dataclass(frozen=True, slots=True, repr=False)
class AnonymizedRecord:
    """A row whose findings were replaced. `findings` are disjoint, sorted, in offsets of the original text.

    `flags`: which FLAG_TYPES the text speaks of, sorted. `spans` are the row's, in offsets of the anonymized text (see
    privacy.text.replace.spans); `pair` is the second text, anonymized, or None; `pair_findings` are those replaced in
    it.
    """

    record_id: str
    text: str
    label: str | None
    patient_id: str | None
    findings: tuple[Finding, ...]
    flags: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    pair: str | None = None
    pair_findings: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        return f"AnonymizedRecord({len(self.text)} characters, {len(self.findings)} findings)"
