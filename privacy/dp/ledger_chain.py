# SPDX-License-Identifier: Apache-2.0
"""The ledger's file: one hash chain of entries in SQLite, and beside it the head, which an old copy does not reach.

Every entry's digest covers its number, kind, text and predecessor; triggers refuse UPDATE and DELETE; the schema must
be ours. An entry is committed (fsync) first, then the head (number and digest of the last entry) is replaced in its
own file (fsync), both under one lock and before the caller goes on. A crash in between leaves a ledger that continues
the head: it is accepted and the head is moved up. A ledger that ends before the head, or passes it by, is refused.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from privacy.base.canonical import Json, canonical_bytes, digest_of
from privacy.base.errors import IntegrityError, StorageFailed
from privacy.base.files import sync_folder, write_private
from privacy.base.identifiers import Digest
from privacy.dp.ledger_migration import is_first_version, rows_of_first_version

SCHEMA_VERSION = 3
"""Of the entries' meaning: an older collab, which would not know all of them, refuses a file of this one."""

READABLE = (2, SCHEMA_VERSION)

LOCK_SECONDS = 300
"""How long a second process waits while the first one reserves (accounting included)."""

RecordKind = Literal["migration", "first_run", "reservation", "settlement", "split", "withdrawal"]

NO_PREDECESSOR = "0" * 64
_SCHEMA = {
    "entry": "CREATE TABLE entry (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL, "
    "digest TEXT NOT NULL) STRICT",
    **{
        f"entry_{verb}": f"CREATE TRIGGER entry_{verb} BEFORE {verb} ON entry "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    },
}
_NOT_OUR_FAULT = {  # SQLite's primary result codes for a machine that failed; all others speak of the file's content
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
_RESTORE = "restore the ledger from its backup; until then nothing may be trained on this data"


@dataclass(frozen=True)
class ChainEntry:
    """One line of the ledger. `body` is canonical JSON."""

    number: int
    kind: str
    body: str
    digest: Digest


@dataclass(frozen=True)
class ChainHead:
    """The last entry that was ever relied on; number 0 before the first."""

    number: int
    digest: Digest


class Transaction:
    """The whole history inside one transaction, verified; `append` adds to it."""

    def __init__(self, db: sqlite3.Connection, entries: list[ChainEntry]) -> None:
        self._db, self.entries = db, entries

    @property
    def head(self) -> ChainHead:
        return (
            ChainHead(self.entries[-1].number, self.entries[-1].digest)
            if self.entries
            else ChainHead(0, NO_PREDECESSOR)
        )

    def append(self, kind: RecordKind, body: Json) -> None:
        """Chain one entry to the last; on disk when the transaction ends."""
        number, text = len(self.entries) + 1, canonical_bytes(body).decode()
        entry = ChainEntry(number, kind, text, _digest(self.head.digest, number, kind, text))
        self._db.execute("INSERT INTO entry VALUES (?, ?, ?, ?)", (entry.number, kind, text, entry.digest))
        self.entries.append(entry)


class Chain:
    """The chain at `path` (0600), with its head in `path`.head. Made when both are missing; v1 files are migrated.

    Raises IntegrityError for an altered file and for an old copy, StorageFailed when the machine fails.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._head = path, path.with_suffix(".head")
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        os.chmod(path, 0o600)
        with self.transaction(sound=True):
            pass
        sync_folder(path.parent)

    @contextmanager
    def transaction(self, *, sound: bool = False) -> Iterator[Transaction]:
        """One exclusive transaction: entries and head are on disk when the block is left; undone when it raises.

        With `sound` SQLite's own structures are checked as well.
        """
        with self._locked():
            with self._connection() as db:
                if sound:
                    _check_structure(db)
                transaction = Transaction(db, [])
                self._open(db, transaction)
                self._check_head(transaction.entries)
                yield transaction
            self._move_head(transaction.head)

    def _open(self, db: sqlite3.Connection, transaction: Transaction) -> None:
        """Read the history, or make the file, or migrate it. A migrated one has its head before it is committed."""
        first = is_first_version(db)
        if not first and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            transaction.entries.extend(_read(db))
            if transaction.entries and not self._head.exists():
                raise _damaged(
                    "the ledger's head (ledger.head) is missing", "restore it from the backup that holds both"
                )
            return
        rows = rows_of_first_version(db) if first else []
        for statement in _SCHEMA.values():
            db.execute(statement)
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        for kind, body in rows:
            transaction.append(kind, body)
        if not self._head.exists():
            self._move_head(transaction.head)

    def _check_head(self, entries: list[ChainEntry]) -> None:
        head = self._read_head()
        if head.number > len(entries):
            raise _damaged(
                f"the privacy ledger ends at entry {len(entries)}, but entry {head.number} was written: it is an old "
                "copy, and what was spent since is not in it",
                "bring back the newest ledger.sqlite with its ledger.head; an older one would spend budget twice",
            )
        if head.number and entries[head.number - 1].digest != head.digest:
            raise _damaged("the privacy ledger is not the one that its head was written for", _RESTORE)

    def _read_head(self) -> ChainHead:
        """The head as it is on disk; before the first ledger there is none, and it counts as 0."""
        if not self._head.exists():
            return ChainHead(0, NO_PREDECESSOR)
        try:
            body = json.loads(self._head.read_bytes())
            head = ChainHead(body["number"], body["digest"])
            if self._head.read_bytes() == _head_bytes(head) and isinstance(head.number, int):
                return head
        except (ValueError, KeyError, TypeError):
            pass
        raise _damaged("the ledger's head (ledger.head) was altered", "restore it from the backup that holds both")

    def _move_head(self, head: ChainHead) -> None:
        """Replace the head, fsynced, unless it is there already."""
        data = _head_bytes(head)
        try:
            if not self._head.exists() or self._head.read_bytes() != data:
                write_private(self._head, data)
        except OSError as error:
            raise StorageFailed(
                "the ledger's head could not be written; nothing was trained", next_step="free disk space, start again"
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process or thread at a time, entry and head together. The kernel frees it with the process."""
        handle = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            until = time.monotonic() + LOCK_SECONDS
            while not _try_lock(handle):
                if time.monotonic() > until:
                    raise StorageFailed(
                        "the privacy ledger is locked by another process; nothing was trained",
                        next_step="end the other process, then start again",
                    )
                time.sleep(0.02)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._path, timeout=LOCK_SECONDS, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NOT_OUR_FAULT:
                raise StorageFailed(
                    f"the privacy ledger could not be read or written ({error}); nothing was trained",
                    next_step="free disk space and check that the file is this site's ledger, then start again",
                ) from error
            raise _damaged("the file of the privacy ledger is damaged", _RESTORE) from None
        finally:
            db.close()


def _read(db: sqlite3.Connection) -> list[ChainEntry]:
    """All entries, after a check of the schema and that each is the successor of the one before."""
    if dict(db.execute("SELECT name, sql FROM sqlite_master")) != _SCHEMA:
        raise _damaged("the structure of the privacy ledger was altered or removed", _RESTORE)
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version not in READABLE:
        raise _damaged(
            f"the privacy ledger does not say that it is of version {SCHEMA_VERSION}",
            "if a newer collab wrote it, use that one; else restore the ledger from its backup",
        )
    if version != SCHEMA_VERSION:
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    entries: list[ChainEntry] = []
    previous = NO_PREDECESSOR
    for number, kind, body, digest in db.execute("SELECT number, kind, body, digest FROM entry ORDER BY number"):
        whole = number == len(entries) + 1 and isinstance(kind, str) and isinstance(body, str)
        if not whole or _digest(previous, number, kind, body) != digest:
            raise _damaged(f"entry {len(entries) + 1} of the privacy ledger was altered or removed", _RESTORE)
        entries.append(ChainEntry(number, kind, body, digest))
        previous = digest
    return entries


def _check_structure(db: sqlite3.Connection) -> None:
    if [row[0] for row in db.execute("PRAGMA integrity_check")] != ["ok"]:
        raise _damaged("the file of the privacy ledger is damaged", _RESTORE)


def _digest(previous: Digest, number: int, kind: str, body: str) -> Digest:
    return digest_of({"previous": previous, "number": number, "kind": kind, "body": body})


def _head_bytes(head: ChainHead) -> bytes:
    return canonical_bytes({"number": head.number, "digest": head.digest}) + b"\n"


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _damaged(sentence: str, next_step: str) -> IntegrityError:
    return IntegrityError(f"{sentence}; nothing was trained", next_step=next_step)
