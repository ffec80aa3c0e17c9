# SPDX-License-Identifier: Apache-2.0
"""How much anonymization masks, keeps and costs, with stock Presidio beside it -> out/bench-anonymize.json.

    python benchmarks/anonymize.py [--quick] [--names NAME] [--dev] [--seed N] [--misses N] [--only SET]

Labelled sets come from --data (evaluation data, beside the checkout) and from our generator of notes. The anonymizer is
the product's, under its own defaults (countries: US). Each set and engine is a cell that is kept under out/anonymize.
No text is printed, but for --misses under --dev: spans missed in what development may read.
"""

from __future__ import annotations

import argparse
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

import hipaa
import misses
import quality
from findings import Cell, Cells, Product, Stock
from quality import FIGURES, SETS
from report import ROOT, Row, write_report
from spans import Document

from privacy.text.settings import TextSettings

COUNTRIES = ("US", "GB", "DE", "FR", "IT", "ES")
"""What presidio_synth is measured with besides the default: it holds phone numbers of many countries."""
DEFAULT = str(TextSettings.model_fields["names"].default)


def settings_of(names: str, *countries: str) -> TextSettings:
    """The product's settings, but that no number of refused rows ends a run."""
    settings = TextSettings(names=names, max_refused_fraction=1.0, row_time_limit_seconds=50)
    return settings.model_copy(update={"countries": countries}) if countries else settings


def say(line: str) -> None:
    """One line of progress, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


class Bench:
    """One run: which sets, how large, and where what it computes is kept."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.dev, self.quick, self.names = bool(given.dev), bool(given.quick), str(given.names)
        kind = "dev" if self.dev else "release"
        self.folder: Path = given.out / "anonymize" / (f"{kind}-quick" if self.quick else kind)
        self.cells = Cells(self.folder, say)
        self._stock: Stock | None = None
        self._ours: dict[tuple[str, ...], Product] = {}

    def ours(self, name: str, documents: Sequence[Document], *countries: str) -> Cell:
        """The product's cell of a set."""
        if countries not in self._ours:
            self._ours[countries] = Product(settings_of(self.names, *countries))
        suffix = "-".join((self.names, *countries)).lower()
        return self.cells.cell(f"{name}.{suffix}", documents, self._ours[countries])

    def stock(self, name: str, documents: Sequence[Document]) -> Cell:
        """Stock Presidio's cell of a set."""
        self._stock = self._stock or Stock()
        return self.cells.cell(f"{name}.stock", documents, self._stock)

    def wants(self, name: str) -> bool:
        """Whether the command line asks for this part."""
        return not self.given.only or name in self.given.only

    # -- rows ------------------------------------------------------------------------------------------------

    def labelled(self) -> list[Row]:
        """The rows of the labelled sets."""
        rows = []
        for one in SETS:
            if not self.wants(one.name):
                continue
            documents = one.documents(self.given.data, dev=self.dev, quick=self.quick)
            if documents is None:
                rows += [quality.absent(figure, f"{one.name} is not in --data") for figure in FIGURES[one.name]]
                continue
            ours, stock = self.ours(one.name, documents), self.stock(one.name, documents)
            found = [figure.row(documents, ours, stock) for figure in FIGURES[one.name]]
            if one.name == "presidio_synth":
                found = self._with_countries(documents, stock, found)
            rows += found
            self._show_misses(one.name, documents, ours)
        return rows

    def _with_countries(self, documents: Sequence[Document], stock: Cell, rows: list[Row]) -> list[Row]:
        """The rows, with what more countries give beside them."""
        wider = self.ours("presidio_synth", documents, *COUNTRIES)
        theirs = [figure.row(documents, wider, stock).value for figure in FIGURES["presidio_synth"]]
        return [
            row if value is None else replace(row, beside={**row.beside, "six_countries": value})
            for row, value in zip(rows, theirs, strict=True)
        ]

    def notes(self) -> list[Row]:
        """The row of the eighteen identifiers."""
        if not self.wants("notes"):
            return []
        seed = self.given.seed if self.given.seed is not None else self._seed()
        documents = hipaa.note_documents(seed, hipaa.QUICK_NOTES if self.quick else hipaa.NOTES)
        ours, stock = self.ours("notes", documents), self.stock("notes", documents)
        self._show_misses("notes", documents, ours)
        row = hipaa.hipaa_row(documents, ours, stock)
        return [replace(row, note=f"{row.note}; seed {seed}")]

    def _seed(self) -> int:
        return hipaa.DEVELOPMENT_SEED if self.dev else hipaa.RELEASE_SEED

    def _show_misses(self, name: str, documents: Sequence[Document], cell: Cell) -> None:
        """Some missed spans, each in its surroundings; only of what development may read."""
        if self.dev and self.given.misses:
            for line in misses.lines(name, documents, cell, self.given.misses):
                print(line)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    made.add_argument("--quick", action="store_true", help="a share of the texts, under two minutes")
    made.add_argument("--names", default=DEFAULT, help=f"model of names (default: the product's, {DEFAULT})")
    made.add_argument("--dev", action="store_true", help="the sets that development may read, instead of the test sets")
    made.add_argument("--seed", type=int, help="seed of the generated notes (default: fixed for a release)")
    made.add_argument("--misses", type=int, default=0, help="with --dev: show so many missed spans of each set")
    made.add_argument("--only", action="append", help="only this part: the name of a set, or notes; may be repeated")
    made.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the labelled sets")
    made.add_argument("--out", type=Path, default=ROOT / "out", help="where results go (default: out)")
    return made


def main(arguments: list[str]) -> int:
    """Run what has no result yet, write the report; return the exit code."""
    given = parser().parse_args(arguments)
    if given.misses and not given.dev:
        print("missed spans are shown with --dev only: nothing may be tuned on the test sets", file=sys.stderr)
        return 2
    began, bench = time.monotonic(), Bench(given)
    rows = [*bench.labelled(), *bench.notes()]
    parts = ["anonymize", *(["dev"] if given.dev else []), *([given.names] if given.names != DEFAULT else [])]
    write_report("-".join(parts), rows, seconds=time.monotonic() - began, quick=given.quick, out=given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
