# SPDX-License-Identifier: Apache-2.0
"""One row as its file holds it, and what the corpus gets of it: named cells, or the reason why there are none.

The law of this room: whatever a row holds costs that row at most. A reader gives cells of any kind; here each becomes
text, an integer or nothing, or the row is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from privacy.base.errors import SettingsError

Unreadable = Literal["undecodable", "malformed"]
Cell = str | int | None
Cells = Mapping[str, Any]
"""One row as its file holds it."""

EXACT: Final = 1 << 53
"""Beyond it a float stands for several integers: two ids would become one."""


class BrokenCell:
    """Stands for a cell that its file cannot give: the row is malformed."""


BROKEN: Final = BrokenCell()


@dataclass(frozen=True)
class RawRow:
    """The named cells of one row; a column that the row lacks is None. `name`: the row's own, where a file is a row."""

    cells: Mapping[str, Cell]
    name: str | None = None

    def __repr__(self) -> str:
        return "RawRow(hidden)"


@dataclass(frozen=True)
class HowToRead:
    """What the settings say of the files; "auto" everywhere if nothing."""

    format: str = "auto"
    encoding: str = "auto"
    delimiter: str = "auto"


@dataclass(frozen=True, repr=False)
class Opened:
    """A file whose beginning was read: what it was taken for, its rows with their numbers, and how a number is told."""

    taken: str
    rows: Iterator[tuple[int, Cells | Unreadable]]
    place: str = "line {}"
    names: Sequence[str] = ()
    """Of row n its name, at n - 1: where each row is a file."""


def clean(cells: Cells, structured: Collection[str], name: str | None) -> RawRow | Unreadable:
    """`cells` where each is text, an integer or absent, else why not.

    A whole number that a file holds as a float (12.0) is that integer; NaN is nothing. A list or a fraction in one of
    the `structured` columns (labels, marks, words) comes out as its JSON text.
    """
    read: dict[str, Cell] = {}
    for column, value in cells.items():
        cell = _clean_cell(value, column in structured)
        if isinstance(cell, BrokenCell):
            return "malformed"
        if isinstance(cell, str) and not is_text(cell):
            return "undecodable"
        read[column] = cell
    return RawRow(read, name)


def _clean_cell(value: Any, structured: bool) -> Cell | BrokenCell:
    if isinstance(value, float) and math.isnan(value):
        return None
    if structured and isinstance(value, list | float):
        return _as_json(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        return int(value)
    return BROKEN if isinstance(value, bool) or not isinstance(value, str | int | None) else value


def _as_json(value: list[Any] | float) -> str | BrokenCell:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return BROKEN


def is_text(text: str) -> bool:
    """Whether every character of `text` is one: what could not be decoded stands as a lone surrogate."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def check_columns(path: Path, wanted: Sequence[str], header: Sequence[object], where: str) -> None:
    """Raises SettingsError where `header` lacks a wanted column.

    It names the site's own columns, never one of the file's: without a header the first line is a patient's. That one
    of the file's equals a name of the settings, but for letter case and blanks, tells nothing that they do not hold.
    """
    absent = [column for column in wanted if column not in header]
    if not absent:
        return
    plain = {str(name).strip().casefold() for name in header}
    near = [column for column in absent if column.strip().casefold() in plain]
    problem = f"{path.name} has no column {', '.join(absent)}: {where} names {len(header)} columns, "
    problem += f"{len(set(wanted) - set(absent))} of the {len(set(wanted))} that [data] names"
    if near:
        problem += f"; {', '.join(near)} is there in other letter case or with blanks around it"
    raise SettingsError(
        problem,
        next_step="compare it with the columns under [data]; it is not quoted here, since in a file without names of "
        "columns it would be a patient's",
    )
