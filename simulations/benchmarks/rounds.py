# SPDX-License-Identifier: Apache-2.0
"""What a round of the wire costs: seconds and peak memory, two sites in processes of their own over the real SuperLink.

    python -m simulations.benchmarks.rounds [--quick]

A round sends the model (float32) to both sites, takes an update of the same length (int32, random, different for each
site and round) from each, stores it as the coordinator does, folds the stored updates and makes the next model. No
training: a site answers at once. Peaks are VmHWM above what the process had before its first round. The stock figure
is a round of Flower's own superlink, supernodes and FedAvg with the same bytes in one array, on the same machine in the
same run, with TLS and on SQLite like ours.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SITES = ("hospital_a", "hospital_b")
MEGABYTE = 1_000_000


def peak_megabytes(pid: int | str = "self") -> float:
    """The most resident memory that a process ever had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / MEGABYTE
    raise OSError("no VmHWM in /proc")


def message(sender: str, payload: bytes, server_round: int) -> Any:
    from privacy.log.keys import SigningKey
    from privacy.protocol.messages import Refusal, seal

    body = Refusal(plan_digest="0" * 64, reason="policy", seen_tree_size=1)
    return seal(
        body,
        kind="refusal",
        run_id="bench",
        server_round=server_round,
        attempt=1,
        phase="update",
        sender=sender,
        context_digest="0" * 64,
        log_vkey="collab/woods+e973f7aa+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c",
        recipient="coordinator",
        key=SigningKey(b"k" * 32),
        payload=payload,
    )


def answer(arguments: Sequence[str]) -> None:
    """A site's process: its address, folder and name."""
    import numpy as np

    from client.wire.app import make_app
    from client.wire.transport import serve
    from simulations.benchmarks.small_federation import credentials

    address, folder, site = arguments[0], Path(arguments[1]), arguments[2]

    class Site:
        def answer(self, received: Any) -> Any:
            seed = [received.envelope.server_round, SITES.index(site)]
            update = np.random.Generator(np.random.Philox(seed)).bytes(len(received.payload))
            return message(site, update, received.envelope.server_round)

    serve(
        make_app(lambda config: Site()),
        address=address,
        credentials=credentials(folder, site),
        node_key=folder / f"{site}.key",
        site=site,
        stop=threading.Event(),
        on_event=lambda event: None,
    )


