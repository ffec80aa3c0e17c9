# SPDX-License-Identifier: Apache-2.0
"""Rows out of files: csv, jsonl, parquet and a local Hugging Face dataset folder (its arrow files, without `datasets`).

A row that cannot be read comes out as a reason, never as an exception with its content: invalid UTF-8 and broken rows
are counted and left out. Only a file that is broken as a whole is a SettingsError.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from privacy.errors import SettingsError

Unreadable = Literal["invalid_utf8", "malformed"]
Cell = str | int | None
Cells = Mapping[str, Any]
"""One row as its file holds it."""


@dataclass(frozen=True)
class RawRow:
    """The named cells of one row; a column that the row lacks is None."""

    cells: Mapping[str, Cell]

    def __repr__(self) -> str:
        return "RawRow(hidden)"


def read_rows(
    path: Path, format_name: str, columns: Sequence[str], structured: Collection[str] = ()
) -> Iterator[RawRow | Unreadable]:
    """The rows of one file or dataset folder, in order: `columns` of each, or why the row cannot be read.

    A list or a fraction in one of the `structured` columns (labels, marks, words) comes out as its JSON text; elsewhere
    it makes the row malformed.

    Raises SettingsError if the file is missing, of no known format, broken as a whole or without one of the columns.
    """
    readers = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet, "datasets": _datasets}
    if not path.exists():
        raise SettingsError(
            f"data.files: there is no {path.name}", next_step="check the name; a relative path starts at the TOML"
        )
    name = _guess(path) if format_name == "auto" else format_name
    try:
        for cells in readers[name](path, columns):
            yield cells if isinstance(cells, str) else _row(cells, structured)
    except (pa.ArrowException, csv.Error, OSError):
        # `from None`: these libraries quote the content that they stumbled over
        raise SettingsError(
            f"{path.name} cannot be read as {name}", next_step="check the file and data.format"
        ) from None


def _guess(path: Path) -> str:
    if path.is_dir():
        return "datasets"
    known = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
    if path.suffix.lower() not in known:
        raise SettingsError(
            f"{path.name} has no known suffix (.csv, .jsonl, .parquet)", next_step="set data.format in the site's TOML"
        )
    return known[path.suffix.lower()]


def _missing(path: Path, columns: Sequence[str], present: Sequence[str]) -> None:
    absent = [column for column in columns if column not in present]
    if absent:
        raise SettingsError(
            f"{path.name} has no column {', '.join(absent)}; it has {', '.join(map(str, present)) or 'none'}",
            next_step="name the right columns under [data]",
        )


def _row(cells: Cells, structured: Collection[str]) -> RawRow | Unreadable:
    """`cells` where each is text, an integer or absent; a text that is not UTF-8 holds lone surrogates here."""
    read: dict[str, Cell] = {}
    for column, value in cells.items():
        if column in structured and isinstance(value, list | float):
            try:
                value = json.dumps(value, ensure_ascii=False, allow_nan=False)
            except (TypeError, ValueError):
                return "malformed"
        if isinstance(value, bool) or not isinstance(value, str | int | None):
            return "malformed"
        if isinstance(value, str) and not _is_utf8(value):
            return "invalid_utf8"
        read[column] = value
    return RawRow(read)


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _csv(path: Path, columns: Sequence[str]) -> Iterator[Cells | Unreadable]:
    csv.field_size_limit(sys.maxsize)  # the module's 128 KiB would refuse a long note
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file, strict=True)
        header = next(rows, [])
        _missing(path, columns, header)
        places = {column: header.index(column) for column in columns}
        for row in rows:
            if not row:
                continue  # a blank line is no row
            if len(row) != len(header):
                yield "malformed"
            else:
                yield {column: row[at] for column, at in places.items()}


def _jsonl(path: Path, columns: Sequence[str]) -> Iterator[Cells | Unreadable]:
    seen: dict[str, None] = {}
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        for line in file:
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                yield "invalid_utf8" if not _is_utf8(line) else "malformed"
                continue
            if not isinstance(value, dict):
                yield "malformed"
                continue
            seen.update(dict.fromkeys(value))
            yield {column: value.get(column) for column in columns}
    if seen:
        _missing(path, columns, list(seen))


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Cells | Unreadable]:
    file = pyarrow.parquet.ParquetFile(path)
    _missing(path, columns, file.schema_arrow.names)
    for batch in file.iter_batches(columns=list(columns)):
        yield from _batch(batch, columns, {})


def _datasets(path: Path, columns: Sequence[str]) -> Iterator[Cells | Unreadable]:
    """A folder as `save_to_disk` leaves it: one dataset, or one folder a split, whose rows are all read."""
    splits = path / "dataset_dict.json"
    if splits.exists():
        for name in _listed(splits, "splits"):
            yield from _datasets(_inside(path, name), columns)
        return
    features = _described(path / "dataset_info.json").get("features") or {}
    classes = {column: names for column in columns if (names := _class_names(features.get(column)))}
    for entry in _listed(path / "state.json", "_data_files"):
        name = entry.get("filename") if isinstance(entry, dict) else None
        with pa.memory_map(str(_inside(path, name))) as source, pa.ipc.open_stream(source) as stream:
            _missing(path, columns, stream.schema.names)
            for batch in stream:
                yield from _batch(batch, columns, classes)


def _class_names(feature: object) -> list[str] | None:
    """The names behind a column of class numbers, or of lists of them."""
    while isinstance(feature, dict) and isinstance(feature.get("feature"), dict):
        feature = feature["feature"]
    if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list):
        return [str(name) for name in feature["names"]]
    return None


def _described(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        value = None
    if not isinstance(value, dict):
        raise _no_dataset(path)
    return value


def _listed(path: Path, key: str) -> list[Any]:
    value = _described(path).get(key)
    if not isinstance(value, list):
        raise _no_dataset(path)
    return value


def _no_dataset(path: Path) -> SettingsError:
    return SettingsError(
        f"{path.parent.name} is no saved Hugging Face dataset: {path.name} is missing or broken",
        next_step="save it with Dataset.save_to_disk",
    )


def _inside(folder: Path, name: object) -> Path:
    if not isinstance(name, str) or Path(name).name != name:
        raise SettingsError(f"{folder.name} names a file outside itself", next_step="save the dataset anew")
    return folder / name


def _batch(batch: pa.RecordBatch, columns: Sequence[str], classes: Mapping[str, Sequence[str]]) -> Iterator[Cells]:
    cells = {column: _cells(batch.column(column), classes.get(column)) for column in columns}
    for row in zip(*cells.values(), strict=True):
        yield dict(zip(columns, row, strict=True))


def _cells(column: pa.Array, names: Sequence[str] | None) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        # as bytes: one text that is not UTF-8 must cost its own row, not the file
        as_bytes = column.cast(pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary())
        return [None if cell is None else cell.decode("utf-8", "surrogateescape") for cell in as_bytes.to_pylist()]
    values: list[Any] = column.to_pylist()
    return values if names is None else [_named(value, names) for value in values]


def _named(value: Any, names: Sequence[str]) -> Any:
    """The name of a class number; of a list, the names of its numbers."""
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None
