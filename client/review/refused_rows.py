# SPDX-License-Identifier: Apache-2.0
"""Rows that are not used: listed by file, line and reason for the site's people, with what to set for each reason.

The list lies in reports/ (0600) and never leaves. It holds no text, but of a folder of notes it names files, whose
names may be patients'.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from client.data.corpus import Corpus, RefusedRow
from client.data.formats import encodings
from client.review import site_files
from client.settings.site_settings import DataSection, SiteFolder

LISTED: Final = 10_000
"""Rows that the list names; the counts are always whole."""
LOUD: Final = 0.01
"""Share of refused rows from which it is said first."""
FILE: Final = "refused-rows.csv"

ADVICE: Final[dict[str, str]] = {
    "contradictory": "one patient's same text has several labels: mend them, or set data.contradictory to keep",
    "empty": "data.text_column (or data.pair_column) holds no text there: check these, and data.min_characters",
    "exact_duplicate": "the same note of the same patient again: nothing is lost",
    "malformed": "another number of columns than the first line has, wrong quoting, no JSON, a mark outside its text, "
    "or a cell that is no text, whole number or list: look at the lines in the list",
    "near_duplicate": "almost the same note of the same patient: if it is not, raise data.near_duplicate_similarity",
    "no_patient": "data.patient_column is empty there, and policy.unit is patient: fill it in",
    "over_long": "longer than data.max_characters: raise it, or set data.over_long to cut",
    "undecodable": "no text in the encoding that was taken: set data.encoding",
    "unlabelled": "data.label_column is empty there: check its name, or set data.unlabelled to keep where a task needs "
    "no labels",
}


def path_of(folder: SiteFolder) -> Path:
    """Where the list lies."""
    return folder.reports / FILE


def shown(folder: SiteFolder) -> str:
    """The list as it is named to people."""
    return site_files.shown(folder, path_of(folder))


def write_list(folder: SiteFolder, refused: Sequence[RefusedRow]) -> None:
    """Write the list anew; one without rows goes away. Raises what client.review.site_files.write raises."""
    path = path_of(folder)
    if not refused:
        path.unlink(missing_ok=True)
        return
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(("file", "place", "reason", "what to do"))
    writer.writerows((row.file, row.place, row.reason, ADVICE[row.reason]) for row in refused[:LISTED])
    if len(refused) > LISTED:
        writer.writerow(("", f"and {len(refused) - LISTED} more", "", ""))
    site_files.write(folder, path, file.getvalue().encode("utf-8", "surrogateescape"))


def to_mend(folder: SiteFolder, corpus: Corpus) -> dict[str, str]:
    """What is said first: that no row is left, that many are refused and what to set, and columns never filled."""
    data, report = folder.settings.data, corpus.report
    problems: dict[str, str] = {}
    if not sum(report.rows.values()):
        problems["no row is left"] = (
            f"of {report.read} rows that were read none can be used: a run would train on nothing"
        )
    total = sum(report.refused.values())
    if total > LOUD * report.read:
        problems["refused rows"] = f"{total} of {report.read}, listed by line in {shown(folder)}"
        for reason, count in sorted(report.refused.items(), key=lambda one: (-one[1], one[0])):
            problems[f"{reason} {count}"] = ADVICE[reason] + _encodings(folder, corpus, reason)
    if twofold := _twofold_ids(corpus):
        problems["patient ids"] = (
            f"{twofold} occur both as a number and with .0 behind it (12, 12.0): one patient would count as two; write "
            "them alike in all files"
        )
    for file in corpus.files:
        for column in file.never if file.rows else ():
            problems[f"{file.name}: {column}"] = (
                f"no row has a value in this column, which {_setting(data, column)} names"
            )
    return problems


def _twofold_ids(corpus: Corpus) -> int:
    """Patients who may stand under two ids, as spreadsheets write a column of numbers that has a gap."""
    ids = {row.patient_id for row in corpus.rows}
    return sum(f"{one}.0" in ids for one in ids if one is not None and one.isdecimal())


def _encodings(folder: SiteFolder, corpus: Corpus, reason: str) -> str:
    """Which encodings fit the files that have undecodable rows."""
    if reason != "undecodable":
        return ""
    files = Counter(row.file for row in corpus.refused if row.reason == "undecodable")
    sentences = []
    for path in folder.data_files:
        if path.name in files and path.is_file():
            try:
                sentences.append(f"all of {path.name} is text in {' and in '.join(encodings.likely(path))}")
            except OSError:
                continue
    sentences = sentences or ["what wrote them says in which: cp1252 on Windows, gb18030 in China"]
    return f" ({'; '.join(sentences)}; look at a preview: another encoding gives other words)"


def _setting(data: DataSection, column: str) -> str:
    """The settings that name `column`."""
    named = [name for name, value in data if value == column or (isinstance(value, tuple) and column in value)]
    return " and ".join(f"data.{name}" for name in named if name.endswith(("_column", "_columns"))) or "[data]"
