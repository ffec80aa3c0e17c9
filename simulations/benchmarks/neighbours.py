# SPDX-License-Identifier: Apache-2.0
"""Hostile plans put to neighbouring sites by the thousand: how many, and in how many of them something told them apart.

Tries come in blocks, each from a seed of its own; after each block a file says how far it came, so that a run that was
ended goes on. Logs, ledgers and memories lie in memory where the machine has a folder for that.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypedDict

import numpy as np

from privacy.base.files import write_whole
from simulations.benchmarks.report import Row
from simulations.neighbours.cases import Case
from simulations.neighbours.law import tried
from simulations.neighbours.world import World, one_engine

TRIES: Final = 20_000
BLOCK: Final = 100
SHOWN: Final = 20
"""Cases in which something differed, that are kept whole."""
_IN_MEMORY: Final = Path("/dev/shm")


class Done(TypedDict):
    """What has been tried so far, as it is kept in a file; the first cases that differed are shown."""

    tried: int
    differed: int
    shown: list[dict[str, Any]]


def neighbours(
    folder: Path, tries: int = TRIES, seed: int = 0, tell: Callable[[str], None] = lambda line: None
) -> list[Row]:
    """`tries` cases, of which those in `folder` are done already; rows for the table of hostile measurements."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"neighbours-{seed}.json"
    done: Done = {"tried": 0, "differed": 0, "shown": []}
    if file.exists():
        done = json.loads(file.read_bytes())
    while done["tried"] < tries:
        block = done["tried"] // BLOCK
        _try_block(np.random.default_rng([seed, block]), done)
        write_whole(file, json.dumps(done, indent=1).encode())
        tell(f"{done['tried']} of {tries} hostile plans tried, {done['differed']} told neighbours apart")
    note = "; ".join(", ".join(one["differences"]) for one in done["shown"][:3])
    return [
        Row("neighbour_plans_tried", done["tried"], "plans", ">= 20000"),
        Row("neighbour_differences", done["differed"], "plans", "0", note=note),
    ]


def _try_block(generator: np.random.Generator, done: Done) -> None:
    root = Path(tempfile.mkdtemp(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None))
    shown = done["shown"]
    try:
        with one_engine():
            world = World(root)
            for _ in range(BLOCK):
                case = Case.drawn(generator)
                differences = tried(world, case)
                done["tried"] = done["tried"] + 1
                done["differed"] = done["differed"] + bool(differences)
                if differences and len(shown) < SHOWN:
                    shown.append({"differences": differences, "case": asdict(case)})
            world.close()
    finally:
        shutil.rmtree(root)
