# SPDX-License-Identifier: Apache-2.0
"""A review in a spreadsheet: the sample as CSV, and the answers back.

Rules: the file holds original text; no cell is a formula; an import is checked whole before anything of it is kept, and
its errors name a row by number, never a word.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Final

from client.data.corpus_view import RowPreview
from client.review.review_sample import Marks, Sample
from client.review.reviewing import COMMANDS, NONE, NotFound, marks_of
from privacy.base.errors import ContractError

COLUMNS: Final = ("row", "key", "before", "after", "missed")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def export(sample: Sample, show: Callable[[int], RowPreview]) -> bytes:
    """The sample as CSV: it holds original text. `missed` is for the reviewer; what was answered already is there."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for at, row in enumerate(sample.rows):
        shown = show(at)
        if row.answer == "reviewed":
            missed = "; ".join(shown.row.text[slice(*spans[0])] for spans in row.missed) or "none"
        else:
            missed = "skip" if row.answer == "skipped" else ""
        after = shown.record.text if shown.record else ""
        writer.writerow([at + 1, row.row[:12], *map(_cell, (shown.row.text, after, missed))])
    return ("\ufeff" + out.getvalue()).encode("utf-8")  # the mark by which spreadsheets know UTF-8


def _cell(text: str) -> str:
    """`text` so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def read_answers(data: bytes, sample: Sample, show: Callable[[int], RowPreview]) -> Sample:
    """The sample with the answers of a filled-in CSV. An empty `missed` leaves its row as it is.

    Raises ContractError, and keeps nothing, when the file is not this sample's or an answer cannot be found.
    """
    try:
        csv.field_size_limit(1 << 24)
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error):
        raise ContractError("the review file is not CSV in UTF-8", next_step="save it as CSV UTF-8") from None
    for row in rows:
        at = _which(row.get("row"), row.get("key"), sample)
        answer = (row.get("missed") or "").strip()
        if not answer:
            continue
        if COMMANDS.get(answer.lower()) == "skip":
            sample = sample.answered(at, "skipped")
        elif answer.lower() in NONE:
            sample = sample.answered(at, "reviewed")
        else:
            sample = sample.answered(at, "reviewed", _typed(answer, show(at), at))
    return sample


def _which(number: str | None, key: str | None, sample: Sample) -> int:
    at = int(number) - 1 if number is not None and number.isdecimal() and len(number) < 9 else -1
    if not 0 <= at < len(sample.rows) or key != sample.rows[at].row[:12]:
        raise ContractError(
            "the review file has rows that are not this sample's; nothing was taken over",
            next_step="keep the columns row and key as they were exported, and import into the sample they came from",
        )
    return at


def _typed(answer: str, shown: RowPreview, at: int) -> Marks:
    try:
        return marks_of(answer, shown.row.text, shown.record.findings if shown.record else (), ())
    except NotFound:
        raise ContractError(
            f"row {at + 1}: what was typed as missed does not stand in what is left of it; nothing was taken over",
            next_step="type words as they stand in the text, several separated by ';', or none, or skip",
        ) from None
