# SPDX-License-Identifier: Apache-2.0
"""Reading what the log names by digest: model files and update payloads, one file each, `blobs/<sha256>`.

Nothing is returned whose SHA-256 is not its name. Only regular files are opened, none that is longer than any model.
Writing is the coordinator's (coordinator/blobs.py).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from privacy.base.errors import ContractError, IntegrityError, Unreachable
from privacy.base.files import is_regular, open_regular
from privacy.base.identifiers import Digest, sha256

MAX_BLOB_BYTES: Final = 8 << 30
"""Two thousand million float32 values. A longer file is not read: a name alone can claim any length."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class BlobReader:
    """The blobs in `folder`. Never writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, digest: Digest) -> bool:
        """Is it stored (not yet: is it whole)?"""
        return is_regular(self._path(digest))

    def size(self, digest: Digest) -> int:
        """Its length in bytes. Raises Unreachable when it is not stored."""
        try:
            return self._path(digest).stat().st_size
        except OSError:
            raise _missing(digest) from None

    def check(self, digest: Digest) -> None:
        """Read it in pieces.

        Raises Unreachable when it is not stored, IntegrityError when its bytes are not those of its name.
        """
        state = hashlib.sha256()
        with self._open(digest) as file:
            while piece := file.read(1 << 20):
                state.update(piece)
        if state.hexdigest() != digest:
            raise _altered(digest)

    def get(self, digest: Digest) -> bytes:
        """Its bytes.

        Raises Unreachable when it is not stored, IntegrityError when its bytes are not those of its name.
        """
        with self._open(digest) as file:
            data = file.read()
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
        self.check(digest)
        return np.memmap(self._path(digest), "<i4", mode="r")

    def _open(self, digest: Digest) -> BinaryIO:
        path = self._path(digest)
        try:
            size = path.lstat().st_size
            file = open_regular(path)
        except FileNotFoundError:
            raise _missing(digest) from None
        except OSError:
            raise IntegrityError(f"blob {digest[:12]} is no regular file that can be read") from None
        if size > MAX_BLOB_BYTES:
            file.close()
            raise IntegrityError(f"blob {digest[:12]} claims {size} bytes: no model is that long")
        return file

    def _path(self, digest: Digest) -> Path:
        if _DIGEST.fullmatch(digest) is None:
            raise ContractError("a blob is named by 64 lower-case hexadecimal digits")
        return self.folder / digest


def _missing(digest: Digest) -> Unreachable:
    return Unreachable(f"blob {digest[:12]} is not stored", next_step="copy it from the coordinator's blobs folder")


def _altered(digest: Digest) -> IntegrityError:
    return IntegrityError(f"blob {digest[:12]} was altered: its SHA-256 is not its name")
