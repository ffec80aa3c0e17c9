# SPDX-License-Identifier: Apache-2.0
"""A log keeps what a person needs, and nobody can fill a disk with it or write to a terminal through it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from coordinator.wire.bounded_log import LINE_BYTES, BoundedLog

Write = Callable[..., bytes]


@pytest.fixture
def written(wait_for: Callable[[Callable[[], object]], None]) -> Write:
    """written(log, data, file_bytes): write through the log, and read what it kept once it has all."""

    def write(log: Path, data: bytes, file_bytes: int = 1 << 20) -> bytes:
        writing = BoundedLog(log, file_bytes=file_bytes).pipe()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)
            pipe.write(b"\nthe end\n")

        def ended() -> bool:
            with contextlib.suppress(FileNotFoundError):  # between the old file and the new one
                return log.read_bytes().endswith(b"the end\n")
            return False

        wait_for(ended)
        return log.read_bytes()

    return write


def test_lines_are_kept_for_the_owner_alone_and_in_order(tmp_path: Path, written: Write) -> None:
    assert written(tmp_path / "log", b"one\ntwo\n\nthree") == b"one\ntwo\n\nthree\nthe end\n"
    assert written(tmp_path / "log", b"again").startswith(b"one\n")
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_a_line_is_cut_and_holds_no_control_character(tmp_path: Path, written: Write) -> None:
    text = written(tmp_path / "log", b"a" * (5 << 20) + b"\n\x1b[2Jred\r\x00\xff")
    lines = text.splitlines()
    assert lines == [b"a" * LINE_BYTES, b".[2Jred...", b"the end"]


def test_two_files_of_bounded_size_stay(tmp_path: Path, written: Write) -> None:
    log = tmp_path / "log"
    written(log, b"\n".join(b"line %d" % number for number in range(200_000)), file_bytes=100_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1"]
    assert all(path.stat().st_size <= 101_000 for path in tmp_path.iterdir())
    assert b"line 199999\n" in (tmp_path / "log.1").read_bytes() + log.read_bytes()
