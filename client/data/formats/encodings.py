# SPDX-License-Identifier: Apache-2.0
"""Bytes to text, by a rule that can be said in a sentence; packed files (.gz) on the way.

"auto": a byte order mark says which of UTF-8 and UTF-16 it is; without one it is UTF-8. Nothing is guessed: 8-bit text
that is no UTF-8 could be cp1252, latin-1 or gb18030 with other words in each, so its rows are refused until
data.encoding says which. What cannot be decoded becomes a lone surrogate and costs its row alone.
"""

from __future__ import annotations

import codecs
import gzip
import io
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO, cast

from privacy.base.errors import SettingsError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_UNPACKED: Final = 16 << 30
"""Bytes that one packed file may unpack to."""
MAX_LINE: Final = 64 << 20
"""Characters of a row: of a longer one nothing is kept, so that it cannot fill the memory."""

EIGHT_BIT: Final = ("cp1252", "latin-1", "gb18030")
_MARKS: Final = (
    (b"\xff\xfe\x00\x00", None),
    (b"\x00\x00\xfe\xff", None),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LOST: Final = "\udcff"
_ON_ERROR: Final = "collab-lost"


def _lose(error: UnicodeError) -> tuple[str, int]:
    """One lone surrogate for what cannot be decoded, whatever the encoding: "surrogateescape" knows no UTF-16."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _LOST, error.end


codecs.register_error(_ON_ERROR, _lose)


def is_packed(path: Path) -> bool:
    """Whether the file's name says that it is packed."""
    return path.suffix.lower() == ".gz"


def open_text(path: Path, encoding: str, newline: str = "", *, json: bool = False) -> tuple[TextIO, str]:
    """The file as text, and what it was taken for. Raises SettingsError, OSError, EOFError, zlib.error.

    JSON begins with a character of ASCII: what stands there behind no such mark is a broken first row.
    """
    packed = is_packed(path)
    opened: io.BufferedReader[Any] = io.BufferedReader(_Bounded(path), 1 << 16) if packed else path.open("rb")
    try:
        codec, taken = _codec(path, opened, encoding, json)
    except BaseException:
        opened.close()
        raise
    text = io.TextIOWrapper(cast(BinaryIO, opened), encoding=codec, errors=_ON_ERROR, newline=newline)
    return text, taken + (", unpacked" if packed else "")


def _codec(path: Path, opened: io.BufferedReader[Any], encoding: str, json: bool) -> tuple[str, str]:
    head = opened.peek(4)
    if encoding != "auto":
        return _named_codec(encoding, head), f"{encoding} (data.encoding)"
    for mark, codec in _MARKS:
        if head.startswith(mark) and not (json and codec == "utf-16" and 0 not in head[2:4]):
            if codec is None:
                raise SettingsError(f"{path.name} is UTF-32, which is not read", next_step="save it as UTF-8")
            return codec, f"{'utf-8' if codec == 'utf-8-sig' else codec} (its byte order mark)"
    return "utf-8", "utf-8"


def _named_codec(encoding: str, head: bytes) -> str:
    """The codec of an encoding that the settings name; `head` tells no more than an order of bytes."""
    if encoding == "utf-8":
        return "utf-8-sig"  # a mark at the beginning is no text, whoever says that this is UTF-8
    if encoding == "utf-16" and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16-be" if head[:1] == b"\0" else "utf-16-le"
    return encoding


class _Bounded(io.RawIOBase):
    """A packed file that ends in an error where it unpacks to more than MAX_UNPACKED."""

    def __init__(self, path: Path) -> None:
        self._file = gzip.GzipFile(path, "rb")
        self._name, self._left = path.name, MAX_UNPACKED

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        data = self._file.read(len(memoryview(buffer)))
        self._left -= len(data)
        if self._left < 0:
            raise SettingsError(
                f"{self._name} unpacks to more than {MAX_UNPACKED >> 30} GiB", next_step="unpack it, and name that file"
            )
        memoryview(buffer)[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


class Lines:
    """The lines of a text with their numbers, from 1; None stands for one over MAX_LINE. They can be put back."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._number = file, 0
        self._again: deque[tuple[int, str | None]] = deque()

    def take(self) -> tuple[int, str | None] | None:
        """The next line; None at the end."""
        if self._again:
            return self._again.popleft()
        if self._file.closed:
            return None
        line = self._file.readline(MAX_LINE)
        if not line:
            self._file.close()
            return None
        self._number += 1
        if len(line) < MAX_LINE or line.endswith(("\n", "\r")):
            return self._number, line
        while (more := self._file.readline(MAX_LINE)) and not more.endswith(("\n", "\r")):
            pass
        return self._number, None

    def back(self, lines: list[tuple[int, str | None]]) -> None:
        """Give `lines` out again, before all that follow."""
        self._again.extendleft(reversed(lines))

    def __iter__(self) -> Iterator[tuple[int, str | None]]:
        while (line := self.take()) is not None:
            yield line


def likely(path: Path) -> list[str]:
    """The 8-bit encodings in which all of the file is text: what data.encoding might be, never what it is.

    latin-1 makes text of anything, so it is among them only where cp1252 is not. Raises OSError.
    """
    possible = [codec for codec in ("cp1252", "gb18030") if _decodes(path, codec)]
    return possible if "cp1252" in possible else [*possible, "latin-1"]


def _decodes(path: Path, codec: str) -> bool:
    text, _ = open_text(path, codec)
    with text:
        while piece := text.read(1 << 20):
            if _LOST in piece:
                return False
    return True
