# SPDX-License-Identifier: Apache-2.0
"""Rows out of a hospital's files: csv, jsonl, a JSON array, parquet, a saved Hugging Face dataset, xlsx, notes as .txt.

Two laws. A row that cannot be read comes out as a reason and costs itself; only what does not depend on a row (a file
that is missing or of another kind, a header without a column) is a SettingsError. And no error quotes a file: it names
the file by its last part, and columns as the settings name them.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import pyarrow as pa

from client.data.formats import arrow, delimited, excel, json_rows, notes
from client.data.formats.rows import HowToRead, Opened, RawRow, Unreadable, clean
from client.settings.site_settings import missing_file
from privacy.base.errors import SettingsError

__all__ = ["DataFile", "HowToRead", "RawRow", "Unreadable"]

T = TypeVar("T")
Reader = Callable[[Path, HowToRead, Sequence[str]], Opened]

READERS: Final[dict[str, Reader]] = {
    "csv": delimited.open_rows,
    "jsonl": json_rows.open_lines,
    "json": json_rows.open_array,
    "parquet": arrow.open_parquet,
    "datasets": arrow.open_dataset,
    "xlsx": excel.open_rows,
    "txt": notes.open_rows,
}
SUFFIXES: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
    ".txt": "txt",
}
PACKED: Final = ("csv", "jsonl", "json", "txt")


class DataFile:
    """One of data.files. Opening it reads its beginning; `rows` goes through it once.

    Raises SettingsError if it is missing, of no known format, broken as a whole or without one of `columns`.
    """

    def __init__(self, path: Path, how: HowToRead, columns: Sequence[str], structured: Collection[str] = ()) -> None:
        if not path.exists():
            raise missing_file(path.name)
        self.path = path
        self.format = _guess(path) if how.format == "auto" else how.format
        self._structured = structured
        self._opened = _telling(path, self.format, lambda: READERS[self.format](path, how, columns))
        self.never: set[str] = set(columns)
        """Columns for which no row had a value, known when all were read."""

    @property
    def taken(self) -> str:
        """What the file was taken for, in words."""
        return self._opened.taken

    def place(self, number: int) -> str:
        """Where row `number` stands, in words; of notes it is a file's name, for the site's own reports alone."""
        names = self._opened.names
        return names[number - 1] if names else self._opened.place.format(number)

    def rows(self) -> Iterator[tuple[int, RawRow | Unreadable]]:
        """The rows in order with their numbers, or why a row cannot be read."""
        names, rows = self._opened.names, self._opened.rows
        while (read := _telling(self.path, self.format, lambda: next(rows, None))) is not None:
            number, cells = read
            if isinstance(cells, str):
                yield number, cells
                continue
            self.never -= {column for column, value in cells.items() if value is not None}
            name = notes.stem(Path(names[number - 1]).name) if names else None
            yield number, clean(cells, self._structured, name)


def _telling(path: Path, name: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except (pa.ArrowException, csv.Error, OSError, EOFError, zlib.error, UnicodeError):
        # `from None`: these libraries quote the content that they stumbled over
        raise SettingsError(
            f"{path.name} cannot be read as {name}", next_step="check the file, its rights, and data.format"
        ) from None


def _guess(path: Path) -> str:
    if path.is_dir():
        saved = any((path / name).exists() for name in ("dataset_dict.json", "dataset_info.json", "state.json"))
        return "datasets" if saved else "txt"
    packed = path.suffix.lower() == ".gz"
    name = SUFFIXES.get(Path(path.stem).suffix.lower() if packed else path.suffix.lower())
    if name is None or (packed and name not in PACKED):
        raise SettingsError(
            f"{path.name} has no known suffix ({', '.join(SUFFIXES)}; .gz behind those of {', '.join(PACKED)})",
            next_step="set data.format in the site's TOML, or save it as one of these",
        )
    return name
