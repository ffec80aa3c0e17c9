# SPDX-License-Identifier: Apache-2.0
"""Notes a second of the model of names, on one core, and what its weights take up.

A process of its own with one thread reads generated notes of about 1.75 KB, none of them twice, through the model's
`find`. The value is notes per CPU second with the model's cache of lines at work as at a site; beside it stand the same
without that cache, by wall clock, and for the whole engine (patterns, rules and model). No row is cached.

    python -m simulations.benchmarks.ner_speed JSON    (the process: what it answers is one line of JSON)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

from simulations.benchmarks.report import Row, of_repeats

LEAST, MOST = 1600, 1900
"""Characters of the notes that are timed."""
NAMES = {"ner": "builtin", "ner_student": "student"}
REACH = {"ner": ">= 15", "ner_student": ">= 40"}
WEIGHTS = (".safetensors", ".npz", ".npy", ".bin", ".pt", ".onnx")


@dataclass(frozen=True)
class Work:
    """`batches` batches of `notes` notes, for each of the three measurements."""

    names: str
    seed: int
    batches: int
    notes: int


# -- the process ------------------------------------------------------------------------------------------------------


def answer(work: Work) -> dict[str, object]:
    """Notes a second of each batch: with the cache (CPU, wall), without it, and of the whole engine."""
    from privacy.text.find import engines, ner
    from privacy.text.reading.view import read
    from simulations.benchmarks.settings_used import settings_of

    settings = settings_of(work.names)
    texts = [read(text).text for text in _notes(work, 3 * work.batches * work.notes + 1)]
    model, engine = ner.load(settings), engines.load(settings)
    model.find(texts[-1])
    engine.analyze(texts[-1])
    third = work.batches * work.notes
    cached = _rates(model.find, texts[:third], work.notes)
    whole = _rates(engine.analyze, texts[2 * third : 3 * third], work.notes)
    bare = _rates(model.find, texts[third : 2 * third], work.notes) if _without_line_cache() else []
    return {"cached": cached, "bare": bare, "engine": whole, "characters": mean(map(len, texts))}


def _without_line_cache() -> bool:
    """Whether the model's cache of lines could be switched off, for the rest of this process."""
    try:
        from privacy.text.find.tagger import tagger
    except ImportError:
        return False
    if not hasattr(tagger, "CACHED_SEGMENTS"):
        return False
    tagger.CACHED_SEGMENTS = 0
    return True


def _notes(work: Work, count: int) -> list[str]:
    from simulations.benchmarks import hipaa

    drawn = hipaa.note_documents(hipaa.DEVELOPMENT_SEED, 8 * count + 100)  # longer ones
    texts = [one.text for one in drawn if LEAST <= len(one.text) <= MOST]
    return texts[:count]


def _rates(find: Callable[[str], object], texts: Sequence[str], size: int) -> list[tuple[float, float]]:
    """For each batch, notes per CPU second and per second of the wall clock."""
    rates = []
    for start in range(0, len(texts), size):
        cpu, wall = time.process_time(), time.perf_counter()
        for text in texts[start : start + size]:
            find(text)
        rates.append((size / (time.process_time() - cpu), size / (time.perf_counter() - wall)))
    return rates


# -- the rows ---------------------------------------------------------------------------------------------------------


def absent(prefix: str, reason: str) -> Row:
    """The row where the model cannot be loaded."""
    return Row(f"{prefix}_notes_per_second", None, "notes/s", REACH[prefix], n=0, note=f"not measured: {reason}")


def speed_row(prefix: str, names: str, seed: int, *, quick: bool) -> Row:
    """`ner_notes_per_second` or `ner_student_notes_per_second`."""
    name, reach = f"{prefix}_notes_per_second", REACH[prefix]
    work = Work(names, seed, *((2, 4) if quick else (5, 20)))
    rates_of = _in_process(work)
    beside = {
        key: round(mean(rate[clock] for rate in rates_of[part]), 2)
        for key, part, clock in (
            ("wall", "cached", 1),
            ("without_line_cache", "bare", 0),
            ("whole_engine", "engine", 0),
        )
        if rates_of[part]
    }
    note = f"names = {names}, one thread, per CPU second, notes of {rates_of['characters']:.0f} characters, none twice"
    rates = [round(rate[0], 2) for rate in rates_of["cached"]]
    return of_repeats(name, rates, "notes/s", reach=reach, beside=beside, note=note)


def _in_process(work: Work) -> dict[str, list[list[float]]]:
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "simulations.benchmarks.ner_speed", json.dumps(asdict(work))]
    done = subprocess.run(command, env=os.environ | threads, stdout=subprocess.PIPE, text=True, check=True)
    rates_of: dict[str, list[list[float]]] = json.loads(done.stdout.splitlines()[-1])
    return rates_of


def weights_row(folder: Path) -> Row:
    """Megabytes (10^6 bytes) of all weights that are package data."""
    files = sorted(file for file in folder.rglob("*") if file.suffix in WEIGHTS)
    if not files:
        return Row("weights_megabytes", None, "MB", "<= 12", n=0, note="not measured: no weights are packaged")
    sizes = {file.stem: round(file.stat().st_size / 1e6, 3) for file in files}
    total = round(sum(file.stat().st_size for file in files) / 1e6, 3)
    return Row("weights_megabytes", total, "MB", "<= 12", n=len(files), beside=sizes, note="10^6 bytes, all files")


def main(arguments: Sequence[str]) -> int:
    """The process that is timed."""
    print(json.dumps(answer(Work(**json.loads(arguments[0])))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
