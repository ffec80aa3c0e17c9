# SPDX-License-Identifier: Apache-2.0
"""The site's cache of findings: spans only, never a word, in one SQLite file that only its owner may read.

Rules: a row's key is an HMAC under the site's cache key over the engine's fingerprint and the text, so that the file
does not tell which texts it has seen; a value is authenticated under the same key, so that an altered one counts as
absent; what was put is on disk within about a second, so that a run that was killed goes on where it was; the file is
bounded, the least recently used rows go first; whatever is wrong with the cache, the row is analyzed anew.
"""

from __future__ import annotations

import hmac
import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Final

from privacy.base.errors import SettingsError
from privacy.base.identifiers import Digest
from privacy.text.reading.records import ENTITY_TYPES, FLAG_TYPES, Finding

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS spans (key BLOB PRIMARY KEY, value BLOB NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID"
)
_INDEX = "CREATE INDEX IF NOT EXISTS spans_by_use ON spans (used)"


COMMIT_SECONDS: Final = 1.0
"""How long a change may wait for its commit while the cache is in use: also how long others wait for its lock."""


class SpanCache:
    """Findings by text and engine. `key` is 32 bytes from the site's SecretSeed; at most `max_rows` rows are kept.

    Use it from one thread and close it (or use `with`). Raises SettingsError if the file cannot be a cache.
    """

    def __init__(self, path: Path, key: bytes, *, max_rows: int = 1_000_000) -> None:
        if len(key) != 32:
            raise ValueError("a cache key is 32 bytes")
        if max_rows < 1:
            raise ValueError("a cache holds at least one row")
        self._lookup = hmac.digest(key, b"collab span cache v1 lookup", "sha256")
        self._seal = hmac.digest(key, b"collab span cache v1 value", "sha256")
        self._max_rows = max_rows
        self._committed = time.monotonic()
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        os.chmod(path, 0o600)
        try:
            self._database = sqlite3.connect(path)
            self._database.execute("PRAGMA secure_delete = ON")
            self._database.execute(_SCHEMA)
            self._database.execute(_INDEX)
            self._clock = int(self._database.execute("SELECT coalesce(max(used), 0) FROM spans").fetchone()[0])
            self._rows = int(self._database.execute("SELECT count(*) FROM spans").fetchone()[0])
        except sqlite3.DatabaseError:
            raise SettingsError(
                "the anonymization cache is not readable as one",
                next_step="delete the cache file; it will be built anew",
            ) from None

    def get(self, text: str, fingerprint: Digest) -> list[Finding] | None:
        """The findings kept for `text` under this engine, or None."""
        key = self._key(text, fingerprint)
        try:
            row = self._database.execute("SELECT value FROM spans WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            findings = self._open(key, bytes(row[0]), len(text))
            if findings is not None:
                self._clock += 1
                self._database.execute("UPDATE spans SET used = ? WHERE key = ?", (self._clock, key))
                self._commit_in_time()
        except sqlite3.Error:
            return None
        return findings

    def put(self, text: str, fingerprint: Digest, findings: list[Finding]) -> None:
        """Keep `findings` for `text` under this engine; the least recently used rows make room."""
        key = self._key(text, fingerprint)
        spans = json.dumps([[f.start, f.end, f.entity_type, f.score, f.recognizer] for f in findings]).encode()
        value = hmac.digest(self._seal, key + spans, "sha256") + spans
        self._clock += 1
        try:
            known = self._database.execute("SELECT 1 FROM spans WHERE key = ?", (key,)).fetchone() is not None
            self._database.execute("INSERT OR REPLACE INTO spans VALUES (?, ?, ?)", (key, value, self._clock))
            self._rows += not known
            if self._rows > self._max_rows:
                self._evict()
            self._commit_in_time()
        except sqlite3.Error:
            return

    def commit(self) -> None:
        """Write what was put since the last commit. A failure loses cached rows, nothing else."""
        self._committed = time.monotonic()
        try:
            self._database.commit()
        except sqlite3.Error:
            self._database.rollback()

    def purge(self) -> None:
        """Forget every row, and overwrite where they stood."""
        self._database.execute("DELETE FROM spans")
        self._database.commit()
        self._database.execute("VACUUM")
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def close(self) -> None:
        """Commit and close the file."""
        with closing(self._database):
            self.commit()

    def __enter__(self) -> SpanCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _key(self, text: str, fingerprint: Digest) -> bytes:
        return hmac.digest(self._lookup, fingerprint.encode() + text.encode("utf-8"), "sha256")

    def _open(self, key: bytes, value: bytes, length: int) -> list[Finding] | None:
        seal, spans = value[:32], value[32:]
        if not hmac.compare_digest(seal, hmac.digest(self._seal, key + spans, "sha256")):
            return None
        findings = [Finding(*span) for span in json.loads(spans)]
        known = ENTITY_TYPES | FLAG_TYPES
        valid = all(0 <= f.start < f.end <= length and f.entity_type in known for f in findings)
        return findings if valid else None

    def _commit_in_time(self) -> None:
        if time.monotonic() - self._committed >= COMMIT_SECONDS:
            self.commit()

    def _evict(self) -> None:
        excess = self._rows - self._max_rows
        self._database.execute(
            "DELETE FROM spans WHERE key IN (SELECT key FROM spans ORDER BY used LIMIT ?)", (excess,)
        )
        self._rows -= excess
