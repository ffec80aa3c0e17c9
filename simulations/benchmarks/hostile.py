# SPDX-License-Identifier: Apache-2.0
"""Every claim against a coordinator who lies, a site that lies, and a statistician -> out/bench-hostile.json.

    python -m simulations.benchmarks.hostile [--quick] [--only CELL ...] [--fresh]

The cells: `neighbours` (hostile plans on data sets that differ by one unit), `pairs` (how far one unit moves a step's
sum), `attacks` (each sketch that once worked, as a test of the real code), `door` (connections without a certificate)
and `site` (an admitted hostile one), `noise` (of the published accuracy), `gradients` and `demo` (CPU seconds beside an
earlier commit). Each cell's rows are kept, so that a run that was ended goes on; `--fresh` begins anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from simulations.benchmarks.attacks import ATTACKS
from simulations.benchmarks.report import ROOT, Row, write_report

PAIRS_SEED = 1
WORDS = ("ward", "heart", "lung", "fever", "cough", "pain", "rest", "stable", "worse", "better", "left", "right")


@dataclass(frozen=True)
class Size:
    """How much of each cell is done."""

    tries: int
    pairs: int
    draws: int
    connections: int
    messages: int
    repeats: int


FULL = Size(tries=20_000, pairs=10, draws=2000, connections=1000, messages=100_000, repeats=5)
QUICK = Size(tries=20, pairs=1, draws=50, connections=30, messages=200, repeats=1)


def neighbours(size: Size, folder: Path) -> list[Row]:
    """The law of ADR 30, tried."""
    from simulations.benchmarks.neighbours import neighbours as tried

    return tried(folder / "neighbours", size.tries, tell=_tell)


def pairs(size: Size, folder: Path) -> list[Row]:
    """The worst distance of neighbouring sums, dropout and hidden pieces on."""
    from client.learning.model.pretrained import load_pretrained
    from simulations.leakage.neighbours import distances
    from simulations.tiny_bert import write_tiny_bert

    with tempfile.TemporaryDirectory() as scratch:
        write_tiny_bert(Path(scratch) / "tiny")
        pairs = list(distances(load_pretrained(Path(scratch) / "tiny"), WORDS, size.pairs, PAIRS_SEED))
    worst = max(pairs, key=lambda one: one.share)
    note = f"{worst.task}, {worst.scope}, unit {worst.unit}; nine tasks, five scopes, dropout and masks on"
    return [Row("pair_distance_worst", worst.share, "C", "<= 1", n=len(pairs), note=note)]


def attacks(size: Size, folder: Path) -> list[Row]:
    """Each attack's tests; one that fails is an attack that works."""
    working = []
    for name, tests in ATTACKS.items():
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        _tell(f"attack {name}: {'refused' if done.returncode == 0 else 'WORKS'}")
        if done.returncode != 0:
            working.append(name)
    note = "; ".join(working) or "each by its tests: simulations/benchmarks/attacks.py"
    return [Row("attacks_working", len(working), "attacks", "0", n=len(ATTACKS), note=note)]


def door(size: Size, folder: Path) -> list[Row]:
    """Strangers without a certificate beside honest sites."""
    from simulations.benchmarks.hostile_door import connections

    return connections(size.connections)


def site(size: Size, folder: Path) -> list[Row]:
    """One admitted site that sends what nobody asked for, beside honest ones."""
    from simulations.benchmarks.hostile_door import messages

    return messages(size.messages)


def noise(size: Size, folder: Path) -> list[Row]:
    """Of the published accuracy."""
    from simulations.benchmarks.published_noise import rows

    return rows(size.draws)


def gradients(size: Size, folder: Path) -> list[Row]:
    """CPU seconds of private gradients beside the commit before."""
    from simulations.benchmarks.against import gradients as measured

    return [measured(size.repeats)]


def demo(size: Size, folder: Path) -> list[Row]:
    """CPU seconds of the demo beside the commit before."""
    from simulations.benchmarks.against import demo as measured

    return [measured(max(1, size.repeats // 2))]


CELLS: Mapping[str, Callable[[Size, Path], list[Row]]] = {
    cell.__name__: cell for cell in (noise, pairs, attacks, door, site, neighbours, gradients, demo)
}


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def measured(cell: str, size: Size, folder: Path) -> list[Row]:
    """The rows of one cell, from its file where they were measured before."""
    file = folder / f"{cell}.json"
    if file.exists():
        return [Row(**one) for one in json.loads(file.read_text())]
    _tell(f"cell {cell}")
    rows = CELLS[cell](size, folder)
    file.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: holds the form, measures little")
    parser.add_argument("--only", nargs="+", choices=list(CELLS), default=list(CELLS), help="these cells alone")
    parser.add_argument("--fresh", action="store_true", help="measure anew what was measured before")
    parser.add_argument("--out", type=Path, default=ROOT / "out")
    given = parser.parse_args(arguments)
    began, folder = time.monotonic(), given.out / ("hostile-quick" if given.quick else "hostile")
    if given.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row for cell in given.only for row in measured(cell, QUICK if given.quick else FULL, folder)]
    write_report("hostile", rows, seconds=time.monotonic() - began, quick=given.quick, out=given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
