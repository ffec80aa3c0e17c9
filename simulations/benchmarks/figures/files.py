# SPDX-License-Identifier: Apache-2.0
"""docs/figures/NAME.json: what was measured, by which command, when, at which commit, on what machine; and its tables.

Rows are those of a bench's report, taken whole by `take`; what was measured beside a bench stands as a measurement of
its own in the same file. A table says which rows it shows, or each of its cells. Nothing is rounded here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from simulations.benchmarks.report import ROOT, Row

FOLDER = ROOT / "docs" / "figures"
NAME = r"^[a-z][a-z0-9_]*$"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MeasuredOn(_Strict):
    """What it ran on; None where nobody wrote it down."""

    cpu: str
    cores: int | None = None
    threads: int | None = None
    gpu: str | None = None


class Measurement(_Strict):
    """One run of one command and its rows. `seconds` is None and `commit` empty where they were not written down."""

    name: str = Field(pattern=NAME)
    command: str
    date: date
    commit: str = ""
    machine: MeasuredOn
    seconds: float | None = None
    conditions: str = ""
    rows: tuple[Row, ...] = ()


class FigureTable(_Strict):
    """A table: the rows that match `select` in that order, with `columns` of theirs; or `cells`, as they stand.

    A cell is text in which `{row}`, `{row.least}` or `{bench/row.key:.3f}` stand for figures: see `tables.filled`.
    """

    name: str = Field(pattern=NAME)
    title: str
    text: str = ""
    select: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    cells: tuple[tuple[str, ...], ...] = ()
    notes: bool = True

    @model_validator(mode="after")
    def _one_of_both(self) -> FigureTable:
        if bool(self.select) == bool(self.cells):
            raise ValueError(f"table {self.name} has either select or cells")
        if any(len(cells) != len(self.columns) for cells in self.cells):
            raise ValueError(f"table {self.name}: each line of cells has as many as there are columns")
        return self


class FigureFile(_Strict):
    """A file of figures. `text` says what they are, `notes` how to read them; both are filled as cells are."""

    bench: str = Field(pattern=NAME)
    title: str
    text: str = ""
    measurements: tuple[Measurement, ...]
    tables: tuple[FigureTable, ...]
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_are_single(self) -> FigureFile:
        rows = [row.name for measurement in self.measurements for row in measurement.rows]
        for names in (rows, [one.name for one in self.measurements], [table.name for table in self.tables]):
            if doubled := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{self.bench}: more than one {', '.join(doubled)}")
        return self

    def rows(self) -> Iterator[Row]:
        """All rows, of all measurements."""
        for measurement in self.measurements:
            yield from measurement.rows


def load(folder: Path = FOLDER) -> dict[str, FigureFile]:
    """All files of figures, by bench. Raises ValueError where one is not as it should be."""
    files = {path.stem: _read(path) for path in sorted(folder.glob("*.json"))}
    for name, file in files.items():
        if file.bench != name:
            raise ValueError(f"{name}.json says that it is of {file.bench}")
    return files


def _read(path: Path) -> FigureFile:
    try:
        return FigureFile.model_validate_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


def dump(file: FigureFile) -> str:
    """The text of a file: a line for each row, so that a change of one figure is a change of one line."""
    shell = file.model_dump(mode="json", exclude_defaults=True)
    marks: dict[str, str] = {}

    def line(value: object) -> str:
        mark = f"@{len(marks)}@"
        marks[f'"{mark}"'] = json.dumps(value, ensure_ascii=False)
        return mark

    for measurement, model in zip(shell["measurements"], file.measurements, strict=True):
        measurement["machine"] = line(measurement["machine"])
        measurement["rows"] = [line(_of_row(row)) for row in model.rows]
    for table in shell["tables"]:
        for key in {"columns", "select"} & set(table):
            table[key] = line(table[key])
        if "cells" in table:
            table["cells"] = [line(cells) for cells in table["cells"]]
    text = json.dumps(shell, indent=1, ensure_ascii=False)
    for mark, value in marks.items():
        text = text.replace(mark, value, 1)
    return f"{text}\n"


def _of_row(row: Row) -> dict[str, Any]:
    empty: Mapping[str, object] = {"reach": "", "spread": None, "n": 1, "beside": {}, "note": ""}
    return {key: value for key, value in asdict(row).items() if key not in empty or value != empty[key]}


def take(report: Path, folder: Path = FOLDER) -> Path:
    """Put the rows of a bench's report into its file of figures, in place of those of the run before; returns the file.

    What else the file holds stays. A quick report measures too little to be shown and raises ValueError.
    """
    written = json.loads(report.read_text(encoding="utf-8"))
    name = str(written["bench"]).replace("-", "_")
    if written["quick"]:
        raise ValueError(f"{report.name} is of a quick run: its sizes are smaller, it is not for the docs")
    path = folder / f"{name}.json"
    file = _read(path) if path.exists() else _new(name)
    day = written.get("date") or datetime.fromtimestamp(report.stat().st_mtime, UTC).date().isoformat()
    before = next((one for one in file.measurements if one.name == name), None)
    taken = Measurement(
        name=name,
        command=before.command if before else f"make bench-{written['bench']}",
        date=date.fromisoformat(day),
        commit=written["commit"][:12],
        machine=MeasuredOn(**written["machine"]),
        seconds=written["seconds"],
        rows=tuple(Row(**row | {"spread": row["spread"] and tuple(row["spread"])}) for row in written["rows"]),
    )
    others = tuple(one for one in file.measurements if one.name != name)
    whole = file.model_copy(update={"measurements": (taken, *others)})
    path.write_text(dump(FigureFile.model_validate(whole.model_dump())), encoding="utf-8")
    return path


def _new(name: str) -> FigureFile:
    table = FigureTable(name="all", title="All figures", select=(".*",))
    return FigureFile(bench=name, title=name.replace("_", " "), measurements=(), tables=(table,))
