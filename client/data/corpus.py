# SPDX-License-Identifier: Apache-2.0
"""A site's private rows: read, treated by rule, and split into train, dev and test.

The one law of this room: a row's treatment depends only on its own privacy unit. Under unit "patient" duplicates and
contradictions are looked for within one patient; under "record" nothing is shared between rows, and duplicates are only
counted for the site's own report. Otherwise one unit's presence would change another's part in training, and the
advertised epsilon would be untrue. The split is a keyed hash of the patient id, else of the record id.
"""

from __future__ import annotations

import hmac
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final, Literal

from client.data.annotations import MalformedMarks, join, read_spans, read_tags
from client.data.formats import DataFile, HowToRead, RawRow, Unreadable
from client.data.unit_table import UnitTable
from client.settings.site_settings import DataSection, SiteFolder
from privacy.base.errors import SettingsError
from privacy.dp.params import Unit
from privacy.text.reading.records import Span, TextRow

Split = Literal["train", "dev", "test"]
Refused = Literal[
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
SPLITS: Final[tuple[Split, ...]] = ("train", "dev", "test")
SHINGLE: Final = 5

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Treatment:
    """What became of one row: it is in `split`, or refused for `reason`. `cut`: its text was over-long."""

    row: TextRow | None
    split: Split | None
    reason: Refused | None
    cut: bool = False


@dataclass(frozen=True)
class CorpusReport:
    """Counts for the site's own report. They are exact, so they never leave the site."""

    read: int
    refused: Mapping[str, int]
    cut: int
    rows: Mapping[str, int]
    patients: Mapping[str, int]
    most_notes: Mapping[str, int]
    """Rows of the patient who has the most, by split; 0 where no row has a patient."""
    labels: Mapping[str, int]
    repeated_anywhere: int
    """Rows whose text stands in an earlier row of any unit, but for letter case, digits and punctuation: only told."""
    held: int = 0
    """Units that would have moved to another part since they were first used, and stayed where they were."""

    def as_json(self) -> dict[str, int | dict[str, int]]:
        return {
            "read": self.read,
            "refused": dict(self.refused),
            "cut": self.cut,
            "rows": dict(self.rows),
            "patients": dict(self.patients),
            "most_notes": dict(self.most_notes),
            "labels": dict(self.labels),
            "repeated_anywhere": self.repeated_anywhere,
            "held": self.held,
        }


@dataclass(frozen=True)
class FileRead:
    """What one of data.files was taken for, and `never`: the named columns for which none of its rows had a value."""

    name: str
    taken: str
    rows: int
    never: tuple[str, ...]


@dataclass(frozen=True)
class RefusedRow:
    """Where a row stands that is not used, and why. Of notes `place` is a file's name: for the site's reports alone."""

    file: str
    place: str
    reason: Refused


@dataclass(frozen=True, repr=False)
class Corpus:
    """The kept rows by split, in the order of the files. It may be empty: whether it is depends on rows."""

    train: tuple[TextRow, ...]
    dev: tuple[TextRow, ...]
    test: tuple[TextRow, ...]
    report: CorpusReport
    files: tuple[FileRead, ...] = ()
    refused: tuple[RefusedRow, ...] = ()

    @property
    def rows(self) -> tuple[TextRow, ...]:
        """All kept rows, split by split."""
        return self.train + self.dev + self.test

    def __repr__(self) -> str:
        return "Corpus(hidden)"


def load_corpus(folder: SiteFolder, split_key: bytes, units: UnitTable | None = None) -> Corpus:
    """The site's corpus. `split_key` (32 bytes, derived from the site's SecretSeed) fixes ids and splits.

    `units` keeps each unit where it was; None where the site has no key, and so trains nothing.
    An evaluator's rows are all test. Raises SettingsError for a missing file or column and for a file that is broken as
    a whole: for what depends on no row. Rows that cannot be used are refused, each for a reason, even if none is left.
    """
    data, unit = folder.settings.data, folder.settings.policy.unit
    files = list(data_files(folder))
    read = [(file, *row) for file in files for row in file.rows()]
    raw = [row for _, _, row in read]
    treatments = treat(raw, data, unit, split_key, everything_is_test=folder.settings.site.role == "evaluator")
    treatments, held = (treatments, 0) if units is None else pinned(treatments, units)
    kept: dict[Split, list[TextRow]] = {split: [] for split in SPLITS}
    for treatment in treatments:
        if treatment.row is not None and treatment.split is not None:
            kept[treatment.split].append(treatment.row)
    refused = tuple(
        RefusedRow(file.path.name, file.place(number), treatment.reason)
        for (file, number, _), treatment in zip(read, treatments, strict=True)
        if treatment.reason is not None
    )
    report, counts = replace(_report(treatments, kept), held=held), Counter(id(file) for file, *_ in read)
    told = tuple(FileRead(one.path.name, one.taken, counts[id(one)], tuple(sorted(one.never))) for one in files)
    return Corpus(tuple(kept["train"]), tuple(kept["dev"]), tuple(kept["test"]), report, told, refused)


def nothing_left(report: CorpusReport) -> SettingsError:
    """What a person is told who wants to look at rows where none is left. A run trains as on an empty data set."""
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(report.refused.items()))
    return SettingsError(
        f"the corpus is empty: {report.read} rows read, none kept" + (f" (refused: {reasons})" if reasons else ""),
        next_step="collab-client check says what each reason needs",
    )


