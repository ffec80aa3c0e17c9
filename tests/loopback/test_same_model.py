# SPDX-License-Identifier: Apache-2.0
"""One scenario in process and over the real SuperLink, with the real commands: the same model, bit for bit.

Simulated sites draw their nonces from their known keys, so noise and sampling are the same wherever they run. The
folders are built once and copied before any run.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from coordinator.status import read_entries
from privacy.base.errors import CollabError
from privacy.base.identifiers import Digest
from privacy.protocol.anonymization_check import IDENTIFIERS
from privacy.protocol.entries import RunClosed, UpdateReceived
from simulations.build import build
from simulations.federation import Federation
from simulations.scenario import Scenario, load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

SITES = ("hospital_a", "hospital_b")
COMMANDS = Path(sys.executable).parent
NO_FLOORS = ", ".join(f"{name} = 0" for name in IDENTIFIERS)
SCENARIO = """
title = "Two small hospitals"
seed = 5
[corpus]
kind = "notes"
holdout = 8
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
min_recall = {{ {floors} }}
[sites.text]
names = "student"
[federation.run]
name = "two-hospitals"
run_id = "loopback"
[federation.network]
port = {port}
[federation.task]
labels = ["cardiology", "gastroenterology", "neurology", "pulmonology"]
max_tokens = 32
[federation.training]
scope = "head"
rounds = 2
steps_per_round = 2
sample_rate = 0.5
[federation.privacy]
unit = "patient"
clipping = "hooks"
[federation.update]
clip_norm = 4.0
scale_log2 = 20
[federation.anonymization]
self_check_notes = 8
[federation.rounds]
min_sites = 2
deadline_seconds = 120.0
"""


@dataclass(frozen=True)
class Rehearsal:
    """Folders that nothing has run in yet, and the model to which the in-process run of a twin of them came."""

    untouched: Path
    model: Digest

    def copy(self, to: Path) -> Path:
        return shutil.copytree(self.untouched, to, dirs_exist_ok=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scenario(folder: Path) -> Scenario:
    path = folder / "two-hospitals.toml"
    path.write_text(SCENARIO.format(port=free_port(), floors=NO_FLOORS))
    return load(str(path))


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    folder = tmp_path_factory.mktemp("same-model")
    built = build(scenario(folder), folder / "in-process", None, fresh=False)
    untouched = shutil.copytree(built.out, folder / "untouched")
    federation = Federation(built)
    closed = federation.rounds()
    assert closed.rounds_aggregated == 2
    assert federation.audit().rounds_replayed == 2
    return Rehearsal(untouched, closed.final_model)


@dataclass
class Deployment:
    """The real commands in one folder: what each one said lies in `<name>.said`."""

    folder: Path
    stack: ExitStack
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    typed: list[str] = field(default_factory=list)

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start `command` in the background, like a line with & in a shell."""
        self.typed.append(f"$ {' '.join(command)} > {name}.said 2>&1 &")
        with (self.folder / f"{name}.said").open("ab") as said:
            process = subprocess.Popen(self._real(command), cwd=self.folder, stdout=said, stderr=said)
        self.stack.callback(lambda: (process.kill(), process.wait()))
        self.running[name] = process
        return process

    def call(self, *command: str) -> str:
        """What `command` prints; it must succeed."""
        done = subprocess.run(self._real(command), cwd=self.folder, capture_output=True, text=True, timeout=120)
        self.typed += [f"$ {' '.join(command)}", done.stdout + done.stderr]
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.said").read_text()

    def start_sites(self) -> None:
        for site in SITES:
            self.start(site, "collab-client", "--site", site)

    def stop_sites(self) -> None:
        """Each leaves cleanly at the first SIGINT."""
        for site in SITES:
            self.running[site].send_signal(signal.SIGINT)
        for site in SITES:
            assert self.running[site].wait(60) == 130, self.said(site)

    def updates(self, server_round: int) -> int:
        """How many updates of a round the log holds by now."""
        try:
            entries = read_entries(self.folder / "coordinator")
        except CollabError:  # the coordinator is just making its log
            return 0
        return sum(isinstance(entry.body, UpdateReceived) and entry.server_round == server_round for entry in entries)

    def final_model(self) -> Digest:
        closed = [entry.body for entry in read_entries(self.folder / "coordinator")][-1]
        assert isinstance(closed, RunClosed)
        assert (closed.outcome, closed.rounds_aggregated) == ("done", 2)
        return closed.final_model

    def transcript(self) -> str:
        said = [f"--- {name}.said\n{self.said(name)}" for name in self.running]
        return "\n".join([*self.typed, *said])

    @staticmethod
    def _real(command: tuple[str, ...]) -> list[str]:
        return [str(COMMANDS / command[0]), *command[1:]]


@pytest.fixture
def deployment(rehearsal: Rehearsal, tmp_path: Path) -> Iterator[Deployment]:
    with ExitStack() as stack:
        yield Deployment(rehearsal.copy(tmp_path), stack)


def wait_until(condition: Callable[[], bool], alive: subprocess.Popen[bytes], seconds: float = 150.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert alive.poll() is None, "it ended too early"
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_the_network_and_one_process_give_the_same_model_bit_for_bit(
    rehearsal: Rehearsal, deployment: Deployment
) -> None:
    deployment.start_sites()
    coordinator = deployment.start("coordinator", "collab-coordinator", "run", "coordinator")
    assert coordinator.wait(200) == 0, deployment.said("coordinator")
    deployment.stop_sites()
    assert deployment.final_model() == rehearsal.model
    deployment.call("collab-audit", "verify", "coordinator")
    replayed = json.loads(deployment.call("collab-audit", "replay", "coordinator", "--json"))
    assert replayed["rounds_replayed"] == 2
    print(f"in process: {rehearsal.model}\n{deployment.transcript()}")  # shown with pytest -s


def test_a_coordinator_that_is_killed_in_mid_round_comes_to_the_same_model(
    rehearsal: Rehearsal, deployment: Deployment
) -> None:
    deployment.start_sites()
    first = deployment.start("coordinator", "collab-coordinator", "run", "coordinator")
    wait_until(lambda: deployment.updates(1) == len(SITES), first)
    first.kill()
    first.wait()
    second = deployment.start("coordinator", "collab-coordinator", "run", "coordinator")
    assert second.wait(200) == 0, deployment.said("coordinator")
    deployment.stop_sites()
    assert deployment.final_model() == rehearsal.model
    assert deployment.updates(1) == len(SITES)
    deployment.call("collab-audit", "verify", "coordinator")
    deployment.call("collab-audit", "replay", "coordinator")
