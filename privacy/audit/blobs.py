# SPDX-License-Identifier: Apache-2.0
"""Reading what the log names by digest: model files and update payloads, one file each, `blobs/<sha256>`.

Nothing is returned whose SHA-256 is not its name. Writing is the coordinator's (coordinator/blobs.py).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ContractError, IntegrityError, Unreachable
from privacy.identifiers import Digest, sha256, sha256_file

_DIGEST = re.compile(r"[0-9a-f]{64}")


class BlobReader:
    """The blobs in `folder`. Never writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, digest: Digest) -> bool:
        """Is it stored (not yet: is it whole)?"""
        return self._path(digest).is_file()

    def size(self, digest: Digest) -> int:
        """Its length in bytes. Raises Unreachable when it is not stored."""
        try:
            return self._path(digest).stat().st_size
        except OSError:
            raise _missing(digest) from None

    def get(self, digest: Digest) -> bytes:
        """Its bytes.

        Raises Unreachable when it is not stored, IntegrityError when its bytes are not those of its name.
        """
        try:
            data = self._path(digest).read_bytes()
        except OSError:
            raise _missing(digest) from None
        if sha256(data) != digest:
            raise _altered(digest)
        return data

    def open_array(self, digest: Digest) -> NDArray[np.int32]:
        """An int32 payload as a read-only view of its file, so that memory stays flat. Checked like `get`, in pieces.

        Raises ContractError("wrong_shape") when its length is not that of an int32 vector.
        """
        size = self.size(digest)
        if size == 0 or size % 4:
            raise ContractError(f"blob {digest[:12]} is no int32 vector", reason="wrong_shape")
        if sha256_file(self._path(digest)) != digest:
            raise _altered(digest)
        return np.memmap(self._path(digest), "<i4", mode="r")

    def _path(self, digest: Digest) -> Path:
        if _DIGEST.fullmatch(digest) is None:
            raise ContractError("a blob is named by 64 lower-case hexadecimal digits")
        return self.folder / digest


def _missing(digest: Digest) -> Unreachable:
    return Unreachable(f"blob {digest[:12]} is not stored", next_step="copy it from the coordinator's blobs folder")


def _altered(digest: Digest) -> IntegrityError:
    return IntegrityError(f"blob {digest[:12]} was altered: its SHA-256 is not its name")
