# SPDX-License-Identifier: Apache-2.0
"""What becomes of each of a site's rows: it goes into a split, or is refused for one reason.

The one law of this room: a row's treatment depends only on its own privacy unit. Under unit "patient" duplicates and
contradictions are looked for within one patient; under "record" nothing is shared between rows. Otherwise one unit's
presence would change another's part in training, and the advertised epsilon would be untrue.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from client.data.annotations import MalformedAnnotations, join, read_spans, read_tags
from client.data.formats import RawRow, Unreadable
from client.data.formats.rows import Cell
from client.data.splits import Split, keyed_hash, split_of, unit_name
from client.settings.site_settings import DataSection
from privacy.dp.params import Unit
from privacy.text.reading.records import Span, TextRow

RowRefusal = Literal[
    "contradictory",
    "empty",
    "exact_duplicate",
    "malformed",
    "near_duplicate",
    "no_patient",
    "over_long",
    "undecodable",
    "unlabelled",
]
"""Why a row is not used."""

SHINGLE: Final = 5

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Treatment:
    """What became of one row: it is in `split`, or refused for `reason`. `cut`: its text was over-long."""

    row: TextRow | None
    split: Split | None
    reason: RowRefusal | None
    cut: bool = False


def treat(
    raw: Sequence[RawRow | Unreadable],
    data: DataSection,
    unit: Unit,
    split_key: bytes,
    *,
    everything_is_test: bool = False,
) -> list[Treatment]:
    """What becomes of each row, in order: a function of the rows of its own unit, and of them alone."""
    treatments = [_alone(row, data, unit, split_key) for row in raw]
    if unit == "patient":
        for index, reason in _refused_within_patients(treatments, data).items():
            treatments[index] = _refused(reason)
    if everything_is_test:
        return [t if t.row is None else replace(t, split="test") for t in treatments]
    return treatments


def _refused(reason: RowRefusal) -> Treatment:
    return Treatment(None, None, reason)


# One row --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class _RowContent:
    """What a row's named cells say. `word_starts`: where its words begin, if its text came as words."""

    text: str
    word_starts: Sequence[int]
    label: str | None
    patient: str | None
    pair: str | None
    annotations: Cell

    def spans(self) -> tuple[Span, ...]:
        """What is marked in the text. Raises MalformedAnnotations."""
        if self.annotations is None:
            return ()
        if self.word_starts:
            return read_tags(self.annotations, self.word_starts)
        return read_spans(self.annotations, len(self.text))

    def is_over_long(self, data: DataSection) -> bool:
        return max(len(self.text), len(self.pair or "")) > data.max_characters


def _alone(raw: RawRow | Unreadable, data: DataSection, unit: Unit, key: bytes) -> Treatment:
    """The treatment that follows from the row itself."""
    if not isinstance(raw, RawRow):
        return _refused(raw)
    try:
        content = _content(raw, data)
        reason = _why_refused(content, data, unit)
        if reason is not None:
            return _refused(reason)
        spans = content.spans()
    except MalformedAnnotations:
        return _refused("malformed")
    row = _text_row(raw, content, spans, data, key)
    split = split_of(unit_name(row), key, test_fraction=data.test_fraction, dev_fraction=data.dev_fraction)
    return Treatment(row, split, None, content.is_over_long(data))


def _content(raw: RawRow, data: DataSection) -> _RowContent:
    """What the settings name of a row. Raises MalformedAnnotations for what is no text."""
    text, word_starts = _text(raw, data)
    return _RowContent(
        text,
        word_starts,
        label=_label(raw, data),
        patient=_name(raw, data.patient_column),
        pair=_name(raw, data.pair_column),
        annotations=None if data.spans_column is None else raw.cells.get(data.spans_column),
    )


def _why_refused(content: _RowContent, data: DataSection, unit: Unit) -> RowRefusal | None:
    """Why the row is not used, the first reason of several; None if it is."""
    lacks_pair = data.pair_column is not None and content.pair is None
    unlabelled = content.label is None and content.annotations is None
    holds: Mapping[RowRefusal, bool] = {
        "empty": len(content.text.strip()) < data.min_characters or lacks_pair,
        "unlabelled": unlabelled and data.unlabelled == "refuse",
        "no_patient": unit == "patient" and content.patient is None,
        "over_long": data.over_long == "refuse" and content.is_over_long(data),
    }
    return next((reason for reason, is_so in holds.items() if is_so), None)


