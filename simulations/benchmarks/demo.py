# SPDX-License-Identifier: Apache-2.0
"""The demo, as a newcomer runs it, on three seeds and on one of them twice -> out/bench-demo.json.

    python -m simulations.benchmarks.demo [--quick]

Each run is `collab-sim run three-hospitals` in a process and a folder of its own. Its times hold for two idle cores;
the load of the machine before the first run stands in the note.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulations.benchmarks.report import Row, of_repeats, write_report

os.environ.setdefault("COLUMNS", "180")  # the table is wide, also where it is no terminal that reads it

SCENARIO = "three-hospitals"
SEEDS = (1, 2, 3)
MARGIN = 0.20


def run(seed: int, folder: Path) -> dict[str, Any]:
    """One run of the demo: the JSON that it prints, with the wall seconds of the whole process."""
    command = [str(Path(sys.executable).with_name("collab-sim")), "run", SCENARIO]
    began = time.monotonic()
    done = subprocess.run(
        [*command, "--seed", str(seed), "--out", str(folder), "--json"], stdout=subprocess.PIPE, text=True, check=True
    )
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome | {"wall_seconds": time.monotonic() - began}


def rows_of(runs: Sequence[dict[str, Any]], again: dict[str, Any] | None, note: str) -> list[Row]:
    """The figures of one run a seed, and of the first seed's repetition."""
    shares = [_identifiers(one) for one in runs]
    margins = [one["accuracy_after"] - max(one["accuracy_before"], one["accuracy_majority"]) for one in runs]
    timed = [*runs, *([again] if again else [])]
    rows = [
        of_repeats("seconds", [one["wall_seconds"] for one in timed], "s", reach="< 90 on two idle cores", note=note),
        of_repeats("identifiers_found", shares, "share", note="of the planted identifiers of all three hospitals"),
        of_repeats("accuracy_before", [one["accuracy_before"] for one in runs], "share"),
        of_repeats("accuracy_after", [one["accuracy_after"] for one in runs], "share", note="on notes of no site"),
        of_repeats("accuracy_majority", [one["accuracy_majority"] for one in runs], "share"),
        Row(
            "points_above_start_and_majority",
            round(100 * min(margins), 2),
            "points",
            reach=f">= {100 * MARGIN:.0f} on each seed",
            spread=(round(100 * min(margins), 2), round(100 * max(margins), 2)),
            n=len(margins),
            note="the least of the seeds",
        ),
        of_repeats("rounds_replayed", [one["log"]["rounds_replayed"] for one in runs], "rounds", reach="4"),
    ]
    if again is None:
        return [*rows, Row("same_final_model", None, "", n=0, note="not measured: a quick run repeats no seed")]
    same = again["final_model_sha256"] == runs[0]["final_model_sha256"]
    note = f"seed {SEEDS[0]} twice: sha256 {runs[0]['final_model_sha256'][:16]}, {again['final_model_sha256'][:16]}"
    return [*rows, Row("same_final_model", int(same), "1 if equal", reach="1", n=2, note=note)]


def _identifiers(outcome: dict[str, Any]) -> float:
    sites = outcome["sites"]
    return float(sum(one["identifiers_found"] for one in sites) / sum(one["identifiers_planted"] for one in sites))


def main(arguments: list[str]) -> int:
    """Run, write the report; 1 when a figure does not reach what the demo promises, but for the seconds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one seed, once")
    given = parser.parse_args(arguments)
    load, began = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        seeds = SEEDS[:1] if given.quick else SEEDS
        runs = [run(seed, Path(temporary) / f"seed-{seed}") for seed in seeds]
        again = None if given.quick else run(SEEDS[0], Path(temporary) / "again")
    rows = rows_of(runs, again, f"load of the machine at the start: {load:.1f}")
    write_report("demo", rows, seconds=time.monotonic() - began, quick=given.quick)
    reached = {row.name: row.value for row in rows}
    good = (reached["points_above_start_and_majority"] or 0) >= 100 * MARGIN and reached["same_final_model"] != 0
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
