# SPDX-License-Identifier: Apache-2.0
"""The report of bench-anonymize as the tables that stand in docs/benchmarks.md.

    python benchmarks/markdown.py [--write]

prints them, or with --write puts them between their marks in the docs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from hipaa import ROWS
from report import ROOT

BEGIN, END = "<!-- anonymize:tables -->", "<!-- anonymize:end -->"
_APART = ("hipaa_recall_min",)


def lines(report: Mapping[str, Any], day: str) -> Iterator[str]:
    """The lines: what was run, the rows, and the eighteen identifiers."""
    machine = report["machine"]
    quick = "; a quick run: sizes are smaller" if report["quick"] else ""
    took = f"{round(report['seconds'] / 60)} minutes{quick}"
    yield f"{day}, commit `{report['commit'][:12]}`, {machine['cpu']}, {machine['cores']} cores, {took}."
    yield from ("", "| name | value | reach | stock Presidio | n | beside |", "|---|---|---|---|---|---|")
    for row in report["rows"]:
        beside = "" if row["name"] in _APART else _beside(row["beside"])
        said = row["note"] if row["value"] is None else beside
        stock = _figure(row["beside"].get("stock"))
        yield f"| `{row['name']}` | {_figure(row['value'])} | {row['reach']} | {stock} | {row['n']} | {said} |"
    for row in report["rows"]:
        if row["name"] in _APART and row["value"] is not None:
            yield from _eighteen(row)


def _eighteen(row: Mapping[str, Any]) -> Iterator[str]:
    beside = dict(row["beside"])
    yield from ("", f"The eighteen identifiers: {row['note']}.", "")
    yield from ("| # | identifier | recall | stock Presidio |", "|---|---|---|---|")
    for number, name in enumerate(ROWS, 1):
        ours, theirs = beside.pop(name, None), beside.pop(f"stock_{name}", None)
        yield f"| {number} | {name.replace('_', ' ')} | {_figure(ours)} | {_figure(theirs)} |"
    yield from ("", f"Beside them: {_beside(beside)}.")


def _beside(beside: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_figure(value)}" for name, value in beside.items() if name != "stock")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def main(arguments: list[str]) -> int:
    """Print the tables of the last report, or write them into the docs."""
    file, docs = ROOT / "out" / "bench-anonymize.json", ROOT / "docs" / "benchmarks.md"
    day = datetime.fromtimestamp(file.stat().st_mtime, UTC).date().isoformat()
    tables = "\n".join(lines(json.loads(file.read_text()), day))
    if "--write" in arguments:
        docs.write_text(placed(docs.read_text(encoding="utf-8"), tables), encoding="utf-8")
    else:
        print(tables)
    return 0


def placed(text: str, tables: str) -> str:
    """`text` with `tables` between the two marks. Raises ValueError if they are not there."""
    before, rest = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    return f"{before}\n{tables}\n{rest}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