def _text_row(raw: RawRow, content: _RowContent, spans: Sequence[Span], data: DataSection, key: bytes) -> TextRow:
    """The row as the product knows it, cut to `max_characters`; what is marked behind the cut is left out."""
    text, pair = content.text[: data.max_characters], content.pair and content.pair[: data.max_characters]
    named_by = (content.patient or "", content.label or "", text, *((pair,) if pair is not None else ()))
    columns = (_name(raw, column) for column in data.known_name_columns)
    return TextRow(
        _name(raw, data.record_column) or raw.name or keyed_hash(key, "record", *named_by).hex()[:32],
        text,
        content.label,
        content.patient,
        tuple(name for name in columns if name is not None),
        _within(spans, len(text)),
        pair,
    )


def _within(spans: Sequence[Span], length: int) -> tuple[Span, ...]:
    return tuple(Span(span.start, min(span.end, length), span.label) for span in spans if span.start < length)


def _text(raw: RawRow, data: DataSection) -> tuple[str, list[int]]:
    """The row's text, empty if there is none, and where its words begin if it came as words.

    Raises MalformedAnnotations for what is no text.
    """
    if data.words_column is not None:
        cell = raw.cells.get(data.words_column)
        return ("", []) if cell is None else join(cell)
    text = raw.cells.get(data.text_column)
    if text is not None and not isinstance(text, str):
        raise MalformedAnnotations
    return text or "", []


def _label(raw: RawRow, data: DataSection) -> str | None:
    """The label's text; of a cell with several labels, their JSON list."""
    label = _name(raw, data.label_column or None)
    if label is None or data.label_separator is None:
        return label
    return json.dumps([part.strip() for part in label.split(data.label_separator) if part.strip()], ensure_ascii=False)


def _name(raw: RawRow, column: str | None) -> str | None:
    """A label or an id as text, without the white space around it; None where there is none."""
    value = raw.cells.get(column) if column is not None else None
    return None if value is None else str(value).strip() or None


# One patient ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class _Note:
    """One of a patient's rows as it is compared with the others: what is taught by it, its texts, and its words."""

    taught: tuple[str | None, tuple[Span, ...]]
    texts: tuple[str, str | None]
    words: tuple[str, ...]
    shingles: frozenset[tuple[str, ...]]

    @classmethod
    def of(cls, row: TextRow) -> _Note:
        """The note of a row; its words are letter-case-folded, those of its pair behind those of its text."""
        whole = row.text if row.pair is None else f"{row.text} {row.pair}"
        words = tuple(_WORD.findall(whole.casefold())) or (whole,)
        shingles = frozenset(words[at : at + SHINGLE] for at in range(max(1, len(words) - SHINGLE + 1)))
        return cls((row.label, row.spans), (row.text, row.pair), words, shingles)

    def repeats(self, others: Sequence[_Note], similarity: float) -> RowRefusal | None:
        """Whether one of `others` teaches the same by the same texts, or by nearly the same words."""
        same = [other for other in others if other.taught == self.taught]
        if any(other.texts == self.texts for other in same):
            return "exact_duplicate"
        return "near_duplicate" if any(self._is_near(other, similarity) for other in same) else None

    def _is_near(self, other: _Note, similarity: float) -> bool:
        one, two = len(self.shingles), len(other.shingles)
        if min(one, two) < similarity * max(one, two):
            return False  # the similarity is at most the ratio of the sizes
        common = len(self.shingles & other.shingles)
        return common >= similarity * (one + two - common)


def _refused_within_patients(treatments: Sequence[Treatment], data: DataSection) -> dict[int, RowRefusal]:
    """Which rows go because of other rows of their patient, and why."""
    by_patient: dict[str, dict[int, TextRow]] = defaultdict(dict)
    for index, treatment in enumerate(treatments):
        if treatment.row is not None and treatment.row.patient_id is not None:
            by_patient[treatment.row.patient_id][index] = treatment.row
    return {index: why for rows in by_patient.values() for index, why in _within_patient(rows, data).items()}


def _within_patient(rows: Mapping[int, TextRow], data: DataSection) -> dict[int, RowRefusal]:
    """Which rows of one patient go, and why: contradictions all, of duplicates all but the first."""
    notes = {index: _Note.of(row) for index, row in rows.items()}
    taught_by_words: dict[tuple[str, ...], set[object]] = defaultdict(set)
    for note in notes.values():
        taught_by_words[note.words].add(note.taught)
    refused: dict[int, RowRefusal] = {}
    within: list[_Note] = []
    for index, note in notes.items():
        contradicts = data.contradictory == "refuse" and len(taught_by_words[note.words]) > 1
        reason = "contradictory" if contradicts else note.repeats(within, data.near_duplicate_similarity)
        if reason is None:
            within.append(note)
        else:
            refused[index] = reason
    return refused
