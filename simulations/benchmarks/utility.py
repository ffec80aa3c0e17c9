# SPDX-License-Identifier: Apache-2.0
"""What privacy costs on four corpora, at epsilon 8, 3 and 1 at each site -> out/bench-utility.json and .svg.

    python -m simulations.benchmarks.utility [--quick] [--data DIR] [--corpora NAME ...] [--cells PATTERN] [--seeds N]
    [--report]

A corpus is anonymized once; all of its cells train on that text by the product's own federation (cells.py), are chosen
on the pooled dev rows at seed 1, and read the pooled test rows once. A cell's result is kept under
out/utility/NAME/cells: the same command goes on where it was stopped, and a second process takes other cells.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("COLUMNS", "180")  # the table is wide, also where it is no terminal that reads it

import torch

from simulations.benchmarks.activations import exclusive
from simulations.benchmarks.experiment_plan import Experiment, TrainedScope, Variant
from simulations.benchmarks.experiments import AccuracyScores, Experiments
from simulations.benchmarks.report import ROOT
from simulations.benchmarks.texts import prepare
from simulations.benchmarks.utility_grid import CORPORA, ORDER, choose
from simulations.benchmarks.utility_table import write_table

QUICK = ("banking77", "ncbi")
QUICK_VARIANTS: tuple[Variant, ...] = ("federated", "federated_eps8", "alone")


@dataclass(frozen=True)
class UtilityOptions:
    """What the command line asks for."""

    corpora: tuple[str, ...]
    data: Path
    out: Path
    cells: str
    seeds: int
    quick: bool


def say(line: str) -> None:
    """One line of progress, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def do(bench: Experiments, scope: TrainedScope, variant: Variant, seed: int, *, quick: bool) -> None:
    """Choose, train and test one cell. Trials are seed 1's; another seed waits for its choice."""
    corpus = bench.texts.corpus.name

    def trial(cell: Experiment) -> AccuracyScores:
        scores = bench.run(cell)
        say(f"{corpus} trial {cell.name} at {cell.setting.head_learning_rate:g}: dev {scores.figure:.4f}")
        return scores

    chosen = choose(bench, scope, variant, trial if seed == 1 else None, quick=quick)
    if chosen is None:
        say(f"{corpus}-{scope}-{variant}-{seed}: nothing is chosen for it, or not yet")
        return
    cell = replace(chosen, seed=seed)
    dev, test = bench.run(cell), bench.test(cell)
    say(f"{corpus} {cell.name}: dev {dev.figure:.4f}, test {test.figure:.4f}, macro-F1 {test.macro_f1:.4f}")


def benches(options: UtilityOptions) -> dict[str, Experiments]:
    """The corpora, anonymized, in the folders of their cells."""
    opened = {}
    for name in options.corpora:
        corpus = CORPORA[name]
        folder = options.out / ("utility-quick" if options.quick else "utility") / name
        data = options.data / (corpus.folder or name)
        opened[name] = Experiments(prepare(corpus, data, folder, quick=options.quick, tell=say), folder)
    return opened


def run(options: UtilityOptions, opened: dict[str, Experiments]) -> None:
    """Every cell that is asked for and has no result, corpus by corpus within each stage."""
    for scope, variant, seed in ORDER:
        for name, bench in opened.items():
            label = f"{name}-{scope}-{variant}-{seed}"
            wanted = fnmatch.fnmatch(label, options.cells) and seed <= options.seeds
            if not wanted or (options.quick and (scope != "head" or variant not in QUICK_VARIANTS)):
                continue
            with exclusive(bench.out / "cells" / f"{scope}-{variant}-{seed}.lock", wait=False) as ours:
                if ours:
                    do(bench, scope, variant, seed, quick=options.quick)


def parse(arguments: list[str]) -> tuple[UtilityOptions, bool]:
    """The command line, and whether only the report is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="two corpora, a share of the rows, the head only, one seed"
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the corpora")
    parser.add_argument("--out", type=Path, default=ROOT / "out", help="where results go (default: out)")
    parser.add_argument("--corpora", nargs="+", choices=sorted(CORPORA), help="only these")
    parser.add_argument("--cells", default="*", help="only cells CORPUS-SCOPE-VARIANT-SEED that match, as '*-head-*'")
    parser.add_argument("--seeds", type=int, default=2, help="seeds of each cell of the head (default: 2)")
    parser.add_argument("--report", action="store_true", help="only write the report of what is there")
    given = parser.parse_args(arguments)
    corpora = tuple(given.corpora or (QUICK if given.quick else CORPORA))
    seeds = 1 if given.quick else given.seeds
    return UtilityOptions(corpora, given.data, given.out, given.cells, seeds, given.quick), given.report


def main(arguments: list[str]) -> int:
    """Run what has no result yet and write the report; return the exit code."""
    options, only_report = parse(arguments)
    absent = [name for name in options.corpora if not (options.data / (CORPORA[name].folder or name)).is_dir()]
    if absent:
        print(f"there is no folder for {', '.join(absent)}: give the corpora's folder with --data", file=sys.stderr)
        return 2
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    opened = benches(options)
    if not only_report:
        run(options, opened)
    write_table(opened, options.seeds, quick=options.quick, out=options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
