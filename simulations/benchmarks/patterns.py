# SPDX-License-Identifier: Apache-2.0
"""How much faster our pattern half is than Presidio's own analyzer, with the same spans and scores on every text.

    python -m simulations.benchmarks.patterns [--quick] [--data DIR]

Stock is AnalyzerEngine with the seventeen recognizers that Presidio loads for English (not SpacyRecognizer, which needs
a model), its own context scoring, and a blank spaCy tokenizer with lower-case lemmas, the least that context scoring
needs. Ours has the same recognizer objects. CPU seconds of this process, text by text in turn, one thread. First: each
text once, tables empty at the start. Repeat: the same texts again. Every text of the data is compared, in both passes;
one that differs ends the run with status 1 and a count, never with the text.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import tldextract

from privacy.text.find.engines._recognition import Recognition
from simulations.benchmarks.name_model.analyzer import build_analyzer, english_defaults
from simulations.benchmarks.report import ROOT, Row, write_report

CORPORA = ("presidio_synth", "tab144", "wnut17", "ncbi_disease", "mtsamples", "mts_dialog", "banking77", "medquad")
REPEATS = 5
REPEATED_TEXTS = 100
"""Texts of each corpus that are timed again and again."""

_QUICK_TEXTS = 25
_WARM_UP = "On 12/05/2004 the card 4012 8888 8888 1881, call 617-555-0199, mail a@b.com, http://b.com/c 10.0.0.1"


class SpansDiffer(Exception):
    """Ours found something else than stock in `count` texts."""

    def __init__(self, count: int) -> None:
        super().__init__(f"spans or scores differ in {count} texts")
        self.count = count


@dataclass
class CpuSeconds:
    """CPU seconds over the same texts."""

    stock: float = 0.0
    ours: float = 0.0

    def add(self, other: CpuSeconds) -> None:
        self.stock += other.stock
        self.ours += other.ours

    @property
    def ratio(self) -> float:
        return self.stock / self.ours


class Contest:
    """Stock and ours with one list of recognizers."""

    def __init__(self, regions: Sequence[str] | None) -> None:
        self._recognizers = english_defaults(regions)
        self._stock = build_analyzer(self._recognizers)
        self.forget()
        for _ in range(3):
            self._stock.analyze(_WARM_UP, "en")
            self._ours.analyze(_WARM_UP)
        gc.collect()
        gc.freeze()

    def forget(self) -> None:
        """Empty our tables."""
        self._ours = Recognition(self._recognizers, "en", 0.0)

    def run(self, texts: Sequence[str]) -> CpuSeconds:
        """Both over each text in turn. Raises SpansDiffer."""
        cost, differing = CpuSeconds(), 0
        for text in texts:
            start = time.process_time()
            of_stock = self._stock.analyze(text, "en")
            between = time.process_time()
            of_ours = self._ours.analyze(text)
            end = time.process_time()
            cost.add(CpuSeconds(between - start, end - between))
            want = [
                (r.start, r.end, r.entity_type, r.score, r.recognition_metadata["recognizer_name"]) for r in of_stock
            ]
            differing += want != [tuple(result) for result in of_ours]
        if differing:
            raise SpansDiffer(differing)
        return cost


def read_texts(data: Path) -> dict[str, list[str]]:
    """Every text of every file, by corpus."""
    files = {name: sorted((data / name).glob("*.jsonl")) for name in CORPORA}
    return {
        name: [json.loads(line)["text"] for file in in_corpus for line in file.read_text().splitlines()]
        for name, in_corpus in files.items()
        if in_corpus
    }


def rows(texts: Mapping[str, Sequence[str]], quick: bool) -> list[Row]:
    """The four rows of the pattern half. `texts` by corpus; quick: a few of each. Raises SpansDiffer."""
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)  # no network, for both
    logging.getLogger("presidio-analyzer").disabled = True
    chosen = {name: _sample(of, _QUICK_TEXTS if quick else len(of)) for name, of in texts.items()}
    made = []
    for label, regions, reach in (
        ("patterns_to_stock", None, (">= 5", ">= 8")),
        ("patterns_one_region", ("US",), (">= 8", ">= 12")),
    ):
        contest = Contest(regions)
        first = {name: contest.run(of) for name, of in chosen.items()}
        sample = {name: _sample(of, REPEATED_TEXTS) for name, of in chosen.items()}
        firsts, repeats = _timed_again(contest, sample, 2 if quick else REPEATS)
        note = (
            f"{sum(map(len, chosen.values()))} texts, same spans and scores on each; {len(regions or range(8))} regions"
        )
        made.append(_row(f"{label}_first", [first], reach[0], firsts, f"{note}; CPU s over all, one pass"))
        made.append(_row(f"{label}_repeat", repeats, reach[1], [], f"{note}; {REPEATED_TEXTS} a corpus timed again"))
    return made


def _sample(texts: Sequence[str], limit: int) -> list[str]:
    return random.Random(1).sample(list(texts), limit) if len(texts) > limit else list(texts)


def _timed_again(
    contest: Contest, sample: Mapping[str, Sequence[str]], times: int
) -> tuple[list[dict[str, CpuSeconds]], list[dict[str, CpuSeconds]]]:
    """First passes over a sample, tables emptied before each, and the repeats that follow each."""
    firsts, repeats = [], []
    for _ in range(times):
        contest.forget()
        firsts.append({name: contest.run(of) for name, of in sample.items()})
        repeats.append({name: contest.run(of) for name, of in sample.items()})
    return firsts, repeats


def _row(
    name: str,
    passes: Sequence[Mapping[str, CpuSeconds]],
    reach: str,
    again: Sequence[Mapping[str, CpuSeconds]],
    note: str,
) -> Row:
    """The median over passes of the ratio over all corpora; beside it each corpus, and the median of corpora."""
    ratios = [_over_all(costs) for costs in passes]
    by_corpus = {corpus: median(costs[corpus].ratio for costs in passes) for corpus in passes[0]}
    beside = {"median_of_corpora": median(by_corpus.values()), **by_corpus}
    if again:
        beside["cold_sample"] = median(map(_over_all, again))
    spread = (min(ratios), max(ratios)) if len(ratios) > 1 else None
    return Row(name, median(ratios), "x stock", reach, spread, len(ratios), beside, note)


def _over_all(costs: Mapping[str, CpuSeconds]) -> float:
    total = CpuSeconds()
    for cost in costs.values():
        total.add(cost)
    return total.ratio


def main() -> None:
    parser = argparse.ArgumentParser(description="measure the pattern half against stock Presidio")
    parser.add_argument("--quick", action="store_true", help="a few texts of each corpus, under two minutes")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the corpora")
    given = parser.parse_args()
    texts = read_texts(given.data)
    if not texts:
        sys.exit(f"no corpora in {given.data}")
    start = time.perf_counter()
    try:
        measured = rows(texts, given.quick)
    except SpansDiffer as error:
        sys.exit(f"{error}; nothing was written")
    write_report("patterns", measured, seconds=time.perf_counter() - start, quick=given.quick)


if __name__ == "__main__":
    main()