def data_files(folder: SiteFolder) -> Iterator[DataFile]:
    """The site's files, each opened when asked for, for the columns that the settings name. Raises SettingsError."""
    data = folder.settings.data
    marked = [column for column in (data.label_column, data.words_column, data.spans_column) if column]
    plain = (data.patient_column, data.record_column, data.pair_column, *data.known_name_columns)
    text = data.text_column if data.words_column is None else None
    columns = tuple(dict.fromkeys(column for column in (text, *marked, *plain) if column))
    if len({path.resolve() for path in folder.data_files}) < len(folder.data_files):
        raise SettingsError(
            "data.files names a file twice: its rows would count as other people's",
            next_step="name each file once",
        )
    how = HowToRead(data.format, data.encoding, data.delimiter)
    return (DataFile(path, how, columns, marked) for path in folder.data_files)


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
        by_patient: dict[str, list[int]] = defaultdict(list)
        for index, treatment in enumerate(treatments):
            if treatment.row is not None and treatment.row.patient_id is not None:
                by_patient[treatment.row.patient_id].append(index)
        for indices in by_patient.values():
            for index, reason in _within_patient([treatments[i] for i in indices], data).items():
                treatments[indices[index]] = Treatment(None, None, reason)
    if everything_is_test:
        return [Treatment(t.row, "test" if t.row else None, t.reason, t.cut) for t in treatments]
    return treatments


def unit_name(row: TextRow) -> str:
    """The name of a row's privacy unit, from which its split follows."""
    return f"patient:{row.patient_id}" if row.patient_id is not None else f"record:{row.record_id}"


def pinned(treatments: Sequence[Treatment], units: UnitTable) -> tuple[list[Treatment], int]:
    """The treatments with each unit in the part that it is in, and how many units that held."""
    found = units.pin({unit_name(t.row): t.split for t in treatments if t.row is not None and t.split is not None})
    return [t if t.row is None else replace(t, split=found.parts[unit_name(t.row)]) for t in treatments], found.held


def split_of(unit_id: str, split_key: bytes, *, test_fraction: float, dev_fraction: float) -> Split:
    """The split of a unit: a keyed hash of its id as a number in [0, 1). Test first, then dev, the rest is train."""
    position = int.from_bytes(_keyed(split_key, "split", unit_id)[:6], "big") / (1 << 48)
    if position < test_fraction:
        return "test"
    return "dev" if position < test_fraction + dev_fraction else "train"


# One row --------------------------------------------------------------------------------------------------------------


def _alone(raw: RawRow | Unreadable, data: DataSection, unit: Unit, key: bytes) -> Treatment:
    """The treatment that follows from the row itself."""
    if not isinstance(raw, RawRow):
        return Treatment(None, None, raw)
    try:
        text, starts = _text(raw, data)
    except MalformedMarks:
        return Treatment(None, None, "malformed")
    label, patient, pair = _label(raw, data), _name(raw, data.patient_column), _name(raw, data.pair_column)
    if text is None or len(text.strip()) < data.min_characters or (data.pair_column is not None and pair is None):
        return Treatment(None, None, "empty")
    marks = raw.cells.get(data.spans_column) if data.spans_column is not None else None
    if label is None and marks is None and data.unlabelled == "refuse":
        return Treatment(None, None, "unlabelled")
    if unit == "patient" and patient is None:
        return Treatment(None, None, "no_patient")
    over_long = max(len(text), len(pair or "")) > data.max_characters
    if over_long and data.over_long == "refuse":
        return Treatment(None, None, "over_long")
    try:
        spans = () if marks is None else read_tags(marks, starts) if starts else read_spans(marks, len(text))
    except MalformedMarks:
        return Treatment(None, None, "malformed")
    text, pair = text[: data.max_characters], None if pair is None else pair[: data.max_characters]
    spans = tuple(Span(s.start, min(s.end, len(text)), s.label) for s in spans if s.start < len(text))
    content = (patient or "", label or "", text, *((pair,) if pair is not None else ()))
    record = _name(raw, data.record_column) or raw.name or _keyed(key, "record", *content).hex()[:32]
    split = split_of(
        unit_name(TextRow(record, text, label, patient)),
        key,
        test_fraction=data.test_fraction,
        dev_fraction=data.dev_fraction,
    )
    names = tuple(name for name in (_name(raw, column) for column in data.known_name_columns) if name is not None)
    return Treatment(TextRow(record, text, label, patient, names, spans, pair), split, None, over_long)


