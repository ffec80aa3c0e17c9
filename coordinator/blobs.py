# SPDX-License-Identifier: Apache-2.0
"""Models and update payloads, stored under their SHA-256 before the log names them.

A blob is whole or absent: temporary file, fsync, rename, fsync of the folder. Storing one again changes nothing, so a
reply that comes twice or a phase that is repeated after a crash does no harm.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from privacy.audit.blobs import BlobReader
from privacy.base.errors import StorageFailed
from privacy.base.identifiers import Digest, sha256

_PARTIAL: Final = ".partial-"


class BlobStore(BlobReader):
    """The coordinator's blobs. One process writes at a time (coordinator.journal holds the folder's lock)."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in folder.glob(f"{_PARTIAL}*"):
            leftover.unlink()

    def put(self, data: bytes | memoryview) -> Digest:
        """Store `data` durably; returns its digest. Raises StorageFailed, and leaves nothing, when the disk refuses."""
        digest = sha256(data)
        path = self._path(digest)
        if path.is_file() and path.stat().st_size == len(data):
            return digest
        partial = self.folder / f"{_PARTIAL}{secrets.token_hex(8)}"
        try:
            _write_durably(partial, data)
            partial.rename(path)
            _sync_folder(self.folder)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise StorageFailed(
                f"a blob of {len(data)} bytes could not be stored: {os.strerror(error.errno or 0)}",
                next_step="free the disk; nothing is half written and the round can go on",
            ) from error
        return digest


def _write_durably(path: Path, data: bytes | memoryview) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
