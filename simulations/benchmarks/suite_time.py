# SPDX-License-Identifier: Apache-2.0
"""How long the quick suite takes alone, and whether it holds ten times beside eight processes that only compute."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from simulations.benchmarks.report import ROOT, Row, of_repeats

QUICK_SUITE = ("-q", "-n", "2", "--dist", "worksteal", "-m", "not slow")
BUSY, BUSY_RUNS, IDLE_RUNS = 8, 10, 1
COMPUTE = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    for _ in range(10_000_000): pass"
"""Until whoever started it is gone, even killed."""


@dataclass(frozen=True)
class SuiteRun:
    """One run of the quick suite: how many processes were busy beside it, seconds, and its last lines."""

    busy: int
    seconds: float
    passed: bool
    summary: str


def suite_rows(out: Path) -> list[Row]:
    """The suite's rows; each run is written to out/bench-house-suite.json when it ends, and not repeated."""
    file = out / "bench-house-suite.json"
    runs = [SuiteRun(**run) for run in json.loads(file.read_text())] if file.exists() else []
    out.mkdir(parents=True, exist_ok=True)
    wanted = Counter({0: IDLE_RUNS, BUSY: BUSY_RUNS}) - Counter(run.busy for run in runs)
    for busy in wanted.elements():
        runs.append(suite_run(busy))
        file.write_text(json.dumps([asdict(run) for run in runs], indent=1) + "\n")
    return [_idle_row([run for run in runs if not run.busy]), _busy_row([run for run in runs if run.busy])]


def _idle_row(runs: Sequence[SuiteRun]) -> Row:
    seconds = [run.seconds for run in runs]
    return of_repeats("quick_suite_seconds", seconds, "s", reach="<= 120", note=runs[-1].summary)


def _busy_row(runs: Sequence[SuiteRun]) -> Row:
    seconds, failed = [run.seconds for run in runs], [run for run in runs if not run.passed]
    beside = {"least_seconds": min(seconds), "most_seconds": max(seconds)}
    note, reach = "; ".join(run.summary for run in failed), f"0 of {BUSY_RUNS}"
    name = f"quick_suite_failed_beside_{BUSY}_busy"
    return Row(name, len(failed), "runs", reach, n=len(runs), beside=beside, note=note)


def suite_run(busy: int) -> SuiteRun:
    with busy_processes(busy):
        start = time.perf_counter()
        command = [sys.executable, "-m", "pytest", *QUICK_SUITE]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        seconds = round(time.perf_counter() - start, 1)
    failures = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return SuiteRun(busy, seconds, done.returncode == 0, "; ".join([*failures, *done.stdout.splitlines()[-1:]]))


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """`count` processes that do nothing but compute."""
    running = [subprocess.Popen([sys.executable, "-c", COMPUTE]) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()
