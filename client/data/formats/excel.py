# SPDX-License-Identifier: Apache-2.0
"""Rows of the first sheet of an Excel workbook (.xlsx), read by openpyxl: the extra `excel`.

Formulas give the value that Excel stored with them. A cell of an error or a date makes its row malformed where a text,
an id or a label is asked for. Openpyxl's own errors and warnings may quote a cell: none of them is passed on.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from client.data.formats.rows import BROKEN, Cells, HowToRead, Opened, Unreadable, check_columns
from privacy.base.errors import SettingsError

MAX_UNPACKED: Final = 4 << 30
"""Bytes that a workbook may unpack to: openpyxl holds its texts in memory."""


def open_rows(path: Path, how: HowToRead, columns: Sequence[str]) -> Opened:
    """The rows under the header in the first row. Raises SettingsError for what is no workbook."""
    try:
        import openpyxl
    except ImportError:
        raise SettingsError(
            f"{path.name} needs openpyxl to be read", next_step="pip install 'collab[excel]', or save it as csv"
        ) from None
    rows = _cells(path, openpyxl)
    try:
        _, header = next(rows, (0, ()))
    except (OSError, SettingsError):
        raise
    except Exception:  # a broken workbook ends in any of a dozen errors
        raise _broken(path) from None
    check_columns(path, columns, [name for name in header if name is not None], "its first row")
    places = {column: header.index(column) for column in columns}
    return Opened("xlsx, the first sheet", _rows(path, rows, places), place="row {}")


def _rows(
    path: Path, rows: Iterator[tuple[int, tuple[Any, ...]]], places: dict[str, int]
) -> Iterator[tuple[int, Cells | Unreadable]]:
    try:
        for number, cells in rows:
            if any(cell is not None for cell in cells):  # a row that is only formatted is none
                yield number, {column: cells[at] if at < len(cells) else None for column, at in places.items()}
    except GeneratorExit:
        raise
    except Exception:
        raise _broken(path) from None


def _cells(path: Path, openpyxl: Any) -> Iterator[tuple[int, tuple[Any, ...]]]:
    with zipfile.ZipFile(path) as archive:
        if sum(part.file_size for part in archive.infolist()) > MAX_UNPACKED:
            raise SettingsError(f"{path.name} unpacks to more than 4 GiB", next_step="save it as csv")
    book = _quietly(lambda: openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False))
    try:
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # other programs write wrong ones
        rows, number = sheet.iter_rows(), 0
        while (row := _quietly(lambda: next(rows, None))) is not None:
            number += 1
            yield number, tuple(BROKEN if cell.data_type == "e" else cell.value for cell in row)
    finally:
        book.close()


def _quietly(read: Callable[[], Any]) -> Any:
    """What `read` gives. A warning of openpyxl quotes the cell that it is about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read()


def _broken(path: Path) -> SettingsError:
    return SettingsError(
        f"{path.name} cannot be read as an Excel workbook", next_step="open it in Excel and save it anew as .xlsx"
    )
