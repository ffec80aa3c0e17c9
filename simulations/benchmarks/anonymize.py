# SPDX-License-Identifier: Apache-2.0
"""How much anonymization masks, keeps and costs, with stock Presidio beside it -> out/bench-anonymize.json.

    python -m simulations.benchmarks.anonymize [--quick] [--names NAME] [--dev] [--seed N] [--misses N] [--only PART]

Labelled sets come from --data (evaluation data, beside the checkout) and from our generator of notes. The anonymizer is
the product's, under its own defaults (countries: US). Each set and engine is a cell that is kept under out/anonymize
with the digest of what made it, so an interrupted run goes on where it was; --fresh measures everything again. No text
is printed, but for --misses under --dev: spans missed in what development may read.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("COLUMNS", "180")  # the table is wide, also where it is no terminal that reads it

from privacy.base.canonical import Json
from privacy.base.errors import CollabError
from privacy.base.identifiers import sha256
from simulations.benchmarks import determinism as steadiness
from simulations.benchmarks import hipaa, misses, ner_speed, spans
from simulations.benchmarks.findings import Detections, ProductDetector, ResultCache, StockDetector
from simulations.benchmarks.quality import FIGURES, SETS, Labelled
from simulations.benchmarks.report import ROOT, Row, write_report
from simulations.benchmarks.settings_used import COUNTRIES, DEFAULT_NAMES, settings_of
from simulations.benchmarks.spans import Document

PARTS = (*(one.name for one in SETS), "notes", "steadiness", "speed", "patterns")


def say(line: str) -> None:
    """One line of progress, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


class AnonymizeBench:
    """One run: which sets, how large, and where what it computes is kept."""

    def __init__(self, given: argparse.Namespace, folder: Path) -> None:
        self.data: Path = given.data
        self.dev, self.quick, self.names = bool(given.dev), bool(given.quick), str(given.names)
        fixed = hipaa.DEVELOPMENT_SEED if self.dev else hipaa.RELEASE_SEED
        self.seed = fixed if given.seed is None else int(given.seed)
        self.misses = int(given.misses) if self.dev else 0
        self.cells = ResultCache(folder, say)
        self._stock: StockDetector | None = None
        self._ours: dict[tuple[str, ...], ProductDetector] = {}

    def rows(self, part: str) -> list[Row]:
        """The rows of one of PARTS. Where the model of names is not there, they say so."""
        others: dict[str, Callable[[], list[Row]]] = {
            "notes": self._notes,
            "steadiness": self._steadiness,
            "speed": self._speed,
            "patterns": self._patterns,
        }
        if part in others:
            return others[part]()
        return self._labelled(next(one for one in SETS if one.name == part))

    def _product(self, *countries: str) -> ProductDetector | str:
        """The product under these countries (none: its default), or why there is none."""
        if countries not in self._ours:
            try:
                self._ours[countries] = ProductDetector(settings_of(self.names, *countries))
            except CollabError as error:
                return f"names = {self.names}: {error.message}"
        return self._ours[countries]

    def _cell(self, name: str, documents: Sequence[Document], product: ProductDetector) -> Detections:
        suffix = "-".join((self.names, *product.settings.countries)).lower()
        return self.cells.cell(f"{name}.{suffix}", documents, product)

    def _stock_cell(self, name: str, documents: Sequence[Document]) -> Detections:
        self._stock = self._stock or StockDetector()
        return self.cells.cell(f"{name}.stock", documents, self._stock)

    def _labelled(self, one: Labelled) -> list[Row]:
        figures, product = FIGURES[one.name], self._product()
        documents = one.documents(self.data, dev=self.dev, quick=self.quick)
        if documents is None or isinstance(product, str):
            reason = product if isinstance(product, str) else f"{one.name} is not in --data"
            return [figure.absent(reason) for figure in figures]
        ours, stock = self._cell(one.name, documents, product), self._stock_cell(one.name, documents)
        self._show_misses(one.name, documents, ours)
        rows = [figure.row(documents, ours, stock) for figure in figures]
        return self._with_countries(documents, stock, rows) if one.name == "presidio_synth" else rows

    def _with_countries(self, documents: Sequence[Document], stock: Detections, rows: list[Row]) -> list[Row]:
        """The rows, with what more countries give beside them."""
        product = self._product(*COUNTRIES)
        if isinstance(product, str):
            return rows
        wider = self._cell("presidio_synth", documents, product)
        wider_values = [figure.row(documents, wider, stock).value for figure in FIGURES["presidio_synth"]]
        return [
            row if value is None else replace(row, beside={**row.beside, "six_countries": value})
            for row, value in zip(rows, wider_values, strict=True)
        ]

    def _notes(self) -> list[Row]:
        product = self._product()
        if isinstance(product, str):
            return [Row("hipaa_recall_min", None, "share", hipaa.REACH, n=0, note=f"not measured: {product}")]
        documents = hipaa.note_documents(self.seed, hipaa.QUICK_NOTES if self.quick else hipaa.NOTES)
        ours, stock = self._cell("notes", documents, product), self._stock_cell("notes", documents)
        self._show_misses("notes", documents, ours)
        row = hipaa.hipaa_row(documents, ours, stock)
        return [replace(row, note=f"{row.note}; seed {self.seed}")]

    def _steadiness(self) -> list[Row]:
        product = self._product()
        if isinstance(product, str):
            return steadiness.absent(product)
        notes, step = (10, 8) if self.quick else (40, 1)
        sample = steadiness.TextSample(self.names, self.seed, notes, str(self.data), self.dev, step)
        recipe: dict[str, Json] = {
            "engine": product.recipe,
            "sample": asdict(sample),
            "cpu": sorted(steadiness.cpu_flags()),
        }
        make = partial(steadiness.steadiness_rows, sample, quick=self.quick)
        return self.cells.rows(f"steadiness.{self.names}", recipe, make)

    def _speed(self) -> list[Row]:
        rows = [self._speed_row(prefix, names) for prefix, names in ner_speed.NAMES.items()]
        return [*rows, ner_speed.weights_row(ROOT / "privacy" / "text")]

    def _speed_row(self, prefix: str, names: str) -> Row:
        try:
            engine = ProductDetector(settings_of(names)).recipe
        except CollabError as error:
            return ner_speed.absent(prefix, f"names = {names}: {error.message}")
        recipe: dict[str, Json] = {"engine": engine, "seed": self.seed, "cpu": sorted(steadiness.cpu_flags())}
        make = partial(ner_speed.speed_row, prefix, names, self.seed, quick=self.quick)
        return self.cells.rows(f"speed.{names}", recipe, lambda: [make()])[0]

    def _patterns(self) -> list[Row]:
        """The rows of simulations/benchmarks/patterns.py; empty ones where it is not there."""
        names = [f"patterns_{part}_{turn}" for part in ("to_stock", "one_region") for turn in ("first", "repeat")]
        try:
            from simulations.benchmarks import patterns
        except ImportError:
            note = "not measured: there is no simulations/benchmarks/patterns.py"
            return [Row(name, None, "x stock", n=0, note=note) for name in names]
        texts = texts_by_corpus(self.data)
        recipe: dict[str, Json] = {
            "engine": ProductDetector(settings_of("none")).recipe,
            "source": sha256(Path(str(patterns.__file__)).read_bytes()),
            "texts": {name: len(of_corpus) for name, of_corpus in texts.items()},
        }
        try:
            return self.cells.rows("patterns", recipe, lambda: patterns.rows(texts, self.quick))
        except patterns.SpansDiffer as error:
            return [Row(name, None, "x stock", n=0, note=f"not measured: {error}") for name in names]

    def _show_misses(self, name: str, documents: Sequence[Document], cell: Detections) -> None:
        """Some missed spans, each in its surroundings; only of what development may read."""
        if self.misses:
            for line in misses.lines(name, documents, cell, self.misses):
                print(line)


