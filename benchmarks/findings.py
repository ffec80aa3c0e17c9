# SPDX-License-Identifier: Apache-2.0
"""What an engine replaces in each document, computed once and kept: the cells of bench-anonymize.

A cell is a set of documents and a detector: the product's own anonymizer under some settings, or stock Presidio. Its
file under out/anonymize holds offsets and types, never text, and counts only for the very texts and engine that it was
made with; an interrupted run goes on with the next cell. A row that the product refuses counts as a row in which
nothing was found, and is counted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spans import Document, Masked
from stock import StockPresidio

from privacy.canonical import digest_of
from privacy.files import write_whole
from privacy.identifiers import sha256
from privacy.text import engines, records
from privacy.text.anonymize import Anonymizer
from privacy.text.engines import Engine
from privacy.text.records import TextRow
from privacy.text.settings import TextSettings

FLAGS: frozenset[str] = getattr(records, "FLAG_TYPES", frozenset())
"""Types that flag a document and are not replaced."""


@dataclass(frozen=True)
class Cell:
    """For each document what was replaced, and the flags that were raised; how many rows were refused; CPU seconds."""

    masked: tuple[tuple[Masked, ...], ...]
    flags: tuple[tuple[str, ...], ...]
    refused: int
    cpu_seconds: float


class Product:
    """The product's anonymizer. `settings` must refuse no run (max_refused_fraction = 1)."""

    def __init__(self, settings: TextSettings) -> None:
        self.settings, self._engine = settings, engines.load(settings)
        self.recipe = self._engine.fingerprint

    def find(self, documents: Sequence[Document]) -> Cell:
        """What it replaces in each document, by the way that a site goes."""
        began = time.process_time()
        watched = _Flags(self._engine)
        rows = [TextRow(str(number), one.text, None, None) for number, one in enumerate(documents)]
        returned, _ = Anonymizer(watched, self.settings).run(rows)
        seconds = time.process_time() - began
        by_row = {record.record_id: record for record in returned}
        masked = [
            tuple(Masked(f.start, f.end, f.entity_type, f.recognizer) for f in by_row[row.record_id].findings)
            if row.record_id in by_row
            else ()
            for row in rows
        ]
        flags = tuple(watched.flags.get(one.text, ()) for one in documents)
        return Cell(tuple(masked), flags, len(rows) - len(returned), seconds)


class _Flags:
    """The engine, with a note of the flags that it raised for each text."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.fingerprint = engine, engine.fingerprint
        self.flags: dict[str, tuple[str, ...]] = {}

    def analyze(self, text: str) -> list[records.Finding]:
        """The engine's findings."""
        found = self._engine.analyze(text)
        self.flags[text] = tuple(sorted({one.entity_type for one in found} & FLAGS))
        return found


class Stock:
    """Stock Presidio, by patterns alone."""

    def __init__(self) -> None:
        self._stock = StockPresidio()
        self.recipe = StockPresidio.fingerprint

    def find(self, documents: Sequence[Document]) -> Cell:
        """All that it reports in each document."""
        began = time.process_time()
        masked = tuple(tuple(self._stock.analyze(one.text)) for one in documents)
        return Cell(masked, tuple(() for _ in documents), 0, time.process_time() - began)


Detector = Product | Stock


class Cells:
    """The cells under `folder`, by name."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self._folder, self._tell = folder, tell

    def cell(self, name: str, documents: Sequence[Document], detector: Detector) -> Cell:
        """The cell, read if it is there and of these texts and this engine, else computed and kept."""
        file = self._folder / f"{name}.json"
        recipe = digest_of({"engine": detector.recipe, "texts": [sha256(one.text.encode()) for one in documents]})
        if file.exists() and (kept := json.loads(file.read_text()))["recipe"] == recipe:
            masked = tuple(tuple(Masked(*one) for one in row) for row in kept["masked"])
            return Cell(masked, tuple(map(tuple, kept["flags"])), kept["refused"], kept["cpu_seconds"])
        cell = detector.find(documents)
        self._folder.mkdir(parents=True, exist_ok=True)
        facts = {"refused": cell.refused, "cpu_seconds": round(cell.cpu_seconds, 3)}
        write_whole(file, json.dumps({"recipe": recipe, "masked": cell.masked, "flags": cell.flags, **facts}).encode())
        self._tell(f"{name}: {len(documents)} texts, {cell.cpu_seconds:.1f} CPU seconds, {cell.refused} refused")
        return cell
