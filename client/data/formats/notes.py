# SPDX-License-Identifier: Apache-2.0
"""A folder of .txt files, a row each: columns `text`, `label` (the sub-folder's name) and `name` (without the ending).

The name is the row's record id as well. A file's name may be a patient's: no error tells one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from client.data.formats.encodings import MAX_LINE, is_packed, open_text
from client.data.formats.rows import Cells, HowToRead, Opened, Unreadable, check_columns
from privacy.base.errors import SettingsError

COLUMNS: Final = ("text", "label", "name")
ENDINGS: Final = ("*.txt", "*.txt.gz")


def files_in(folder: Path) -> list[Path]:
    """The notes of a folder and of its sub-folders, by name; a name that begins with a dot is none."""
    paths = [path for ending in ENDINGS for under in (ending, f"*/{ending}") for path in folder.glob(under)]
    notes = (path for path in paths if path.is_file() and not path.name.startswith(".") and path.parent.name[:1] != ".")
    return sorted(notes, key=lambda path: path.relative_to(folder).parts)


def open_rows(path: Path, how: HowToRead, columns: Sequence[str]) -> Opened:
    """The rows of a folder, or the one of a single file. Raises SettingsError for a column that notes have not."""
    check_columns(path, columns, COLUMNS, "a note (columns text, label and name)")
    files = files_in(path) if path.is_dir() else [path]
    if not path.is_dir():
        open_text(path, how.encoding)[0].close()  # a file that is named must be there to be read
    names = [str(file.relative_to(path)) if path.is_dir() else file.name for file in files]
    encoding = "utf-8 or as a byte order mark says" if how.encoding == "auto" else how.encoding
    number = f"{len(files)} file{'s' * (len(files) != 1)}"
    return Opened(f"{number} of text, {encoding}", _rows(path, files, how, columns), names=names)


def _rows(
    folder: Path, files: Sequence[Path], how: HowToRead, columns: Sequence[str]
) -> Iterator[tuple[int, Cells | Unreadable]]:
    for number, file in enumerate(files, 1):
        label = file.parent.name if file.parent != folder and folder.is_dir() else None
        text = _text(file, how.encoding)
        known = {"text": text, "label": label, "name": stem(file.name)}
        yield number, "malformed" if text is None else {column: known[column] for column in columns}


def stem(name: str) -> str:
    """A note's name without its ending."""
    return name[: -len(".txt.gz")] if is_packed(Path(name)) else name[: -len(".txt")]


def _text(file: Path, encoding: str) -> str | None:
    """A note's text; None if it cannot be read, or is longer than a row may be."""
    try:
        opened, _ = open_text(file, encoding)
        with opened:
            text = opened.read(MAX_LINE + 1)
    except (OSError, EOFError, zlib.error, SettingsError):
        return None
    return text if len(text) <= MAX_LINE else None
