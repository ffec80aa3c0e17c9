# SPDX-License-Identifier: Apache-2.0
"""A log that cannot fill a disk: what a process prints, line by line, each cut short, in two files of bounded size.

What strangers send ends up in a library's warnings sooner or later. So a line is cut at `LINE_BYTES`, control
characters become dots, and a full file becomes `<name>.1`, replacing the one before.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

LINE_BYTES: Final = 1000
FILE_BYTES: Final = 4 << 20
_KEPT: Final = bytes(range(0x20, 0x7F))
_READABLE: Final = bytes(byte if byte in _KEPT else ord(".") for byte in range(256))


class BoundedLog:
    """Appends to `path` (0600) whatever is written to the pipe that `pipe` opens, until all its writers are gone."""

    def __init__(self, path: Path, *, file_bytes: int = FILE_BYTES) -> None:
        self._path, self._limit = path, file_bytes
        self._mutex = threading.Lock()
        self._file = self._open()

    def pipe(self) -> int:
        """A new pipe's writing end, for a child. The caller closes it once the child has it."""
        reading, writing = os.pipe()
        threading.Thread(target=self._copy, args=(reading,), daemon=True).start()
        return writing

    def _copy(self, reading: int) -> None:
        line, written = b"", False  # `written`: the rest of a line that was cut is dropped
        with os.fdopen(reading, "rb", buffering=0) as source:
            while piece := source.read(64 << 10):
                *whole, rest = piece.split(b"\n")
                for part in whole:
                    if not written:
                        self._write(line + part)
                    line, written = b"", False
                line = b"" if written else line + rest
                if len(line) > LINE_BYTES:
                    self._write(line)
                    line, written = b"", True
        if line:
            self._write(line)

    def _write(self, line: bytes) -> None:
        with self._mutex:
            if os.fstat(self._file).st_size + LINE_BYTES >= self._limit:
                os.close(self._file)
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
                self._file = self._open()
            os.write(self._file, line[:LINE_BYTES].translate(_READABLE) + b"\n")

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
