# SPDX-License-Identifier: Apache-2.0
"""Rows of parquet, and of a Hugging Face dataset as `save_to_disk` leaves it (its arrow files, without `datasets`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from client.data.formats.rows import BROKEN, Cells, HowToRead, Opened, Unreadable, check_columns
from privacy.base.errors import SettingsError


def open_parquet(path: Path, how: HowToRead, columns: Sequence[str]) -> Opened:
    """The rows of a parquet file."""
    file = pyarrow.parquet.ParquetFile(path)
    check_columns(path, columns, file.schema_arrow.names, "its schema")
    batches = file.iter_batches(columns=list(columns))
    return Opened("parquet", _numbered(row for batch in batches for row in _batch(batch, columns, {})), place="row {}")


def open_dataset(path: Path, how: HowToRead, columns: Sequence[str]) -> Opened:
    """The rows of one dataset, or of all its splits. Errors name `path` alone, never what its files name."""
    shards = list(_shards(path, path, columns))
    rows = (row for shard, classes in shards for row in _shard(path, shard, columns, classes))
    return Opened("saved dataset", _numbered(rows), place="row {}")


def _numbered(rows: Iterator[Cells]) -> Iterator[tuple[int, Cells | Unreadable]]:
    yield from enumerate(rows, 1)


def _shards(named: Path, path: Path, columns: Sequence[str]) -> Iterator[tuple[Path, dict[str, list[str]]]]:
    """The arrow files in order, each with the class names of its columns."""
    if (path / "dataset_dict.json").exists() and path == named:
        for name in _listed(named, path / "dataset_dict.json", "splits"):
            yield from _shards(named, _inside(named, path, name), columns)
        return
    features = _described(named, path / "dataset_info.json").get("features")
    known = features if isinstance(features, dict) else {}
    classes = {column: names for column in columns if (names := _class_names(known.get(column)))}
    for entry in _listed(named, path / "state.json", "_data_files"):
        yield _inside(named, path, entry.get("filename") if isinstance(entry, dict) else None), classes


def _shard(named: Path, shard: Path, columns: Sequence[str], classes: Mapping[str, Sequence[str]]) -> Iterator[Cells]:
    with pa.memory_map(str(shard)) as source, pa.ipc.open_stream(source) as stream:
        check_columns(named, columns, stream.schema.names, "its schema")
        for batch in stream:
            yield from _batch(batch, columns, classes)


def _class_names(feature: object) -> list[str] | None:
    """The names behind a column of class numbers, or of lists of them."""
    while isinstance(feature, dict) and isinstance(feature.get("feature"), dict):
        feature = feature["feature"]
    if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list):
        return [str(name) for name in feature["names"]]
    return None


def _described(named: Path, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _no_dataset(named, path.name)
    return value


def _listed(named: Path, path: Path, key: str) -> list[Any]:
    value = _described(named, path).get(key)
    if not isinstance(value, list):
        raise _no_dataset(named, path.name)
    return value


def _no_dataset(named: Path, file: str) -> SettingsError:
    return SettingsError(
        f"{named.name} is no saved Hugging Face dataset: {file} is missing or broken",
        next_step="save it with Dataset.save_to_disk; a folder of notes holds .txt files",
    )


def _inside(named: Path, folder: Path, name: object) -> Path:
    if not isinstance(name, str) or Path(name).name != name or "\0" in name:
        raise SettingsError(f"{named.name} names a file outside itself", next_step="save the dataset anew")
    return folder / name


def _batch(batch: pa.RecordBatch, columns: Sequence[str], classes: Mapping[str, Sequence[str]]) -> Iterator[Cells]:
    cells = {column: _cells(batch.column(column), classes.get(column)) for column in columns}
    for row in zip(*cells.values(), strict=True):
        yield dict(zip(columns, row, strict=True))


def _cells(column: pa.Array, names: Sequence[str] | None) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type):
        return _decoded(column.cast(pa.binary()))
    if pa.types.is_large_string(column.type):
        return _decoded(column.cast(pa.large_binary()))
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError, pa.ArrowException):  # one time of a nanosecond, one list of broken text
        values = [_cell(cell) for cell in column]
    return values if names is None else [_named(value, names) for value in values]


def _decoded(column: pa.Array) -> list[str | None]:
    """The texts of a column of bytes: one that is not UTF-8 must cost its own row, not the file."""
    return [None if cell is None else cell.decode("utf-8", "surrogateescape") for cell in column.to_pylist()]


def _cell(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except (ValueError, OverflowError, pa.ArrowException):
        return BROKEN


def _named(value: Any, names: Sequence[str]) -> Any:
    """The name of a class number; of a list, the names of its numbers. The number of no class is no cell."""
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    if value is None or value == -1:  # -1 is how `datasets` writes that a row has no label
        return None
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else BROKEN
