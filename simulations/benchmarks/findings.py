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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from privacy.base.canonical import Json, digest_of
from privacy.base.files import write_whole
from privacy.base.identifiers import Digest, sha256
from privacy.text.anonymize import Anonymizer
from privacy.text.find import engines
from privacy.text.reading.records import TextRow
from privacy.text.settings import TextSettings
from simulations.benchmarks.report import Row
from simulations.benchmarks.spans import Document, Masked
from simulations.benchmarks.stock import StockPresidio


@dataclass(frozen=True)
class Detections:
    """For each document what was replaced, and the flags that were raised; how many rows were refused; CPU seconds."""

    masked: tuple[tuple[Masked, ...], ...]
    flags: tuple[tuple[str, ...], ...]
    refused: int
    cpu_seconds: float


class ProductDetector:
    """The product's anonymizer. `settings` must refuse no run (max_refused_fraction = 1)."""

    def __init__(self, settings: TextSettings) -> None:
        self.settings, self._engine = settings, engines.load(settings)
        self.recipe = self._engine.fingerprint

    def find(self, documents: Sequence[Document]) -> Detections:
        """What it replaces in each document, by the way that a site goes."""
        began = time.process_time()
        rows = [TextRow(str(number), one.text, None, None) for number, one in enumerate(documents)]
        returned, _ = Anonymizer(self._engine, self.settings).run(rows)
        seconds = time.process_time() - began
        masked: list[tuple[Masked, ...]] = [()] * len(rows)
        flags: list[tuple[str, ...]] = [()] * len(rows)
        for record in returned:
            number = int(record.record_id)
            masked[number] = tuple(Masked(f.start, f.end, f.entity_type, f.recognizer) for f in record.findings)
            flags[number] = getattr(record, "flags", ())
        return Detections(tuple(masked), tuple(flags), len(rows) - len(returned), seconds)


class StockDetector:
    """Stock Presidio, by patterns alone."""

    def __init__(self) -> None:
        self._stock = StockPresidio()
        self.recipe = StockPresidio.fingerprint

    def find(self, documents: Sequence[Document]) -> Detections:
        """All that it reports in each document."""
        began = time.process_time()
        masked = tuple(tuple(self._stock.analyze(one.text)) for one in documents)
        return Detections(masked, tuple(() for _ in documents), 0, time.process_time() - began)


Detector = ProductDetector | StockDetector


class ResultCache:
    """The cells under `folder`, by name."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self._folder, self._tell = folder, tell
        self.seconds = 0.0
        """Wall seconds that everything asked for took, when it was computed."""

    def cell(self, name: str, documents: Sequence[Document], detector: Detector) -> Detections:
        """The cell, read if it is there and of these texts and this engine, else computed and kept."""
        recipe = digest_of({"engine": detector.recipe, "texts": [sha256(one.text.encode()) for one in documents]})
        stored = self._kept(name, recipe, lambda: asdict(detector.find(documents)))
        masked = tuple(tuple(Masked(*one) for one in row) for row in stored["masked"])
        return Detections(masked, tuple(map(tuple, stored["flags"])), stored["refused"], stored["cpu_seconds"])

    def rows(self, name: str, recipe: Mapping[str, Json], make: Callable[[], Sequence[Row]]) -> list[Row]:
        """Rows, read if they are there and of this recipe, else measured and kept."""
        stored = self._kept(name, digest_of(dict(recipe)), lambda: {"rows": [asdict(row) for row in make()]})
        return [Row(**row | {"spread": row["spread"] and tuple(row["spread"])}) for row in stored["rows"]]

    def _kept(self, name: str, recipe: Digest, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        file = self._folder / f"{name}.json"
        if not file.exists() or json.loads(file.read_text())["recipe"] != recipe:
            began = time.monotonic()
            made = make() | {"recipe": recipe, "seconds": time.monotonic() - began}
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(file, json.dumps(made).encode())
            self._tell(f"{name}: {made['seconds']:.1f} s")
        stored: dict[str, Any] = json.loads(file.read_text())
        self.seconds += stored["seconds"]
        return stored