def _text(raw: RawRow, data: DataSection) -> tuple[str | None, list[int]]:
    """The row's text, and where its words begin if it came as words. Raises MalformedMarks for what is no text."""
    if data.words_column is not None:
        cell = raw.cells.get(data.words_column)
        return (None, []) if cell is None else join(cell)
    text = raw.cells.get(data.text_column)
    if text is not None and not isinstance(text, str):
        raise MalformedMarks
    return text, []


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


def _keyed(key: bytes, purpose: str, *parts: str) -> bytes:
    state = hmac.new(key, b"collab/corpus/v1", sha256)
    for part in (purpose, *parts):
        encoded = part.encode()
        state.update(len(encoded).to_bytes(8, "big") + encoded)  # lengths: ("ab", "c") is not ("a", "bc")
    return state.digest()


# One patient ----------------------------------------------------------------------------------------------------------


_Said = tuple[str | None, tuple[Span, ...]]
"""What a row's label and marks say."""


def _within_patient(treatments: Sequence[Treatment], data: DataSection) -> dict[int, Refused]:
    """Which rows of one patient go, and why: contradictions all, of duplicates all but the first."""
    rows = [treatment.row for treatment in treatments if treatment.row is not None]
    labels: dict[tuple[str, ...], set[_Said]] = defaultdict(set)
    words = [_words(f"{row.text} {row.pair}" if row.pair is not None else row.text) for row in rows]
    for row, spoken in zip(rows, words, strict=True):
        labels[spoken].add((row.label, row.spans))
    gone: dict[int, Refused] = {}
    kept: list[tuple[_Said, tuple[str, str | None], frozenset[tuple[str, ...]]]] = []
    for index, (row, spoken) in enumerate(zip(rows, words, strict=True)):
        if data.contradictory == "refuse" and len(labels[spoken]) > 1:
            gone[index] = "contradictory"
            continue
        shingles, said, texts = _shingles(spoken), (row.label, row.spans), (row.text, row.pair)
        if any((said, texts) == (label, other) for label, other, _ in kept):
            gone[index] = "exact_duplicate"
        elif any(label == said and _near(shingles, other, data) for label, _, other in kept):
            gone[index] = "near_duplicate"
        else:
            kept.append((said, texts, shingles))
    return gone


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.casefold())) or (text,)


def _shingles(words: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    return frozenset(words[at : at + SHINGLE] for at in range(max(1, len(words) - SHINGLE + 1)))


def _near(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]], data: DataSection) -> bool:
    if min(len(one), len(other)) < data.near_duplicate_similarity * max(len(one), len(other)):
        return False  # the similarity is at most the ratio of the sizes
    common = len(one & other)
    return common >= data.near_duplicate_similarity * (len(one) + len(other) - common)


# The site's own report ------------------------------------------------------------------------------------------------


def _report(treatments: Sequence[Treatment], kept: Mapping[Split, Sequence[TextRow]]) -> CorpusReport:
    rows = [row for split in SPLITS for row in kept[split]]
    return CorpusReport(
        read=len(treatments),
        refused=Counter(t.reason for t in treatments if t.reason is not None),
        cut=sum(t.cut for t in treatments),
        rows={split: len(kept[split]) for split in SPLITS},
        patients={split: len({row.patient_id for row in kept[split]} - {None}) for split in SPLITS},
        most_notes={split: _most(row.patient_id for row in kept[split]) for split in SPLITS},
        labels=Counter(row.label for row in rows if row.label is not None),
        repeated_anywhere=_repeated(row.text for row in rows),
    )


def _most(patients: Iterable[str | None]) -> int:
    counts = Counter(patient for patient in patients if patient is not None)
    return max(counts.values(), default=0)


def _repeated(texts: Iterable[str]) -> int:
    seen: set[bytes] = set()
    repeated = 0
    for text in texts:
        letters = " ".join(re.findall(r"[^\W\d_]+", text.casefold())) or text
        digest = sha256(letters.encode()).digest()
        repeated += digest in seen
        seen.add(digest)
    return repeated
