# SPDX-License-Identifier: Apache-2.0
"""What federation gains and what privacy costs on real text -> out/bench-NAME.json.

    python -m simulations.benchmarks.corpora medquad | mtsamples [--quick] [--data DIR] [--cells PATTERN] [--seeds N]

The corpus is anonymized once; every cell trains on the same anonymized text. Settings are chosen on the pooled dev rows
at seed 1, and only the chosen cells read the test rows, once each. A cell's result is kept under out/NAME/cells:
the same command goes on where it was stopped, and a second process that is started beside the first takes other cells.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("COLUMNS", "180")  # the table is wide, also where it is no terminal that reads it

import torch

from simulations.benchmarks.activations import exclusive
from simulations.benchmarks.baseline import tfidf
from simulations.benchmarks.experiment_plan import SCOPES, Experiment, TrainedScope, Variant
from simulations.benchmarks.experiments import AccuracyScores, Experiments
from simulations.benchmarks.grid import ORDER, choose
from simulations.benchmarks.report import ROOT
from simulations.benchmarks.table import write_table
from simulations.benchmarks.texts import CorpusRecipe, prepare

CORPORA = {
    "medquad": CorpusRecipe("medquad", max_tokens=64, split="field:client", quick=0.05, least_rows=5),
    "mtsamples": CorpusRecipe("mtsamples", max_tokens=128, split="dirichlet:5,0.5,1", quick=0.25),
}


def say(line: str) -> None:
    """One line of progress, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def do(bench: Experiments, scope: TrainedScope, variant: Variant, seed: int) -> None:
    """Choose, train and test one cell. Trials are seed 1's; another seed waits for its choice."""

    def trial(cell: Experiment) -> AccuracyScores:
        scores = bench.run(cell)
        say(f"trial {cell.name}: dev {scores.accuracy:.4f}")
        return scores

    chosen = choose(bench, scope, variant, trial if seed == 1 else None)
    if chosen is None:
        say(f"{scope}-{variant}-{seed} waits for the choice of another cell")
        return
    cell = replace(chosen, seed=seed)
    dev, test = bench.run(cell), bench.test(cell)
    say(f"{cell.name}: dev {dev.accuracy:.4f}, test {test.accuracy:.4f}, macro-F1 {test.macro_f1:.4f}")


def main(arguments: list[str]) -> int:
    """Run what has no result yet and write the report; return the exit code."""
    given = _parse(arguments)
    data = given.data or ROOT.parent / "shared" / "data" / given.name
    if not (data / "train.jsonl").exists():
        print(f"there is no train.jsonl in {data.name}: give the corpus's folder with --data", file=sys.stderr)
        return 2
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    folder = given.out / (f"{given.name}-quick" if given.quick else given.name)
    texts = prepare(CORPORA[given.name], data, folder, quick=given.quick, tell=say)
    bench, seeds = Experiments(texts, folder), 1 if given.quick else given.seeds
    baseline = tfidf(bench)
    say(f"TF-IDF and logistic regression: test {baseline.accuracy:.4f}, macro-F1 {baseline.macro_f1:.4f}")
    if not given.report:
        run(bench, given.cells, seeds, scopes=("head",) if given.quick else SCOPES)
    write_table(bench, baseline, seeds, quick=given.quick, out=given.out)
    return 0


def run(bench: Experiments, pattern: str, seeds: int, scopes: Sequence[TrainedScope]) -> None:
    """Every cell SCOPE-VARIANT-SEED of `scopes` that matches `pattern`, unless another process has it in hand."""
    for scope, variant, seed in ORDER:
        name = f"{scope}-{variant}-{seed}"
        if scope not in scopes or seed > seeds or not fnmatch.fnmatch(name, pattern):
            continue
        with exclusive(bench.out / "cells" / f"{name}.lock", wait=False) as mine:
            if mine:
                do(bench, scope, variant, seed)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", choices=sorted(CORPORA))
    parser.add_argument("--quick", action="store_true", help="a share of the rows, the head only, one seed")
    parser.add_argument("--data", type=Path, help="folder with train.jsonl, dev.jsonl and test.jsonl")
    parser.add_argument("--out", type=Path, default=ROOT / "out", help="where results go (default: out)")
    parser.add_argument("--cells", default="*", help="only cells SCOPE-VARIANT-SEED that match, such as 'head-*'")
    parser.add_argument("--seeds", type=int, default=2, help="seeds of each cell (default: 2)")
    parser.add_argument("--report", action="store_true", help="only write the report of what is there")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
