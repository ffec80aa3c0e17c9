# SPDX-License-Identifier: Apache-2.0
"""CPU seconds of this tree beside those of an earlier commit: the same work in both, interleaved, a process each.

The earlier commit is checked out under out/. Both use this environment's installed libraries, so what is compared is
our code alone.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from simulations.benchmarks.report import ROOT, Row

BEFORE = "8a7456f"
"""The last commit before every claim was made true."""

GRADIENTS = """
import sys
import torch
torch.set_num_threads(1)
try:
    from simulations.benchmarks.dp import GradientBench as Bench, ScopeAtLength as Case
except ImportError:  # an earlier layout
    sys.path.insert(0, "benchmarks")
    from dp import Bench, Case
for case, times in ((Case("full", 0, 64), 6), (Case("lora", 0, 64), 6), (Case("top", 2, 64), 10)):
    run = Bench(case).gradient("bookkeeping")
    for _ in range(times):
        run()
"""


def earlier(commit: str = BEFORE) -> Path:
    """A checkout of `commit` under out/, made where it is missing."""
    folder = ROOT / "out" / f"before-{commit}"
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        subprocess.run(["git", "worktree", "prune"], cwd=ROOT, check=True)
        subprocess.run(["git", "worktree", "add", "--detach", str(folder), commit], cwd=ROOT, check=True)
    return folder


def cpu_seconds(arguments: Sequence[str], tree: Path) -> float:
    """User and system seconds of one process and its children, with `tree`'s code. Raises CalledProcessError."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, *arguments]
    subprocess.run(command, cwd=tree, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ratio(name: str, now: Sequence[float], before: Sequence[float], note: str) -> Row:
    """The medians' ratio, with the ratios of neighbouring pairs as its spread."""
    pairs = [one / other for one, other in zip(now, before, strict=True)]
    beside = {"now_cpu_s": median(now), "before_cpu_s": median(before)}
    spread = (min(pairs), max(pairs))
    return Row(name, median(now) / median(before), "x", "<= 1.05", spread, len(pairs), beside, note)


def gradients(repeats: int) -> Row:
    """Private gradients of three scopes, imports included in both."""
    trees = (ROOT, earlier())
    times = [[cpu_seconds(["-c", GRADIENTS], tree) for tree in trees] for _ in range(repeats)]
    now, before = zip(*times, strict=True)
    return ratio("dp_ratio_to_before", now, before, f"bookkeeping, 64 tokens, batch 32; commit {BEFORE}")


def demo(repeats: int) -> Row:
    """`make demo` without its installation."""
    trees, times = (ROOT, earlier()), []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as scratch:
            run = ["-c", "from simulations.cli import main; main()", "run", "three-hospitals", "--fresh", "--out"]
            times.append([cpu_seconds([*run, str(Path(scratch) / str(at))], tree) for at, tree in enumerate(trees)])
    now, before = zip(*times, strict=True)
    return ratio("demo_cpu_to_before", now, before, f"three hospitals, four rounds; commit {BEFORE}")
