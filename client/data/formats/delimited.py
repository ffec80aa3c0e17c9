# SPDX-License-Identifier: Apache-2.0
"""Rows of a csv file (RFC 4180), whatever stands between its columns.

A record begins on a line of its own; in quotes it may go on over several. Where the quoting is wrong, that line is one
malformed row and reading goes on with the next line: never is a file refused for one row. What no reader can know is
where a quote that is never closed should have ended: it may take the rows up to the next quote with it. A program
that writes csv closes its quotes; jsonl and parquet have no such trap.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from client.data.formats.encodings import Lines, open_text
from client.data.formats.rows import Cells, HowToRead, Opened, Unreadable, check_columns, is_text
from privacy.base.errors import SettingsError

DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
"""In the order in which they are tried."""

_Taken = list[tuple[int, str | None]]


def open_rows(path: Path, how: HowToRead, columns: Sequence[str]) -> Opened:
    """The rows behind the header. "auto" takes the delimiter under which the header has most of `columns`."""
    csv.field_size_limit(sys.maxsize)  # the module's 128 KiB would refuse a long note
    text, encoding = open_text(path, how.encoding)
    lines = Lines(text)
    tried = [how.delimiter] if how.delimiter != "auto" else list(DELIMITERS)
    headers = {delimiter: _header(lines, delimiter) for delimiter in tried}
    delimiter = max(headers, key=lambda one: (len(set(columns) & set(headers[one])), len(headers[one])))
    header = headers[delimiter]
    _check_header(path, header, columns)
    places = {column: header.index(column) for column in columns}
    _record(lines, delimiter)
    return Opened(
        f"csv, {encoding}, {DELIMITERS.get(delimiter, repr(delimiter))} between columns",
        _rows(lines, delimiter, len(header), places),
    )


def _header(lines: Lines, delimiter: str) -> list[str]:
    taken, header = _record(lines, delimiter)
    lines.back(taken)
    return header or []


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    joined = "".join(header)
    if set(columns) - set(header) and ("\0" in joined or not is_text(joined)):
        kind = "UTF-16 without a byte order mark" if "\0" in joined else "not in the encoding that it was read in"
        raise SettingsError(
            f"the first line of {path.name} has not the columns that [data] names, and seems {kind}",
            next_step="set data.encoding to what wrote it: utf-16, cp1252 (Windows), latin-1 or gb18030",
        )
    check_columns(path, columns, header, "its first line")
    twice = [column for column in columns if header.count(column) > 1]
    if twice:
        raise SettingsError(
            f"the first line of {path.name} names the column {', '.join(twice)} more than once",
            next_step="give each column a name of its own",
        )


def _rows(lines: Lines, delimiter: str, width: int, places: dict[str, int]) -> Iterator[tuple[int, Cells | Unreadable]]:
    while True:
        taken, cells = _record(lines, delimiter)
        if not taken:
            return
        number = taken[0][0]
        if cells is None or len(cells) not in (0, width):
            yield number, "malformed"
        elif cells:  # a blank line is no row
            yield number, {column: cells[at] for column, at in places.items()}


def _record(lines: Lines, delimiter: str) -> tuple[_Taken, list[str] | None]:
    """The next record and the lines that it took; None where the first of them is none, and took no other."""
    taken: _Taken = []

    def feed() -> Iterator[str]:
        for one in lines:
            taken.append(one)
            if one[1] is None:
                raise csv.Error
            yield one[1]

    try:
        return taken, next(csv.reader(feed(), delimiter=delimiter, strict=True))
    except StopIteration:
        return taken, None
    except csv.Error:
        lines.back(taken[1:])
        return taken[:1], None