def texts_by_corpus(data: Path) -> dict[str, list[str]]:
    """Every text in `data` by set, all splits; generated notes where there is none."""
    texts: dict[str, list[str]] = {}
    for file in sorted(data.glob("*/*.jsonl")):
        texts.setdefault(file.parent.name, []).extend(document.text for document in spans.read(file))
    return texts or {"notes": [one.text for one in hipaa.note_documents(hipaa.DEVELOPMENT_SEED, hipaa.QUICK_NOTES)]}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    made.add_argument("--quick", action="store_true", help="a share of the texts, under two minutes")
    made.add_argument("--names", default=DEFAULT_NAMES, help=f"model of names (default: {DEFAULT_NAMES})")
    made.add_argument("--dev", action="store_true", help="the sets that development may read, instead of the test sets")
    made.add_argument("--seed", type=int, help="seed of the generated notes (default: fixed for a release)")
    made.add_argument("--misses", type=int, default=0, help="with --dev: show so many missed spans of each set")
    made.add_argument("--only", action="append", choices=PARTS, help="only this part; may be repeated")
    made.add_argument("--fresh", action="store_true", help="forget what is kept and measure everything again")
    made.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the labelled sets")
    made.add_argument("--out", type=Path, default=ROOT / "out", help="where results go (default: out)")
    return made


def main(arguments: list[str]) -> int:
    """Run what has no result yet, write the report; return the exit code."""
    given = parser().parse_args(arguments)
    if given.misses and not given.dev:
        print("missed spans are shown with --dev only: nothing may be tuned on the test sets", file=sys.stderr)
        return 2
    kind = "-".join(["dev" if given.dev else "release", *(["quick"] if given.quick else [])])
    folder = given.out / "anonymize" / kind
    if given.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    began, bench = time.monotonic(), AnonymizeBench(given, folder)
    rows = [row for part in given.only or PARTS for row in bench.rows(part)]
    name = "-".join(["anonymize", *(["dev"] if given.dev else []), *([given.names] * (given.names != DEFAULT_NAMES))])
    seconds = max(time.monotonic() - began, bench.cells.seconds)
    write_report(name, rows, seconds=seconds, quick=given.quick, out=given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
