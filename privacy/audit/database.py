# SPDX-License-Identifier: Apache-2.0
"""Opening a log's database that anybody may have made: SQLite is a program that its file can steer.

What is read are two STRICT tables whose definition is ours to the letter: a view, trigger, index, generated column or
virtual table in their place could run for ever or call functions, so a file that holds one is not read at all. The
rest is bounded by the file's own size: a b-tree whose pages are shared gives more rows than it has bytes. Nothing is
written into the folder: without a write-ahead log the file is opened immutable, with one both are copied and the copy
is read. Source: https://www.sqlite.org/security.html ("Untrusted SQLite Database Files").
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from privacy.base.errors import IntegrityError, StorageFailed, Unreachable
from privacy.base.files import is_regular, open_regular

TABLES: Final = {
    "entries": (
        "CREATE TABLE entries (position INTEGER PRIMARY KEY, leaf BLOB NOT NULL, leaf_hash BLOB NOT NULL) STRICT"
    ),
    "checkpoints": "CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT",
}
"""The whole schema, as sqlite_schema holds it."""

MAX_LEAF_BYTES: Final = 4 << 20
"""Longer than any entry is."""

_ATTEMPTS: Final = 5
_STEPS_AT_A_TIME: Final = 1000
_STEPS_FOR_A_BYTE: Final = 2
_STEPS_FOR_NOTHING: Final = 1_000_000
_WAL_HEADER_BYTES: Final = 32
_WAL_FORMAT: Final = b"\x02\x02"


class LogChanged(Unreachable):
    """The log was written while it was read: what was read may be of two moments."""

    def __init__(self) -> None:
        super().__init__("the log is being written too fast to be read", next_step="try again in a moment")


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A guarded connection to the log at `path`, as of one moment. The schema is checked before it is handed out.

    Raises LogChanged at the end when somebody wrote meanwhile: read again. Raises IntegrityError when this is no
    log's database, Unreachable when all of it is in a write-ahead log that is not here, and whatever sqlite3 raises
    on a damaged file.
    """
    wal = path.with_name(path.name + "-wal")
    if size_of(wal) == 0:
        before = _state(path, wal)
        try:
            with _connected(path, "mode=ro&immutable=1", bytes_read=path.stat().st_size) as database:
                _check_holds_a_log(database, path)
                yield database
        except (sqlite3.Error, IntegrityError):
            if _state(path, wal) != before:  # a writer moved its write-ahead log into the file under our eyes
                raise LogChanged from None
            raise
        if _state(path, wal) != before:
            raise LogChanged
        return
    with TemporaryDirectory() as scratch:
        copy = _copied(path, wal, Path(scratch))
        with _connected(copy, "mode=rw", bytes_read=size_of(path) + size_of(copy.with_name(wal.name))) as database:
            _check_holds_a_log(database, path)
            yield database


def size_of(path: Path) -> int:
    """Bytes of a regular file; 0 where there is none, as a write-ahead log that was just emptied or removed."""
    try:
        return path.lstat().st_size if is_regular(path) else 0
    except OSError:
        return 0


def check_schema(database: sqlite3.Connection) -> None:
    """Raises IntegrityError unless the database holds our two tables, as we write them, and nothing else."""
    schema = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema LIMIT 3").fetchall()
    held = sorted(tuple(_text(value) for value in row) for row in schema)
    if held != sorted(("table", name, name, sql) for name, sql in TABLES.items()):
        raise IntegrityError(
            "log.sqlite is no log: it holds something else than the two tables of one",
            next_step="do not open it with other tools; ask for a copy made by collab-audit copy",
        )


def wal_may_be_missing(path: Path) -> bool:
    """Whether newer entries may stand in a write-ahead log that was not copied along.

    True of a file in WAL format with no log.sqlite-wal beside it: after a clean end it has none and lacks nothing, so
    this explains what is missing and never proves it. A copy by `collab-audit copy` is not in WAL format.
    """
    if is_regular(path.with_name(path.name + "-wal")):
        return False
    with open_regular(path) as file:
        head = file.read(20)
    return not head or head[18:20] == _WAL_FORMAT


def _check_holds_a_log(database: sqlite3.Connection, path: Path) -> None:
    empty = database.execute("SELECT count(*) FROM (SELECT 1 FROM sqlite_schema LIMIT 1)").fetchone() == (0,)
    if empty and wal_may_be_missing(path):
        raise Unreachable(
            "the WAL is missing: log.sqlite was copied while a coordinator had it open, and its entries stand in "
            "log.sqlite-wal",
            next_step="copy the coordinator's folder with collab-audit copy DIR TO: it works while a run is open",
        )
    check_schema(database)


@contextmanager
def _connected(path: Path, mode: str, *, bytes_read: int) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)) as database:
        database.text_factory = bytes
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_LEAF_BYTES + (1 << 16))
        database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        budget = _Budget(_STEPS_FOR_NOTHING + _STEPS_FOR_A_BYTE * bytes_read)
        database.set_progress_handler(budget.spend, _STEPS_AT_A_TIME)
        for guard in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "temp_store=MEMORY"):
            database.execute(f"PRAGMA {guard}")
        yield database


class _Budget:
    """Steps of SQLite's virtual machine that reading a file of this size may take; a few for each row are needed."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self) -> int:
        """Not 0 ends the query."""
        self._left -= _STEPS_AT_A_TIME
        return int(self._left < 0)


def _copied(path: Path, wal: Path, scratch: Path) -> Path:
    """A copy of both files as of one moment: nothing was moved from one to the other meanwhile."""
    needed = size_of(path) + size_of(wal)
    if shutil.disk_usage(scratch).free < 2 * needed:
        raise StorageFailed("there is no room for a copy of the log to read", next_step="make room, or set TMPDIR")
    for _ in range(_ATTEMPTS):
        before = _state(path, wal)
        (scratch / wal.name).unlink(missing_ok=True)
        copy = Path(shutil.copyfile(path, scratch / path.name, follow_symlinks=False))
        if is_regular(wal):
            with suppress(FileNotFoundError):  # a coordinator that ends removes it: then the state is another
                shutil.copyfile(wal, scratch / wal.name, follow_symlinks=False)
        if _state(path, wal) == before:
            return copy
    raise LogChanged


def _state(path: Path, wal: Path) -> tuple[int, int, bytes]:
    header = b""
    if is_regular(wal):
        with suppress(FileNotFoundError), open_regular(wal) as file:
            header = file.read(_WAL_HEADER_BYTES)
    return path.stat().st_mtime_ns, path.stat().st_size, header


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
