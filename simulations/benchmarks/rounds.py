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
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulations.benchmarks.report import Row, of_repeats, write_report
from simulations.benchmarks.stock_rounds import MEGABYTE, SITES, stock_seconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from coordinator.wire.message_exchange import MessageExchange


def peak_megabytes(pid: int | str = "self") -> float:
    """The most resident memory that a process ever had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / MEGABYTE
    raise OSError("no VmHWM in /proc")


def message(sender: str, payload: bytes, server_round: int) -> Any:
    from privacy.log.keys import SigningKey
    from privacy.protocol.messages import Header, Refusal, seal

    body = Refusal(plan_digest="0" * 64, reason="policy", seen_tree_size=1)
    return seal(
        body,
        Header(
            kind="refusal",
            run_id="bench",
            server_round=server_round,
            attempt=1,
            phase="update",
            sender=sender,
            context_digest="0" * 64,
            log_vkey="collab/woods+e973f7aa+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c",
            recipient="coordinator",
        ),
        SigningKey(b"k" * 32),
        payload=payload,
    )


def answer(arguments: Sequence[str]) -> None:
    """A site's process: its address, folder and name."""
    import numpy as np

    from client.wire.app import make_app
    from client.wire.transport import Endpoint, serve
    from simulations.benchmarks.small_federation import credentials

    address, folder, site = arguments[0], Path(arguments[1]), arguments[2]

    class Site:
        def answer(self, received: Any) -> Any:
            seed = [received.envelope.server_round, SITES.index(site)]
            update = np.random.Generator(np.random.Philox(seed)).bytes(len(received.payload))
            return message(site, update, received.envelope.server_round)

    serve(
        make_app(lambda config: Site()),
        Endpoint(address, credentials(folder, site), folder / f"{site}.key", site),
        stop=threading.Event(),
        on_event=lambda event: None,
    )


def coordinate(arguments: Sequence[str]) -> None:
    """The coordinator's process: megabytes and rounds. Prints its measurements as JSON."""
    import numpy as np

    from coordinator.wire.message_exchange import MessageExchange
    from simulations.benchmarks.small_federation import SmallFederation

    size, rounds = int(float(arguments[0]) * MEGABYTE) // 4, int(arguments[1])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with SmallFederation(folder, SITES).superlink(4 * size) as (grid, nodes, superlink):
            address = f"127.0.0.1:{superlink.port}"
            command = [sys.executable, "-m", "simulations.benchmarks.rounds", "answer", address, temporary]
            processes = {site: subprocess.Popen([*command, site]) for site in SITES}
            message_exchange = MessageExchange(grid, nodes)
            message_exchange.wait_online(len(SITES), 60)
            model = np.random.Generator(np.random.Philox(1)).standard_normal(size, dtype=np.float32)
            pids: dict[str, int | str] = {"coordinator": "self", "superlink": superlink.process.pid}
            pids |= {site: process.pid for site, process in processes.items()}
            before = {name: peak_megabytes(pid) for name, pid in pids.items()}
            before["coordinator"] -= model.nbytes / MEGABYTE  # the model in hand belongs to the round
            seconds = []
            for server_round in range(1, rounds + 1):
                start = time.perf_counter()
                model = next_model(message_exchange, model, server_round, folder / "blobs")
                seconds.append(time.perf_counter() - start)
                shutil.rmtree(folder / "blobs")
            peaks = {name: peak_megabytes(pid) - before[name] for name, pid in pids.items()}
            for process in processes.values():
                process.terminate()
                process.wait()
    print(json.dumps({"rounds": seconds, "peaks": peaks}))


def next_model(
    message_exchange: MessageExchange, model: NDArray[np.float32], server_round: int, folder: Path
) -> NDArray[np.float32]:
    """One round as the coordinator makes it: send the model, store each update in `folder`, fold what is stored."""
    from coordinator.blobs import BlobStore
    from privacy.aggregation import weighted_sum

    blobs, stored = BlobStore(folder), []
    sent = dict.fromkeys(SITES, message("coordinator", model.tobytes(), server_round))
    for _, reply in message_exchange.send_and_receive(
        sent, phase="update", server_round=server_round, deadline_seconds=600, max_payload_bytes=model.nbytes
    ):
        stored.append(blobs.put(reply.payload))  # type: ignore[union-attr]
        del reply
    del sent
    total = weighted_sum.start(model.size)
    for digest in stored:
        weighted_sum.fold(total, blobs.open_array(digest))
    return weighted_sum.finish(model, total, 2, 30)


def ours(megabytes: float, rounds: int) -> dict[str, Any]:
    """`rounds` rounds of ours in fresh processes."""
    command = [sys.executable, "-m", "simulations.benchmarks.rounds", "coordinate", str(megabytes), str(rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main(quick: bool) -> None:
    start = time.perf_counter()
    rows = [*small_rounds(quick), *large_rounds(quick)]
    write_report("rounds", rows, seconds=time.perf_counter() - start, quick=quick)


def small_rounds(quick: bool) -> Iterator[Row]:
    """1 MB each way: ours, and beside stock Flower on the same machine."""
    first = ours(1, 3 if quick else 5)
    slow = stock_seconds(1, 1 if quick else 3)
    second = ours(1, 3 if quick else 5)
    small = first["rounds"][1:] + second["rounds"][1:]  # the first waits for a site's slowest poll
    seconds, stock = of_repeats("", small, ""), of_repeats("", slow, "")
    assert seconds.value is not None
    assert stock.value is not None
    yield of_repeats("round_1mb_seconds", small, "s", note="2 sites, TLS, SQLite, random bytes, no training")
    yield Row(
        "round_1mb_to_stock",
        seconds.value / stock.value,
        "x stock Flower",
        n=len(slow),
        beside={"stock_seconds": stock.value},
        note="ours before and after stock; stock: FedAvg, one array, TLS, SQLite",
    )


def large_rounds(quick: bool) -> Iterator[Row]:
    """90 and 440 MB each way: seconds, and who holds how much."""
    middle, large = (18, 36) if quick else (90, 440)
    medium, big = ours(middle, 2 if quick else 5), ours(large, 1)
    shrunk = f"payload {middle} MB instead of 90" if quick else "payload 90 MB each way"
    shrunk_large = f"payload {large} MB instead of 440" if quick else "payload 440 MB each way, one round"
    peaks, big_peaks, n = medium["peaks"], big["peaks"], len(medium["rounds"])
    beside = {"superlink_peak": peaks["superlink"]}
    yield of_repeats("round_90mb_seconds", medium["rounds"], "s", note=shrunk, beside=beside)
    yield Row("coordinator_peak_90mb", peaks["coordinator"], "MB", n=n, note=shrunk)
    beside = {"seconds": big["rounds"][0], "superlink_peak": big_peaks["superlink"]}
    yield Row("coordinator_peak_440mb", big_peaks["coordinator"], "MB", beside=beside, note=shrunk_large)
    site_peaks = {site: peaks[site] for site in SITES}
    yield Row("site_peak_90mb", max(site_peaks.values()), "MB", n=n, beside=site_peaks, note=shrunk)


if __name__ == "__main__":
    if sys.argv[1:2] == ["answer"]:
        answer(sys.argv[2:])
    elif sys.argv[1:2] == ["coordinate"]:
        coordinate(sys.argv[2:])
    else:
        parser = argparse.ArgumentParser(description="measure rounds of the wire")
        parser.add_argument("--quick", action="store_true", help="smaller sizes, under two minutes")
        main(parser.parse_args().quick)
