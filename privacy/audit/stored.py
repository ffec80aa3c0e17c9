# SPDX-License-Identifier: Apache-2.0
"""Reading a log as it is stored, byte by byte and without trust: `log.sqlite` and `log.vkey`. Never writes into the
folder.

The database is opened immutable. When a coordinator is writing, or was killed, its newest commits stand in
`log.sqlite-wal`: then both files are copied and the copy is read, so that the folder stays as it is. Format:
docs/audit-log.md.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from privacy.audit.note import NoteKey
from privacy.errors import IntegrityError, SettingsError, Unreachable

_ATTEMPTS: Final = 5
_WAL_HEADER_BYTES: Final = 32


@dataclass(frozen=True)
class StoredRow:
    """One row of `entries`. A damaged file can hold anything: what is not bytes reads as no bytes."""

    position: int
    leaf: bytes
    leaf_hash: bytes


@dataclass(frozen=True)
class StoredLog:
    """All rows in the order of their keys, unchecked. `checkpoints` are (size, note)."""

    log_key: NoteKey
    rows: tuple[StoredRow, ...]
    checkpoints: tuple[tuple[int, str], ...]


def read_log(folder: Path) -> StoredLog:
    """Raises SettingsError when there is no log in `folder`, IntegrityError when its files cannot be read as one."""
    for name in ("log.sqlite", "log.vkey"):
        if not (folder / name).is_file():
            raise SettingsError(
                f"this folder holds no {name}", next_step="name a coordinator's folder, or a copy with its blobs folder"
            )
    try:
        log_key = NoteKey.parse((folder / "log.vkey").read_text(encoding="utf-8").removesuffix("\n"))
    except (SettingsError, UnicodeDecodeError):
        raise IntegrityError("log.vkey is no verifier key") from None
    try:
        with _opened(folder / "log.sqlite") as database:
            rows = database.execute("SELECT position, leaf, leaf_hash FROM entries ORDER BY position").fetchall()
            notes = database.execute("SELECT size, note FROM checkpoints ORDER BY size").fetchall()
    except (sqlite3.Error, OverflowError):
        raise IntegrityError("log.sqlite is damaged: it cannot be read as a log") from None
    return StoredLog(
        log_key,
        tuple(StoredRow(_integer(position), _bytes(leaf), _bytes(digest)) for position, leaf, digest in rows),
        tuple((_integer(size), _bytes(note).decode("utf-8", "replace")) for size, note in notes),
    )


def _integer(value: object) -> int:
    return value if isinstance(value, int) else -1


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    wal = path.with_name(path.name + "-wal")
    if not wal.is_file() or wal.stat().st_size == 0:
        yield from _connected(path, "mode=ro&immutable=1")
        return
    with TemporaryDirectory() as scratch:
        yield from _connected(_copied(path, wal, Path(scratch)), "mode=rw")


def _connected(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)) as database:
        database.text_factory = bytes
        yield database


def _copied(path: Path, wal: Path, scratch: Path) -> Path:
    """A copy of both files as of one moment: nothing was moved from one to the other meanwhile."""
    for _ in range(_ATTEMPTS):
        before = _state(path, wal)
        copy = Path(shutil.copyfile(path, scratch / path.name))
        if wal.is_file():
            shutil.copyfile(wal, scratch / wal.name)
        if _state(path, wal) == before:
            return copy
    raise Unreachable("the log is being written too fast to be read", next_step="try again in a moment")


def _state(path: Path, wal: Path) -> tuple[int, int, bytes]:
    header = b""
    if wal.is_file():
        with wal.open("rb") as file:
            header = file.read(_WAL_HEADER_BYTES)
    return path.stat().st_mtime_ns, path.stat().st_size, header
