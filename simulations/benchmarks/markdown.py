# SPDX-License-Identifier: Apache-2.0
"""The reports of bench-anonymize and bench-utility as the tables that stand in docs/benchmarks.md.

    python -m simulations.benchmarks.markdown [anonymize | utility] [--write]

prints one (anonymize unless it is said), or with --write puts it between its marks in the docs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from simulations.benchmarks.hipaa import ROWS
from simulations.benchmarks.report import ROOT

_APART = ("hipaa_recall_min",)


def lines(report: Mapping[str, Any], day: str) -> Iterator[str]:
    """The lines of bench-anonymize: what was run, the rows, and the eighteen identifiers."""
    yield _run(report, day)
    yield from ("", "| name | value | reach | stock Presidio | n | beside |", "|---|---|---|---|---|---|")
    for row in report["rows"]:
        beside = "" if row["name"] in _APART else _beside(row["beside"])
        said = row["note"] if row["value"] is None else beside
        stock = _figure(row["beside"].get("stock"))
        yield f"| `{row['name']}` | {_figure(row['value'])} | {row['reach']} | {stock} | {row['n']} | {said} |"
    for row in report["rows"]:
        if row["name"] in _APART and row["value"] is not None:
            yield from _eighteen(row)


def utility_lines(report: Mapping[str, Any], day: str) -> Iterator[str]:
    """The lines of bench-utility: what was run, costs and gains in points, the figures, and how each was trained."""
    rows = {row["name"]: row for row in report["rows"]}
    yield _run(report, day)
    yield from ("", "| in points | value | reach | seeds | of what |", "|---|---|---|---|---|")
    for row in rows.values():
        if row["unit"] == "points":
            yield f"| `{row['name']}` | {_figure(row['value'])} | {row['reach']} | {row['n']} | {row['note']} |"
    figures = "accuracy, or entity F1 for ncbi and wnut, on the pooled test rows"
    yield from ("", f"| {figures} | value | seeds, least to greatest | beside | how |", "|---|---|---|---|---|")
    for row in rows.values():
        if row["unit"] != "share":
            continue
        spread = (
            "" if row["spread"] is None else f"{row['n']}, {_figure(row['spread'][0])} to {_figure(row['spread'][1])}"
        )
        yield f"| `{row['name']}` | {_figure(row['value'])} | {spread} | {_beside(row['beside'])} | {row['note']} |"
    tried = [
        f"{row['name'].removesuffix('_trials')} {row['value']}" for row in rows.values() if row["unit"] == "settings"
    ]
    yield from ("", f"Cells trained at seed 1 and measured on dev, trials of all variants: {', '.join(tried)}.")


def _run(report: Mapping[str, Any], day: str) -> str:
    machine = report["machine"]
    quick = "; a quick run: sizes are smaller" if report["quick"] else ""
    took = f"{round(report['seconds'] / 60)} minutes{quick}"
    return f"{day}, commit `{report['commit'][:12]}`, {machine['cpu']}, {machine['cores']} cores, {took}."


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


BENCHES: dict[str, Callable[[Mapping[str, Any], str], Iterator[str]]] = {
    "anonymize": lines,
    "utility": utility_lines,
}


def main(arguments: list[str]) -> int:
    """Print the tables of the last report, or write them into the docs."""
    name = next((argument for argument in arguments if argument in BENCHES), "anonymize")
    file, docs = ROOT / "out" / f"bench-{name}.json", ROOT / "docs" / "benchmarks.md"
    day = datetime.fromtimestamp(file.stat().st_mtime, UTC).date().isoformat()
    tables = "\n".join(BENCHES[name](json.loads(file.read_text()), day))
    if "--write" in arguments:
        docs.write_text(placed(docs.read_text(encoding="utf-8"), tables, name), encoding="utf-8")
    else:
        print(tables)
    return 0


def placed(text: str, tables: str, name: str = "anonymize") -> str:
    """`text` with `tables` between the two marks of `name`. Raises ValueError if they are not there."""
    begin, end = f"<!-- {name}:tables -->", f"<!-- {name}:end -->"
    before, rest = text[: text.index(begin) + len(begin)], text[text.index(end) :]
    return f"{before}\n{tables}\n{rest}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
