# SPDX-License-Identifier: Apache-2.0
"""One form for all benchmarks: rows of measured figures, written to out/bench-NAME.json and printed as a table.

A value is measured in the run that writes it. What could not be measured is None, with the reason in `note`.
`python -m simulations.benchmarks.figures --take out/bench-NAME.json --write` puts a report into the docs.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from pydantic import ConfigDict
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ("name", "value", "unit", "reach", "spread", "n", "beside", "note")
UNSEEN_WIDTH = 160
"""The table's width where no terminal says one."""


@dataclass(frozen=True)
class Row:
    """One figure. `spread` is the least and the greatest of `n` repeats, `beside` what was measured with it."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # where files of figures hold it

    name: str
    value: float | int | None
    unit: str
    reach: str = ""
    spread: tuple[float, float] | None = None
    n: int = 1
    beside: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


def of_repeats(name: str, values: Sequence[float], unit: str, **more: object) -> Row:
    """The row of several repeats: their median, and how far they lie apart."""
    if not values:
        return Row(name, None, unit, n=0, note="not measured")
    return Row(name, median(values), unit, spread=(min(values), max(values)), n=len(values), **more)  # type: ignore[arg-type]


def write_report(
    bench: str, rows: Sequence[Row], *, seconds: float, quick: bool, gpu: str | None = None, out: Path = ROOT / "out"
) -> Path:
    """Write `out`/bench-`bench`.json, print it as a table, and return the file."""
    report = {
        "bench": bench,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "threads": _threads(), "gpu": gpu},
        "seconds": round(seconds, 1),
        "quick": quick,
        "rows": [asdict(row) for row in rows],
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"bench-{bench}.json"
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    _print(bench, rows, report)
    return path


def _print(bench: str, rows: Sequence[Row], report: Mapping[str, object]) -> None:
    quick = ", quick: sizes are smaller" if report["quick"] else ""
    table = Table(title=f"bench-{bench}: {report['seconds']} s, commit {str(report['commit'])[:12]}{quick}")
    lines = [_cells_of(row) for row in rows]
    for column in COLUMNS:
        if any(line[column] for line in lines):
            table.add_column(column, justify="right" if column in ("value", "n") else "left", overflow="fold")
    for line in lines:
        table.add_row(*(line[str(column.header)] for column in table.columns))
    Console(width=None if sys.stdout.isatty() else UNSEEN_WIDTH).print(table)


def _cells_of(row: Row) -> dict[str, str]:
    """What stands in each column; nothing where a column says what goes without saying."""
    value = "-" if row.value is None else str(row.value) if isinstance(row.value, int) else f"{row.value:.4g}"
    spread = "" if row.spread is None else f"{row.spread[0]:.4g} to {row.spread[1]:.4g}"
    beside = ", ".join(f"{name} {figure:.4g}" for name, figure in row.beside.items())
    repeats = "" if row.n == 1 else str(row.n)
    return dict(zip(COLUMNS, (row.name, value, row.unit, row.reach, spread, repeats, beside, row.note), strict=True))


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _threads() -> int | None:
    given = os.environ.get("OMP_NUM_THREADS")
    return int(given) if given else os.cpu_count()
