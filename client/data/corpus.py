# SPDX-License-Identifier: Apache-2.0
"""A site's private rows: read, treated by rule (client.data.treatment), and split into train, dev and test.

Duplicates across privacy units are only counted, for the site's own report. The split is a keyed hash of the patient
id, else of the record id.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from client.data.formats import DataFile, HowToRead, RawRow, Unreadable
from client.data.splits import SPLITS, Split, unit_name
from client.data.treatment import RowRefusal, Treatment, treat
from client.data.unit_table import UnitTable
from client.settings.site_settings import SiteFolder
from privacy.base.errors import SettingsError
from privacy.text.reading.records import TextRow


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
    reason: RowRefusal


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

    @property
    def by_split(self) -> Mapping[Split, tuple[TextRow, ...]]:
        """The kept rows of each split."""
        return {"train": self.train, "dev": self.dev, "test": self.test}

    def __repr__(self) -> str:
        return "Corpus(hidden)"


_RowOfFile = tuple[DataFile, int, RawRow | Unreadable]
"""A row with the file that it stands in and its number there."""


def load_corpus(folder: SiteFolder, split_key: bytes, units: UnitTable | None = None) -> Corpus:
    """The site's corpus. `split_key` (32 bytes, derived from the site's SecretSeed) fixes ids and splits.

    `units` keeps each unit where it was; None where the site has no key, and so trains nothing.
    An evaluator's rows are all test. Raises SettingsError for a missing file or column and for a file that is broken as
    a whole: for what depends on no row. Rows that cannot be used are refused, each for a reason, even if none is left.
    """
    data, unit = folder.settings.data, folder.settings.policy.unit
    files = list(data_files(folder))
    rows = [(file, *row) for file in files for row in file.rows()]
    raw = [row for _, _, row in rows]
    treatments = treat(raw, data, unit, split_key, everything_is_test=folder.settings.site.role == "evaluator")
    treatments, held = (treatments, 0) if units is None else pinned(treatments, units)
    parts = {split: tuple(t.row for t in treatments if t.row is not None and t.split == split) for split in SPLITS}
    report = replace(_report(treatments, parts), held=held)
    return Corpus(**parts, report=report, files=_files_read(files, rows), refused=_refused_rows(rows, treatments))


def _files_read(files: Sequence[DataFile], rows: Sequence[_RowOfFile]) -> tuple[FileRead, ...]:
    counts = Counter(id(file) for file, *_ in rows)
    return tuple(FileRead(one.path.name, one.taken, counts[id(one)], tuple(sorted(one.never))) for one in files)


def _refused_rows(rows: Sequence[_RowOfFile], treatments: Sequence[Treatment]) -> tuple[RefusedRow, ...]:
    return tuple(
        RefusedRow(file.path.name, file.place(number), treatment.reason)
        for (file, number, _), treatment in zip(rows, treatments, strict=True)
        if treatment.reason is not None
    )


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


def pinned(treatments: Sequence[Treatment], units: UnitTable) -> tuple[list[Treatment], int]:
    """The treatments with each unit in the part that it is in, and how many units that held."""
    pins = units.pin({unit_name(t.row): t.split for t in treatments if t.row is not None and t.split is not None})
    return [t if t.row is None else replace(t, split=pins.parts[unit_name(t.row)]) for t in treatments], pins.held


# The site's own report ------------------------------------------------------------------------------------------------


def _report(treatments: Sequence[Treatment], parts: Mapping[Split, Sequence[TextRow]]) -> CorpusReport:
    def by_split(count: Callable[[Sequence[TextRow]], int]) -> dict[str, int]:
        return {split: count(parts[split]) for split in SPLITS}

    rows = [row for split in SPLITS for row in parts[split]]
    return CorpusReport(
        read=len(treatments),
        refused=Counter(t.reason for t in treatments if t.reason is not None),
        cut=sum(t.cut for t in treatments),
        rows=by_split(len),
        patients=by_split(lambda rows: len(_by_patient(rows))),
        most_notes=by_split(lambda rows: max(_by_patient(rows).values(), default=0)),
        labels=Counter(row.label for row in rows if row.label is not None),
        repeated_anywhere=_repeated(row.text for row in rows),
    )


def _by_patient(rows: Sequence[TextRow]) -> Counter[str]:
    """How many rows each patient has."""
    return Counter(row.patient_id for row in rows if row.patient_id is not None)


def _repeated(texts: Iterable[str]) -> int:
    digests: set[bytes] = set()
    repeated = 0
    for text in texts:
        letters = " ".join(re.findall(r"[^\W\d_]+", text.casefold())) or text
        digest = sha256(letters.encode()).digest()
        repeated += digest in digests
        digests.add(digest)
    return repeated
