# SPDX-License-Identifier: Apache-2.0
"""Writing the audit log: entries become Merkle leaves and a signed checkpoint, together or not at all.

SQLite (WAL, synchronous=FULL) is only the storage: `entries(position, leaf, leaf_hash)` holds the exact canonical
bytes of each entry, `checkpoints(size, note)` every signed checkpoint. A checkpoint leaves this process only after
its commit. On opening, the root is recomputed from the leaves and held against the last own checkpoint: a log that
does not agree is not continued. One process at a time: log.lock is held as long as the journal is open. Format:
docs/audit-log.md.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from privacy.audit.database import TABLES, check_schema
from privacy.base.canonical import canonical_bytes
from privacy.base.errors import CollabError, ContractError, IntegrityError, LogForked, SettingsError, StorageFailed
from privacy.base.identifiers import RunId
from privacy.log.keys import SigningKey
from privacy.log.merkle import Tree, leaf_hash
from privacy.log.note import NoteKey
from privacy.protocol.checkpoint import Checkpoint, open_checkpoint
from privacy.protocol.delivery import LogProof
from privacy.protocol.entries import AuditEntry, EntryBody
from privacy.protocol.messages import MAX_BODY_BYTES, parse

SCHEMA: Final = ";".join(table.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1) for table in TABLES.values())
MAX_ENTRY_BYTES: Final = MAX_BODY_BYTES - (64 << 10)
_BUSY_MILLISECONDS: Final = 5000
"""An entry is delivered with its proofs in one body: longer ones could be logged and never be sent or read."""


class Journal:
    """The one writer of a coordinator folder's log. Open it with `Journal.open`, close it or use it as a context."""

    def __init__(self, folder: Path, key: SigningKey, origin: str, clock: Callable[[], int]) -> None:
        self.folder = folder
        self.log_key = NoteKey(origin, key.verify_key())
        self._key = key
        self._clock = clock
        self._mutex = threading.RLock()
        self._lock_file: int | None = None
        self._database: sqlite3.Connection | None = None
        self._tree = Tree()
        self._entries: list[AuditEntry] = []
        self._checkpoint = ""

    @classmethod
    def open(cls, folder: Path, key: SigningKey, origin: str, clock: Callable[[], int]) -> Self:
        """Open or create the log in `folder`. `clock` gives milliseconds since 1970.

        Raises SettingsError when another process has it open, IntegrityError when it does not agree with its last
        checkpoint or was signed with another key, StorageFailed when the disk refuses.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        journal = cls(folder, key, origin, clock)
        try:
            journal._lock()
            journal._write_vkey()
            journal._load()
        except BaseException as error:
            journal.close()
            raise (_storage_failed(error) if isinstance(error, OSError) else error) from None
        return journal

    @property
    def tree_size(self) -> int:
        """The number of entries."""
        with self._mutex:
            self._connection()
            return self._tree.size

    @property
    def checkpoint(self) -> str:
        """The latest signed checkpoint, a C2SP note."""
        with self._mutex:
            self._connection()
            return self._checkpoint

    def entries(self, run_id: RunId | None = None) -> list[AuditEntry]:
        """All entries, or those of one run, in order."""
        with self._mutex:
            self._connection()
            return [entry for entry in self._entries if run_id is None or entry.run_id == run_id]

    def entry(self, index: int) -> AuditEntry:
        """The entry that stands at `index`."""
        with self._mutex:
            self._connection()
            return self._entries[index]

    def append(self, run_id: RunId, server_round: int, *bodies: EntryBody) -> list[AuditEntry]:
        """Add one entry per body and sign the new checkpoint, in one transaction. Returns the entries as stored.

        Raises ContractError, and changes nothing, when a body has no canonical encoding or gives an entry of more
        than MAX_ENTRY_BYTES: whoever sent it is refused, and the log goes on. Raises StorageFailed when the disk
        refuses: then read `entries` again, because the bodies are all there or none is.
        """
        if not bodies:
            return []
        with self._mutex:
            database = self._connection()
            first, now = self._tree.size, self._clock()
            drafts = [
                AuditEntry(index=first + at, run_id=run_id, server_round=server_round, recorded_at=now, body=body)
                for at, body in enumerate(bodies)
            ]
            leaves = [_leaf(draft) for draft in drafts]
            entries = [parse(AuditEntry, leaf) for leaf in leaves]
            try:
                for leaf in leaves:
                    self._tree.append(leaf)
                note = self._sign()
                self._store(database, first, leaves, note)
            except BaseException as error:
                self._forget()
                raise (_storage_failed(error) if isinstance(error, sqlite3.Error) else error) from None
            self._entries += entries
            self._checkpoint = note
            return entries

    def prove(self, index: int, from_size: int) -> LogProof:
        """That entry `index` is in the latest checkpoint, and that this continues the log of `from_size` entries.

        Raises LogForked when somebody has seen more entries than this log holds, ContractError when there is no such
        entry.
        """
        with self._mutex:
            self._connection()
            size = self._tree.size
            if from_size > size:
                raise LogForked(f"this log holds {size} entries and {from_size} were seen: it was restored from a copy")
            if not (0 <= index < size and from_size >= 0):
                raise ContractError(f"the log of {size} entries has no entry {index}")
            return LogProof(
                checkpoint=self._checkpoint,
                inclusion_proof=tuple(value.hex() for value in self._tree.inclusion_proof(index, size)),
                from_size=from_size,
                consistency_proof=tuple(value.hex() for value in self._tree.consistency_proof(from_size, size)),
            )

    def settle(self) -> None:
        """Move all entries into log.sqlite and empty its write-ahead log, so that a plain copy of the file is whole.

        For the end of a phase. Does nothing while somebody reads: the next phase settles this one too. Raises
        StorageFailed when the disk refuses; nothing that was appended is lost by it.
        """
        with self._mutex:
            database = self._connection()
            try:
                database.execute("PRAGMA busy_timeout=0")  # whoever reads is not waited for
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                database.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
            except sqlite3.Error as error:
                self._forget()
                raise _storage_failed(error) from None

    def close(self) -> None:
        """Release the log. What was appended is durable already."""
        with self._mutex:
            self._forget()
            if self._lock_file is not None:
                os.close(self._lock_file)
                self._lock_file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self) -> None:
        handle = os.open(self.folder / "log.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise SettingsError(
                "another coordinator has this log open", next_step="stop it first: one log has one writer"
            ) from None
        self._lock_file = handle

    def _write_vkey(self) -> None:
        path = self.folder / "log.vkey"
        line = self.log_key.vkey() + "\n"
        if not path.exists():
            partial = path.with_suffix(".partial")
            partial.unlink(missing_ok=True)
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(path)
        elif path.read_text(encoding="utf-8") != line:
            raise IntegrityError(
                "this log belongs to another key or origin",
                next_step="give the key and the federation name that this folder was made with",
            )

    def _connection(self) -> sqlite3.Connection:
        if self._lock_file is None:
            raise SettingsError("the journal is closed")
        return self._database or self._load()

    def _load(self) -> sqlite3.Connection:
        """Open the database and check it from the first leaf on.

        Also after a failed write: an fsync is never tried twice.
        """
        self._tree, self._entries = Tree(), []
        try:
            self._database = database = _connect(self.folder / "log.sqlite")
            check_schema(database)
            rows = database.execute("SELECT position, leaf, leaf_hash FROM entries ORDER BY position").fetchall()
            last = database.execute("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1").fetchone()
        except sqlite3.Error as error:
            self._forget()
            raise _storage_failed(error) from error
        for expected, (position, leaf, stored_hash) in enumerate(rows):
            entry = _parsed(expected, leaf)
            if position != expected or entry.index != expected or leaf_hash(leaf) != stored_hash:
                raise _does_not_agree(f"entry {expected} is not the one that was written")
            self._tree.append_hash(stored_hash)
            self._entries.append(entry)
        if last is None:
            self._begin(database)
        else:
            self._check_last(last[0])
        return database

    def _check_last(self, note: str) -> None:
        signed = open_checkpoint(note, self.log_key)
        if (signed.size, signed.root) != (self._tree.size, self._tree.root().hex()):
            raise _does_not_agree(f"{self._tree.size} entries do not have the root that was signed for {signed.size}")
        self._checkpoint = note

    def _begin(self, database: sqlite3.Connection) -> None:
        """A new log starts with a signed checkpoint of size 0: a log without checkpoints is never a sound one."""
        if self._tree.size:
            raise _does_not_agree("there are entries, but no checkpoint")
        note = self._sign()
        try:
            self._store(database, 0, [], note)
        except sqlite3.Error as error:
            self._forget()
            raise _storage_failed(error) from error
        self._checkpoint = note

    def _sign(self) -> str:
        return Checkpoint(self.log_key.name, self._tree.size, self._tree.root().hex()).sign(self._key)

    def _store(self, database: sqlite3.Connection, first: int, leaves: list[bytes], note: str) -> None:
        database.execute("BEGIN IMMEDIATE")
        rows = [(first + at, leaf, leaf_hash(leaf)) for at, leaf in enumerate(leaves)]
        database.executemany("INSERT INTO entries VALUES (?, ?, ?)", rows)
        database.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?)", (first + len(leaves), note))
        database.execute("COMMIT")

    def _forget(self) -> None:
        """Drop the connection, and with it an open transaction; the next use loads and checks what is on the disk."""
        if self._database is not None:
            self._database.close()
            self._database = None


def _connect(path: Path) -> sqlite3.Connection:
    """SQLite gives its write-ahead log the mode of the file: private from the first byte, whatever the umask."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    database = sqlite3.connect(path, timeout=_BUSY_MILLISECONDS / 1000, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("PRAGMA fullfsync=ON")
    database.executescript(SCHEMA)
    return database


def _leaf(draft: AuditEntry) -> bytes:
    leaf = canonical_bytes(draft)
    if len(leaf) > MAX_ENTRY_BYTES:
        raise ContractError(f"an entry of {len(leaf)} bytes is longer than the log's {MAX_ENTRY_BYTES}")
    return leaf


def _parsed(position: int, leaf: bytes) -> AuditEntry:
    try:
        return parse(AuditEntry, leaf)
    except ContractError as error:
        raise _does_not_agree(f"entry {position}: {error.message}") from None


def _storage_failed(error: sqlite3.Error | OSError) -> CollabError:
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return _does_not_agree(f"log.sqlite is damaged ({error})")
    return StorageFailed(
        f"the log could not be read or written: {getattr(error, 'strerror', None) or error}",
        next_step="free the disk and go on: no entry is half written; if it persists, restore the folder from a copy",
    )


def _does_not_agree(message: str) -> IntegrityError:
    return IntegrityError(
        f"this log does not agree with its last checkpoint: {message}",
        next_step="do not continue it; run collab-audit verify on the folder and keep it as evidence",
    )
