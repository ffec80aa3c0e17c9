# SPDX-License-Identifier: Apache-2.0
"""Rows of JSON: an object a line (jsonl), or one array of objects.

Of an array each element is read by itself, found by its brackets alone, so that one that is broken costs itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from client.data.formats.encodings import Lines, open_text
from client.data.formats.rows import Cells, HowToRead, Opened, Unreadable, is_text
from privacy.base.errors import SettingsError

_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{},"]', re.DOTALL)
_ENDS: Final = (",", "]", "}")
_DEPTH: Final = {"[": 1, "{": 1, "]": -1, "}": -1}


def open_lines(path: Path, how: HowToRead, columns: Sequence[str]) -> Opened:
    """The rows of a jsonl file. A column that no row has is no error: it would depend on rows."""
    text, encoding = open_text(path, how.encoding, newline="\n", json=True)
    return Opened(f"jsonl, {encoding}", _of_lines(Lines(text), columns))


def _of_lines(lines: Lines, columns: Sequence[str]) -> Iterator[tuple[int, Cells | Unreadable]]:
    for number, line in lines:
        if line is None:
            yield number, "malformed"
        elif line.strip():
            yield number, _object(line, columns)


def open_array(path: Path, how: HowToRead, columns: Sequence[str]) -> Opened:
    """The rows of a file that is one JSON array. Raises SettingsError if it does not begin as one."""
    opened, encoding = open_text(path, how.encoding, json=True)
    with opened:
        text = opened.read()
    start = len(text) - len(text.lstrip())
    if text[start : start + 1] != "[":
        raise SettingsError(
            f"{path.name} does not begin as a JSON array of rows",
            next_step='if it holds one JSON object a line, set data.format = "jsonl"',
        )
    return Opened(f"json, one array, {encoding}", _of_array(text, start + 1, columns), place="row {}")


def _of_array(text: str, start: int, columns: Sequence[str]) -> Iterator[tuple[int, Cells | Unreadable]]:
    number = 0
    for element, end in _elements(text, start):
        if element.strip() or end == ",":
            number += 1
            yield number, _object(element, columns) if end else "malformed"


def _elements(text: str, start: int) -> Iterator[tuple[str, str]]:
    """The elements of an array, each with the mark that ends it; at last what is left of the text, ended by nothing.

    What is left is no row: the text was cut off, or its brackets do not match.
    """
    depth = 0
    for token in _TOKEN.finditer(text, start):
        mark = token.group()
        if depth > 0 or mark not in _ENDS:
            depth += _DEPTH.get(mark, 0)
            continue
        yield text[start : token.start()], mark
        start = token.end()
        if mark != ",":
            break
    yield text[start:], ""


def _object(text: str, columns: Sequence[str]) -> Cells | Unreadable:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return "malformed" if is_text(text) else "undecodable"
    return {column: value.get(column) for column in columns} if isinstance(value, dict) else "malformed"