def coordinate(arguments: Sequence[str]) -> None:
    """The coordinator's process: megabytes and rounds. Prints its measurements as JSON."""
    import numpy as np

    from coordinator.blobs import BlobStore
    from coordinator.wire.message_exchange import MessageExchange
    from coordinator.wire.superlink import flower_grid
    from privacy.aggregation import weighted_sum
    from simulations.benchmarks.small_federation import SmallFederation

    size, rounds = int(float(arguments[0]) * MEGABYTE) // 4, int(arguments[1])
    found: dict[str, Any] = {"rounds": []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        federation = SmallFederation(folder, SITES)
        with flower_grid(
            folder / "superlink",
            host="127.0.0.1",
            port=0,
            pki=federation.pki,
            door=federation.door,
            node_keys=federation.lines,
            max_payload_bytes=4 * size,
        ) as (grid, nodes):
            address = f"127.0.0.1:{grid.superlink.port}"
            command = [sys.executable, "-m", "simulations.benchmarks.rounds", "answer", address, temporary]
            processes = {site: subprocess.Popen([*command, site]) for site in SITES}
            message_exchange = MessageExchange(grid, nodes)
            message_exchange.wait_online(len(SITES), 60)
            model = np.random.Generator(np.random.Philox(1)).standard_normal(size, dtype=np.float32)
            pids: dict[str, int | str] = {"coordinator": "self", "superlink": grid.superlink.process.pid}
            pids |= {site: process.pid for site, process in processes.items()}
            before = {name: peak_megabytes(pid) for name, pid in pids.items()}
            before["coordinator"] -= model.nbytes / MEGABYTE  # the model in hand belongs to the round
            for server_round in range(1, rounds + 1):
                start = time.perf_counter()
                blobs = BlobStore(folder / "blobs")
                sent = dict.fromkeys(SITES, message("coordinator", model.tobytes(), server_round))
                stored = []
                for _, reply in message_exchange.send_and_receive(
                    sent, phase="update", server_round=server_round, deadline_seconds=600, max_payload_bytes=4 * size
                ):
                    stored.append(blobs.put(reply.payload))  # type: ignore[union-attr]
                    del reply
                del sent
                total = weighted_sum.start(size)
                for digest in stored:
                    weighted_sum.fold(total, blobs.open_array(digest))
                model = weighted_sum.finish(model, total, 2, 30)
                del total
                found["rounds"].append(time.perf_counter() - start)
                shutil.rmtree(folder / "blobs")
            found["peaks"] = {name: peak_megabytes(pid) - before[name] for name, pid in pids.items()}
            for process in processes.values():
                process.terminate()
                process.wait()
    print(json.dumps(found))


def ours(megabytes: float, rounds: int) -> dict[str, Any]:
    """`rounds` rounds of ours in fresh processes."""
    command = [sys.executable, "-m", "simulations.benchmarks.rounds", "coordinate", str(megabytes), str(rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


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


def stock(megabytes: float, rounds: int) -> list[float]:
    """Seconds of each of `rounds` rounds of stock Flower (the first, which starts everything, is left out)."""
    from simulations.benchmarks.small_federation import SmallFederation

    size, binaries = int(megabytes * MEGABYTE) // 4, Path(sys.executable).parent
    running: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pki = SmallFederation(folder, SITES).pki
        port, times = 18000 + os.getpid() % 1000, folder / "times"
        (folder / "app").mkdir()
        (folder / "app" / "pyproject.toml").write_text(STOCK_PROJECT)
        app = STOCK_APP.replace("SIZE", str(size)).replace("ROUNDS", str(rounds + 1))
        (folder / "app" / "stock.py").write_text(app)
        (folder / "config.toml").write_text(
            f'[superlink]\ndefault = "local"\n[superlink.local]\naddress = "127.0.0.1:{port}"\n'
            f'root-certificates = "{pki / "ca.crt"}"\n'
        )
        environment = os.environ | {"FLWR_HOME": temporary, "BENCH_TIMES": str(times)}
        environment |= {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
        environment["PATH"] = f"{binaries}{os.pathsep}{environment['PATH']}"

        def start(*command: str) -> None:
            with (folder / f"{len(running)}.log").open("wb") as log:
                running.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

        def flwr(*command: str) -> None:
            done = subprocess.run(["flwr", *command], env=environment, capture_output=True, text=True, cwd=folder)
            if done.returncode != 0:
                raise RuntimeError(f"flwr {command[0]} failed: {done.stdout[-2000:]} {done.stderr[-2000:]}")

        try:
            pair = ("--ssl-certfile", pki / "server.crt", "--ssl-keyfile", pki / "server.key")
            tls = ("--ssl-ca-certfile", pki / "ca.crt", *pair)
            listen = ("--host", "127.0.0.1", "--port", port, "--database", folder / "state.sqlite")
            flags = ("--enable-supernode-auth", "--disable-runtime-dependency-installation")
            start("flower-superlink", *map(str, (*tls, *listen, *flags)))
            wait_for_port(port)
            for at, site in enumerate(SITES):
                flwr("supernode", "register", str(folder / f"{site}.pub"), "local", "--name", site)
                line = ("--superlink", f"127.0.0.1:{port}", "--root-certificates", pki / "ca.crt")
                own = ("--auth-supernode-private-key", folder / f"{site}.key", "--port", port + 1 + at)
                start("flower-supernode", *map(str, (*line, *own)))
            flwr("run", "app", "local")
            end = time.monotonic() + 90 + 40 * rounds
            while not times.exists() or len(times.read_text().splitlines()) <= rounds:
                if time.monotonic() > end:
                    raise TimeoutError("stock Flower did not finish its rounds")
                time.sleep(0.1)
            marks = [float(line) for line in times.read_text().split()]
        finally:
            for process in reversed(running):
                process.terminate()
            for process in running:
                process.wait()
    return [later - earlier for earlier, later in itertools.pairwise(marks)]


def wait_for_port(port: int) -> None:
    import socket

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


def main(quick: bool) -> None:
    from simulations.benchmarks.report import Row, of_repeats, write_report

    start = time.perf_counter()
    middle, large = (18, 36) if quick else (90, 440)
    first = ours(1, 3 if quick else 5)
    slow = stock(1, 1 if quick else 3)
    second = ours(1, 3 if quick else 5)
    small = first["rounds"][1:] + second["rounds"][1:]  # the first waits for a site's slowest poll
    medium = ours(middle, 2 if quick else 5)
    big = ours(large, 1)
    shrunk = f"payload {middle} MB instead of 90" if quick else "payload 90 MB each way"
    shrunk_large = f"payload {large} MB instead of 440" if quick else "payload 440 MB each way, one round"
    seconds, stock_seconds = of_repeats("", small, ""), of_repeats("", slow, "")
    assert seconds.value is not None
    assert stock_seconds.value is not None
    site_peaks = {site: medium["peaks"][site] for site in SITES}
    rows = [
        of_repeats("round_1mb_seconds", small, "s", note="2 sites, TLS, SQLite, random bytes, no training"),
        Row(
            "round_1mb_to_stock",
            seconds.value / stock_seconds.value,
            "x stock Flower",
            n=len(slow),
            beside={"stock_seconds": stock_seconds.value},
            note="ours before and after stock; stock: FedAvg, one array, TLS, SQLite",
        ),
        of_repeats(
            "round_90mb_seconds",
            medium["rounds"],
            "s",
            note=shrunk,
            beside={"superlink_peak": medium["peaks"]["superlink"]},
        ),
        Row("coordinator_peak_90mb", medium["peaks"]["coordinator"], "MB", n=len(medium["rounds"]), note=shrunk),
        Row(
            "coordinator_peak_440mb",
            big["peaks"]["coordinator"],
            "MB",
            beside={"seconds": big["rounds"][0], "superlink_peak": big["peaks"]["superlink"]},
            note=shrunk_large,
        ),
        Row("site_peak_90mb", max(site_peaks.values()), "MB", n=len(medium["rounds"]), beside=site_peaks, note=shrunk),
    ]
    write_report("rounds", rows, seconds=time.perf_counter() - start, quick=quick)


if __name__ == "__main__":
    if sys.argv[1:2] == ["answer"]:
        answer(sys.argv[2:])
    elif sys.argv[1:2] == ["coordinate"]:
        coordinate(sys.argv[2:])
    else:
        parser = argparse.ArgumentParser(description="measure rounds of the wire")
        parser.add_argument("--quick", action="store_true", help="smaller sizes, under two minutes")
        main(parser.parse_args().quick)
