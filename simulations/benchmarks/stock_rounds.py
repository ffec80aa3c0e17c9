# SPDX-License-Identifier: Apache-2.0
"""Rounds of stock Flower, beside ours: its own superlink, two supernodes and FedAvg, with TLS and on SQLite."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from simulations.benchmarks.small_federation import SmallFederation

SITES = ("hospital_a", "hospital_b")
MEGABYTE = 1_000_000
STOCK_PROJECT = """[project]
name = "stock"
version = "1.0.0"
description = "the same bytes through Flower's own way"
[tool.flwr.app]
publisher = "bench"
[tool.flwr.app.components]
serverapp = "stock:server"
clientapp = "stock:client"
"""
STOCK_APP = """
import os, time
import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

server = ServerApp()
client = ClientApp()

class Timed(FedAvg):
    def aggregate_train(self, server_round, replies):
        result = super().aggregate_train(server_round, replies)
        with open(os.environ["BENCH_TIMES"], "a") as file:
            file.write(f"{time.time()}\\n")
        return result

@server.main()
def main(grid, context):
    model = np.random.default_rng(1).standard_normal(SIZE, dtype=np.float32)
    strategy = Timed(fraction_evaluate=0.0, min_train_nodes=2, min_available_nodes=2)
    strategy.start(grid=grid, initial_arrays=ArrayRecord({"update": Array(model)}), num_rounds=ROUNDS)

@client.train()
def train(message, context):
    update = np.random.default_rng().standard_normal(SIZE, dtype=np.float32)
    content = {"arrays": ArrayRecord({"update": Array(update)}), "metrics": MetricRecord({"num-examples": 1})}
    return Message(RecordDict(content), reply_to=message)
"""


class StockFederation:
    """Flower's programs in `folder`, for an app that sends `size` float32 values each way, `rounds` times."""

    def __init__(self, folder: Path, size: int, rounds: int) -> None:
        self.folder, self.rounds = folder, rounds
        self.pki = SmallFederation(folder, SITES).pki
        self.port, self.times = 18000 + os.getpid() % 1000, folder / "times"
        (folder / "app").mkdir()
        (folder / "app" / "pyproject.toml").write_text(STOCK_PROJECT)
        app = STOCK_APP.replace("SIZE", str(size)).replace("ROUNDS", str(rounds))
        (folder / "app" / "stock.py").write_text(app)
        (folder / "config.toml").write_text(
            f'[superlink]\ndefault = "local"\n[superlink.local]\naddress = "127.0.0.1:{self.port}"\n'
            f'root-certificates = "{self.pki / "ca.crt"}"\n'
        )
        self._environment = os.environ | {"FLWR_HOME": str(folder), "BENCH_TIMES": str(self.times)}
        self._environment |= {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
        self._environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{self._environment['PATH']}"
        self._running: list[subprocess.Popen[bytes]] = []

    def run(self) -> list[float]:
        """When each round was over, in seconds since 1970. Raises TimeoutError."""
        try:
            self._start_superlink()
            for at, site in enumerate(SITES, 1):
                self._start_supernode(site, self.port + at)
            self._flwr("run", "app", "local")
            return self._wait_for_times()
        finally:
            for process in reversed(self._running):
                process.terminate()
            for process in self._running:
                process.wait()

    def _start_superlink(self) -> None:
        pair = ("--ssl-certfile", self.pki / "server.crt", "--ssl-keyfile", self.pki / "server.key")
        tls = ("--ssl-ca-certfile", self.pki / "ca.crt", *pair)
        listen = ("--host", "127.0.0.1", "--port", self.port, "--database", self.folder / "state.sqlite")
        flags = ("--enable-supernode-auth", "--disable-runtime-dependency-installation")
        self._start("flower-superlink", *tls, *listen, *flags)
        wait_for_port(self.port)

    def _start_supernode(self, site: str, port: int) -> None:
        self._flwr("supernode", "register", str(self.folder / f"{site}.pub"), "local", "--name", site)
        line = ("--superlink", f"127.0.0.1:{self.port}", "--root-certificates", self.pki / "ca.crt")
        own = ("--auth-supernode-private-key", self.folder / f"{site}.key", "--port", port)
        self._start("flower-supernode", *line, *own)

    def _start(self, *command: object) -> None:
        with (self.folder / f"{len(self._running)}.log").open("wb") as log:
            program = subprocess.Popen(list(map(str, command)), env=self._environment, stdout=log, stderr=log)
        self._running.append(program)

    def _flwr(self, *command: str) -> None:
        done = subprocess.run(
            ["flwr", *command], env=self._environment, capture_output=True, text=True, cwd=self.folder
        )
        if done.returncode != 0:
            raise RuntimeError(f"flwr {command[0]} failed: {done.stdout[-2000:]} {done.stderr[-2000:]}")

    def _wait_for_times(self) -> list[float]:
        end = time.monotonic() + 50 + 40 * self.rounds
        while not self.times.exists() or len(self.times.read_text().splitlines()) < self.rounds:
            if time.monotonic() > end:
                raise TimeoutError("stock Flower did not finish its rounds")
            time.sleep(0.1)
        return [float(line) for line in self.times.read_text().split()]


def stock_seconds(megabytes: float, rounds: int) -> list[float]:
    """Seconds of each of `rounds` rounds of stock Flower (the first, which starts everything, is left out)."""
    with tempfile.TemporaryDirectory() as folder:
        ends = StockFederation(Path(folder), int(megabytes * MEGABYTE) // 4, rounds + 1).run()
    return [later - earlier for earlier, later in itertools.pairwise(ends)]


def wait_for_port(port: int) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return
