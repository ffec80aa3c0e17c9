# SPDX-License-Identifier: Apache-2.0
"""Reading a log as it is stored, byte by byte and without trust: `log.sqlite` and `log.vkey`. Never writes into the
folder.

How the database is opened, and what of it is believed: privacy/audit/database.py. Here the rows are held to two laws
of any file: keys rise, and the rows together are no longer than the file. Format: docs/audit-log.md.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from privacy.audit.database import LogChanged, opened, size_of, wal_may_be_missing
from privacy.base.errors import CollabError, IntegrityError, SettingsError
from privacy.base.files import is_regular, open_regular
from privacy.log.keys import VerifyKey
from privacy.log.note import NoteKey

MAX_VKEY_BYTES: Final = 4096
_ATTEMPTS: Final = 5
_DAMAGED: Final = "log.sqlite is damaged: it cannot be read as a log"


@dataclass(frozen=True)
class StoredRow:
    """One row of `entries`. A damaged file can hold anything: what is not bytes reads as no bytes."""

    position: int
    leaf: bytes
    leaf_hash: bytes


@dataclass(frozen=True)
class StoredLog:
    """All rows in the order of their keys, unchecked. `checkpoints` are (size, note).

    `wal_may_be_missing`: the file may have been copied without its write-ahead log, which explains a log that ends
    too early.
    """

    log_key: NoteKey
    rows: tuple[StoredRow, ...]
    checkpoints: tuple[tuple[int, str], ...]
    wal_may_be_missing: bool = False


def read_log(folder: Path, key: VerifyKey | NoteKey | None = None) -> StoredLog:
    """The log in `folder`; its key is that of log.vkey, or `key` where there is no such file.

    Raises SettingsError when there is no log in `folder`, IntegrityError when its files cannot be read as one,
    Unreachable when all of it is in a write-ahead log that was not copied, or it is written without a pause.
    """
    if not folder.is_dir():
        raise SettingsError(f"there is no folder {folder.name or folder}", next_step="check its name")
    for name in ("log.sqlite",) if key is not None else ("log.sqlite", "log.vkey"):
        _check_there(folder / name)
    for _ in range(_ATTEMPTS):
        try:
            return _read(folder, key)
        except LogChanged as error:
            changed = error
    raise changed


def _read(folder: Path, key: VerifyKey | NoteKey | None) -> StoredLog:
    path = folder / "log.sqlite"
    try:
        with opened(path) as database:
            rows = tuple(_rows(database, _bytes_stored(path)))
            notes = tuple(_notes(database, _bytes_stored(path)))
        return StoredLog(_log_key(folder, key, notes), rows, notes, wal_may_be_missing(path))
    except (sqlite3.Error, OverflowError, MemoryError):
        raise IntegrityError(_DAMAGED, next_step=_next_step(path)) from None


def _rows(database: sqlite3.Connection, limit: int) -> Iterator[StoredRow]:
    laws = _Laws(limit)
    for position, leaf, digest in database.execute("SELECT position, leaf, leaf_hash FROM entries ORDER BY position"):
        row = StoredRow(_integer(position), _bytes(leaf), _bytes(digest))
        laws.take(row.position, len(row.leaf) + len(row.leaf_hash))
        yield row


def _notes(database: sqlite3.Connection, limit: int) -> Iterator[tuple[int, str]]:
    laws = _Laws(limit)
    for size, note in database.execute("SELECT size, note FROM checkpoints ORDER BY size"):
        encoded = _bytes(note)
        laws.take(_integer(size), len(encoded))
        yield _integer(size), encoded.decode("utf-8", "replace")


class _Laws:
    """Keys rise and values fit into the file; else its pages are shared, and reading them could go on for ever."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._last: int | None = None

    def take(self, position: int, length: int) -> None:
        self._left -= length
        if self._left < 0 or (self._last is not None and position <= self._last):
            raise IntegrityError("log.sqlite is damaged: it holds more than fits into it")
        self._last = position


def _bytes_stored(path: Path) -> int:
    return size_of(path) + size_of(path.with_name(path.name + "-wal"))


def _log_key(folder: Path, key: VerifyKey | NoteKey | None, notes: tuple[tuple[int, str], ...]) -> NoteKey:
    """That of log.vkey. Where there is none, the given one, under the name that the first checkpoint has."""
    path = folder / "log.vkey"
    if key is not None and not path.exists() and not path.is_symlink():
        if isinstance(key, NoteKey):
            return key
        try:
            return NoteKey(notes[0][1].split("\n", 1)[0] if notes else "unknown", key)
        except CollabError:
            raise IntegrityError("the first checkpoint names no log") from None
    _check_there(path)
    with open_regular(path) as file:
        line = file.read(MAX_VKEY_BYTES + 1)
    try:
        if len(line) > MAX_VKEY_BYTES:
            raise ValueError
        return NoteKey.parse(line.decode().removesuffix("\n"))
    except (CollabError, ValueError):
        raise IntegrityError("log.vkey is no verifier key") from None


def _check_there(path: Path) -> None:
    """Raises SettingsError when nothing is there, IntegrityError when it is a link, a pipe, a device or a folder."""
    if is_regular(path):
        return
    if path.exists() or path.is_symlink():
        raise IntegrityError(f"{path.name} is no regular file", next_step="ask for a copy made by collab-audit copy")
    raise SettingsError(
        f"this folder holds no {path.name}", next_step="name a coordinator's folder, or a copy with its blobs folder"
    )


def _next_step(path: Path) -> str | None:
    if not wal_may_be_missing(path):
        return None
    return "if log.sqlite was copied without log.sqlite-wal, copy the folder again with collab-audit copy"


def _integer(value: object) -> int:
    return value if isinstance(value, int) else -1


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""
