# SPDX-License-Identifier: Apache-2.0
"""The rows of bench-anonymize on labelled sets: what was masked and what was kept, with stock Presidio beside it.

The figures of a release are of the test splits (tab144 has none: its dev); `dev` takes what rules and models may be
developed on instead, so that the others are read for the record only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from simulations.benchmarks import spans
from simulations.benchmarks.findings import Detections
from simulations.benchmarks.report import Row
from simulations.benchmarks.spans import LITERAL, Count, Document, Gold, SpanMeasure, of_types

DIRECT = (
    "PERSON",
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "CREDIT_CARD",
    "US_SSN",
    "IBAN_CODE",
    "US_DRIVER_LICENSE",
    "IP_ADDRESS",
)
"""What alone tells a person apart, of the types of presidio_synth."""


@dataclass(frozen=True)
class Labelled:
    """A set: the splits that a release is measured on, those that development may read, and a quick run's step."""

    name: str
    release: tuple[str, ...]
    development: tuple[str, ...]
    quick: int

    def documents(self, data: Path, *, dev: bool, quick: bool) -> list[Document] | None:
        """Its documents, or None where `data` has not got it."""
        files = [data / self.name / f"{split}.jsonl" for split in (self.development if dev else self.release)]
        if not all(file.exists() for file in files):
            return None
        rows = [document for file in files for document in spans.read(file)]
        return rows[:: self.quick] if quick else rows


SETS = (
    Labelled("presidio_synth", ("test",), ("train", "dev"), 6),
    Labelled("tab144", ("dev",), ("train",), 7),
    Labelled("wnut17", ("test",), ("dev",), 16),
    Labelled("ncbi_disease", ("test",), ("dev",), 16),
    Labelled("mtsamples", ("test",), ("dev",), 20),
)


@dataclass(frozen=True)
class QualityFigure:
    """A row: its measure, the complement of it or itself, and what stands beside it."""

    name: str
    reach: str
    measure: SpanMeasure
    note: str
    rest: bool = False
    beside: Mapping[str, SpanMeasure] | None = None

    def row(self, documents: Sequence[Document], ours: Detections, stock: Detections) -> Row:
        """Measured; None where nothing of the kind is planted."""
        beside = {"stock": self._value(self.measure(documents, stock.masked))}
        beside |= {name: _share(one(documents, ours.masked)) for name, one in (self.beside or {}).items()}
        count = self.measure(documents, ours.masked)
        note = self.note + (f"; {ours.refused} rows refused, counted as unmasked" if ours.refused else "")
        if count.share is None:
            note = f"not measured: nothing of the kind in these texts; {note}"
        figures = {name: value for name, value in beside.items() if value is not None}
        return Row(self.name, self._value(count), "share", self.reach, n=count.planted, beside=figures, note=note)

    def absent(self, reason: str) -> Row:
        """The row where nothing could be measured."""
        return Row(self.name, None, "share", self.reach, n=0, note=f"not measured: {reason}")

    def _value(self, count: Count) -> float | None:
        share = _share(count)
        return None if share is None else round(1 - share, 5) if self.rest else share


def _share(count: Count) -> float | None:
    return None if count.share is None else round(count.share, 5)


def _masked(wanted: spans.GoldFilter, stays: frozenset[str] = spans.MAY_STAY) -> SpanMeasure:
    return lambda documents, replaced: spans.spans_masked(documents, replaced, wanted, stays)


def _leaking(wanted: spans.GoldFilter) -> SpanMeasure:
    return lambda documents, replaced: spans.documents_leaking(documents, replaced, wanted)


def _tokens(wanted: spans.GoldFilter) -> SpanMeasure:
    return lambda documents, replaced: spans.tokens_masked(documents, replaced, wanted)


def _right(called: str, gold: str) -> SpanMeasure:
    return lambda documents, replaced: spans.tokens_right(documents, replaced, called, of_types(gold))


def _touched(wanted: spans.GoldFilter) -> SpanMeasure:
    return lambda documents, replaced: spans.tokens_masked(documents, replaced, wanted, whole=False)


def _of(identifier: str) -> spans.GoldFilter:
    return lambda gold: gold.identifier == identifier


def _any(gold: Gold) -> bool:
    return True


def _no_title_or_age(gold: Gold) -> bool:
    return gold.type not in ("TITLE", "AGE")


SYNTH_TYPES = (
    "GPE",
    "STREET_ADDRESS",
    "ORGANIZATION",
    "DATE_TIME",
    "PHONE_NUMBER",
    "CREDIT_CARD",
    "EMAIL_ADDRESS",
    "NRP",
)
SPAN = "every word character replaced, honorifics may stay (literal: may not)"

FIGURES: Mapping[str, tuple[QualityFigure, ...]] = {
    "presidio_synth": (
        QualityFigure(
            "synth_person_masked",
            ">= 0.99",
            _masked(of_types("PERSON")),
            f"PERSON spans; {SPAN}; other types beside",
            beside={"literal": _masked(of_types("PERSON"), LITERAL)}
            | {kind.lower(): _masked(of_types(kind)) for kind in SYNTH_TYPES},
        ),
        QualityFigure(
            "synth_documents_leaking",
            "<= 0.01",
            _leaking(of_types(*DIRECT)),
            f"of the documents with a direct identifier ({', '.join(DIRECT)}), those with one left",
            beside={"direct_or_street_address": _leaking(of_types(*DIRECT, "STREET_ADDRESS"))},
        ),
        QualityFigure(
            "synth_any_recall",
            ">= 0.95",
            _tokens(_any),
            "tokens of all gold types, TITLE, NRP and AGE included",
            beside={"without_title_and_age": _tokens(_no_title_or_age)},
        ),
        QualityFigure(
            "synth_any_precision",
            ">= 0.80",
            spans.tokens_right,
            "of the tokens touched, those that lie in a gold span of any type",
        ),
    ),
    "tab144": (
        QualityFigure(
            "tab_direct_masked",
            ">= 0.99",
            _masked(_of("DIRECT")),
            f"DIRECT spans; {SPAN}",
            beside={
                "literal": _masked(_of("DIRECT"), LITERAL),
                "documents_leaking": _leaking(_of("DIRECT")),
            },
        ),
        QualityFigure(
            "tab_quasi_masked",
            ">= 0.93",
            _masked(_of("QUASI")),
            f"QUASI spans; {SPAN}",
            beside={"literal": _masked(_of("QUASI"), LITERAL)},
        ),
        QualityFigure("tab_words_kept", ">= 0.80", spans.words_touched, "of all tokens, those not touched", rest=True),
    ),
    "wnut17": (
        QualityFigure(
            "wnut_person_masked",
            ">= 0.93",
            _masked(of_types("person")),
            f"person spans, by any finding; one row one text; {SPAN}",
            beside={"literal": _masked(of_types("person"), LITERAL)},
        ),
        QualityFigure(
            "wnut_person_precision",
            ">= 0.50",
            _right("PERSON", "person"),
            "of the tokens replaced as PERSON, those of a gold person",
        ),
    ),
    "ncbi_disease": (
        QualityFigure(
            "ncbi_disease_tokens_masked",
            "<= 0.01",
            _touched(of_types("Disease")),
            "of the tokens of disease mentions, those touched",
            beside={"all_words": spans.words_touched},
        ),
    ),
    "mtsamples": (
        QualityFigure(
            "mtsamples_words_masked",
            "<= 0.04",
            spans.words_touched,
            "of all tokens, those touched; the publisher has removed names, so most are not identifiers",
        ),
    ),
}
