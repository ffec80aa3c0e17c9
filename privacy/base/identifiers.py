# SPDX-License-Identifier: Apache-2.0
"""SiteId, RunId, Digest: names safe in a file name, a log entry and a message, validated once at the border."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints

SiteId = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""A site's name: lower-case letters, digits and underscores, at most 32."""

RunId = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
"""A run's name, unique in one coordinator's log."""

Digest = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest as 64 lower-case hexadecimal digits."""

HexBytes = Annotated[str, StringConstraints(strict=True, pattern=r"^([0-9a-f]{2})*$")]
"""Bytes as lower-case hexadecimal digits."""


Role = Literal["trainer", "evaluator"]
"""What a site does in a run: it trains on private texts and counts on a part of them, or counts on public ones."""


def sha256(data: bytes | bytearray | memoryview) -> Digest:
    """The SHA-256 of `data` as a Digest."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> Digest:
    """The SHA-256 of a file's bytes, read in pieces of 1 MiB."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            state.update(piece)
    return state.hexdigest()
