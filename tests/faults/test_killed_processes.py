# SPDX-License-Identifier: Apache-2.0
"""`kill -9` of a real process that runs a whole federation, wherever it happens to be: the next start ends the same.

The killed process holds the coordinator and all sites, so each of them is restarted from its disk alone. `kill -9`
does not test a power cut: the page cache survives it. Every process is forked by a server that has imported the
libraries and done nothing else, since the imports would take most of the time.
"""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from privacy.protocol.anonymization_check import IDENTIFIERS
from simulations.cli import run_command
from simulations.federation import results_file

NO_FLOORS = ", ".join(f"{name} = 0" for name in IDENTIFIERS)
SCENARIO = f"""
title = "Two small hospitals"
seed = 3
[corpus]
kind = "notes"
holdout = 12
[[hospitals]]
name = "hospital_a"
style = "sectioned"
patients = 10
[[hospitals]]
name = "hospital_b"
style = "narrative"
patients = 12
[sites]
threads = 1
epsilon_limit = 100.0
dev_fraction = 0.3
min_recall = {{ {NO_FLOORS} }}
[sites.text]
names = "none"
[federation.run]
name = "small"
run_id = "small"
[federation.task]
labels = ["cardiology", "gastroenterology", "neurology", "pulmonology"]
max_tokens = 32
[federation.training]
scope = "head"
optimizer = "sgd"
head_learning_rate = 1.0
rounds = 2
steps_per_round = 2
sample_rate = 0.5
[federation.privacy]
unit = "patient"
target_delta = 1e-3
clipping = "hooks"
[federation.update]
clip_norm = 4.0
scale_log2 = 20
[federation.anonymization]
self_check_notes = 4
[federation.rounds]
min_sites = 2
deadline_seconds = 30.0
"""
QUIETLY = {"as_json": True}


def start(folder: Path, out: str) -> ForkServerProcess:
    """`collab-sim run` in a process of its own."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["simulations.build", "simulations.federation", "privacy.text.find.engines.presidio"])
    process = server.Process(target=run_command, args=(str(folder / "small.toml"), folder / out), kwargs=QUIETLY)
    process.start()
    return process


def ended(folder: Path, out: str) -> dict[str, Any]:
    """What `collab-sim run` leaves as its result, after it ran to its end."""
    process = start(folder, out)
    process.join()
    assert process.exitcode == 0
    found: dict[str, Any] = json.loads(results_file(folder / out).read_bytes())
    return found


def entries(out: Path) -> int:
    """How many entries the log on disk holds."""
    path = out / "coordinator" / "log.sqlite"
    if not path.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as log:
            return int(log.execute("select count(*) from entries").fetchone()[0])
    except sqlite3.Error:
        return 0


def charges(out: Path) -> dict[str, list[str]]:
    found = {}
    for path in sorted((out / "sites").glob("*/ledger.sqlite")):
        with sqlite3.connect(path) as ledger:
            bodies = ledger.execute("select body from entry where kind = 'reservation' order by number")
            found[path.parent.name] = [json.loads(body)["plan_digest"] for (body,) in bodies]
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "small.toml").write_text(SCENARIO)
    return folder, ended(folder, "out")


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 4, 9, 14, 20])
def test_a_federation_killed_at_any_entry_ends_with_the_same_model_and_a_sound_log(
    undisturbed: tuple[Path, dict[str, Any]], at: int
) -> None:
    folder, expected = undisturbed
    out = folder / f"killed-{at}"
    process = start(folder, out.name)
    while process.is_alive() and entries(out) < at:
        time.sleep(0.005)
    process.kill()
    process.join()
    assert entries(out) < expected["log"]["entries"]

    told = ended(folder, out.name)
    assert told["log"]["verified"]
    assert told["rounds"] == expected["rounds"]
    attempts, usual = charges(out), charges(folder / "out")
    if attempts == usual:  # no attempt was cut off between its charge and its reply
        assert told["final_model_sha256"] == expected["final_model_sha256"]
    for site, plans in usual.items():
        assert set(plans) <= set(attempts[site])
        assert len(attempts[site]) <= len(plans) + 1
