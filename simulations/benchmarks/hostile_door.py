# SPDX-License-Identifier: Apache-2.0
"""What hostile connections and one hostile site cost the others, over the real SuperLink with TLS on this machine.

    python -m simulations.benchmarks.hostile_door [--connections 1000] [--messages 100000] [--seconds 600]

(a) Connections without a certificate, of four kinds in turn: silent, stalled in the handshake, without a certificate,
and noise; while they stand, two honest sites call as their clients do, on kept lines and on new ones. (b) One admitted
site pushes lies of every kind as fast as it can over eight lines, while two others answer rounds. Its bytes are what
its node left in Flower's database, read there, against the quota that the door gives it.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import socket
import sqlite3
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulations.benchmarks.report import Row
from simulations.benchmarks.rounds import message as signed_message
from simulations.benchmarks.small_federation import SmallFederation, credentials

if TYPE_CHECKING:
    from coordinator.wire.message_exchange import MessageExchange
    from coordinator.wire.network_grid import FlowerGrid
    from coordinator.wire.superlink import SuperLink
    from privacy.protocol.messages import SignedMessage
    from privacy.protocol.reasons import ReasonCode

MIB = 1 << 20
HONEST = ("hospital_a", "hospital_b")
EVIL = "hospital_x"
LIMIT = 8 * MIB
LINES = 8
"""On which one hostile site speaks at once."""


def resident_mib(pid: int) -> float:
    """What a process has in memory now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise OSError("no VmRSS in /proc")


class SiteCalls:
    """A site's calls with Flower's own client, one line."""

    def __init__(self, federation: SmallFederation, address: str, name: str, run_id: int) -> None:
        from cryptography.hazmat.primitives.serialization import load_ssh_private_key
        from flwr.supercore.primitives.asymmetric import public_key_to_bytes
        from flwr.supernode.fleet_http_client import FleetHttpClient
        from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

        key = load_ssh_private_key((federation.folder / f"{name}.key").read_bytes(), None)
        self.public_key = public_key_to_bytes(key.public_key())
        context = credentials(federation.folder, name).context()
        identity = NodeAuthHttpInterceptor(key, key.public_key())
        self.calls = FleetHttpClient(f"https://{address}", interceptors=[identity], verify=context)
        self.run_id = run_id
        self.node: Any = None

    def come(self) -> None:
        from flwr.proto.fleet_pb2 import ActivateNodeRequest
        from flwr.proto.node_pb2 import Node

        request = ActivateNodeRequest(public_key=self.public_key, heartbeat_interval=30)
        self.node = Node(node_id=self.calls.ActivateNode(request).node_id)

    def pull(self) -> Any:
        from flwr.proto.fleet_pb2 import PullMessagesRequest

        return self.calls.PullMessages(PullMessagesRequest(node=self.node))

    def push(self, reply: Any) -> None:
        """Announce and upload, as the real client does."""
        from flwr.app import Message, RecordDict
        from flwr.common.serde import message_to_proto
        from flwr.proto.fleet_pb2 import PushMessagesRequest
        from flwr.proto.message_pb2 import PushObjectRequest
        from flwr.supercore.inflatable.inflatable_object import (
            get_all_nested_objects,
            get_object_tree,
            no_object_id_recompute,
        )

        with no_object_id_recompute():
            reply.metadata.__dict__["_message_id"] = reply.object_id
            head = message_to_proto(Message(content=RecordDict(), metadata=reply.metadata))
            tree, objects = get_object_tree(reply), get_all_nested_objects(reply)
        request = PushMessagesRequest(node=self.node, messages_list=[head], message_object_trees=[tree])
        answer = self.calls.PushMessages(request)
        for object_id in answer.objects_to_push:
            self.calls.PushObject(
                PushObjectRequest(
                    node=self.node,
                    run_id=self.run_id,
                    object_id=object_id,
                    object_content=objects[object_id].deflate(),
                    session_id=answer.session_id,
                )
            )


@dataclass(frozen=True)
class OpenDoor:
    """The real SuperLink with three admitted sites, their node ids, and its address."""

    federation: SmallFederation
    grid: FlowerGrid
    nodes: Mapping[str, int]
    superlink: SuperLink

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.superlink.port}"

    def line(self, site: str) -> SiteCalls:
        """A new line of `site`."""
        return SiteCalls(self.federation, self.address, site, self.grid.run.run_id)


@contextlib.contextmanager
def door() -> Iterator[OpenDoor]:
    """A door in a folder of its own, while it is open."""
    with tempfile.TemporaryDirectory() as folder:
        federation = SmallFederation(Path(folder), (*HONEST, EVIL))
        with federation.superlink(LIMIT) as (grid, nodes, superlink):
            yield OpenDoor(federation, grid, nodes, superlink)


def _silent(address: tuple[str, int], context: ssl.SSLContext) -> socket.socket:
    return socket.create_connection(address, timeout=10)


def _stalled(address: tuple[str, int], context: ssl.SSLContext) -> socket.socket:
    """A ClientHello, and then nothing."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(into, out, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    made = socket.create_connection(address, timeout=10)
    made.sendall(out.read())
    return made


def _without(address: tuple[str, int], context: ssl.SSLContext) -> socket.socket:
    """A handshake to its end, without a certificate, and the beginning of a request."""
    made = context.wrap_socket(socket.create_connection(address, timeout=10), server_hostname="localhost")
    made.sendall(b"POST /v1/fleet/push-object HTTP/1.1\r\n")
    return made


def _noise(address: tuple[str, int], context: ssl.SSLContext) -> socket.socket:
    made = socket.create_connection(address, timeout=10)
    made.sendall(b"\x16\x03\x01\xff\xff" + bytes(1 << 16))
    return made


KINDS: tuple[Callable[[tuple[str, int], ssl.SSLContext], socket.socket], ...] = (_silent, _stalled, _without, _noise)


class HonestCalls:
    """Calls of two honest sites, on kept lines and on new ones: how many, how many failed, and the SuperLink's memory.

    `growth` is the most resident memory that was seen, above that of the beginning, in MiB.
    """

    def __init__(self, door: OpenDoor) -> None:
        self._door = door
        self._lines = [door.line(site) for site in HONEST]
        for line in self._lines:
            line.come()
        self._before = self._peak = resident_mib(door.superlink.process.pid)
        self.made = self.failed = 0

    @property
    def growth(self) -> float:
        return self._peak - self._before

    def call(self) -> None:
        """One call on each kept line and one on a new line."""
        new = self._door.line(HONEST[0])
        new.node = self._lines[0].node
        for line in (*self._lines, new):
            self.made += 1
            try:
                line.pull()
            except Exception:  # whatever it was, an honest call failed
                self.failed += 1
        new.calls.close()
        self._peak = max(self._peak, resident_mib(self._door.superlink.process.pid))


def connections(count: int = 1000) -> list[Row]:
    """(a): `count` hostile connections of each kind; what the honest calls and the SuperLink's memory say."""
    with door() as opened:
        host, port = opened.address.split(":")
        context = ssl.create_default_context(cafile=str(opened.federation.pki / "ca.crt"))
        honest = HonestCalls(opened)
        for kind in KINDS:
            held: list[socket.socket] = []
            for number in range(count):
                with contextlib.suppress(OSError):
                    held.append(kind((host, int(port)), context))
                if number % 20 == 0:
                    honest.call()
            for made in held:
                made.close()
    note = f"{count} connections of each of {len(KINDS)} kinds, {honest.made} honest calls, a third on new lines"
    of_memory = "the SuperLink's process, the most that was seen"
    return [
        Row("honest_calls_failed", honest.failed, "calls", "0", note=note),
        Row("coordinator_growth_mib", round(honest.growth, 1), "MiB", "64", note=of_memory),
    ]


def _lies(pushed: Any, honest_nodes: list[int]) -> Iterator[Any]:
    """Replies that the site was not asked for, without end."""
    from flwr.app import ConfigRecord, Message, RecordDict

    changes: list[dict[str, object]] = [
        {},
        {"_src_node_id": honest_nodes[0]},
        {"_reply_to_message_id": ""},
        {"_reply_to_message_id": "0" * 64},
        {"_dst_node_id": honest_nodes[1]},
        {"_ttl": 1e9},
        {"_run_id": 1},
        {"_message_type": "query"},
    ]
    for number in itertools.count():
        head = {"envelope": b"x", "body": number.to_bytes(8, "big") * 512, "payload_bytes": 0}
        made = Message(content=RecordDict({"parcel": ConfigRecord(head)}), reply_to=pushed)
        made.metadata.__dict__.update(changes[number % len(changes)])
        yield made


def _stored_bytes(database: Path) -> int:
    """Bytes of all objects in Flower's store."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
        (table,) = [
            name
            for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if {"object_id", "content", "is_available"}
            <= {row[1] for row in store.execute(f"PRAGMA table_info({name})")}
        ]
        (total,) = store.execute(f"SELECT COALESCE(SUM(LENGTH(content)), 0) FROM {table}").fetchone()
    return int(total)


class Liar:
    """The hostile site: it lies on eight lines at once until `count` messages were sent or it is told to stop."""

    def __init__(self, door: OpenDoor, count: int, stop: threading.Event) -> None:
        self._door, self._count, self._stop = door, count, stop
        self._first = door.line(EVIL)
        self._first.come()
        self._mutex = threading.Lock()
        self.sent = 0
        self.threads: list[threading.Thread] = []

    def start(self, seconds: float) -> None:
        """Take one true message, valid for `seconds`, and begin to lie about it."""
        from flwr.common.serde import message_from_proto

        from privacy.protocol.flower import to_content

        content = to_content(signed_message("coordinator", b"model", 1))
        message = self._door.grid.create_message(content, "train", self._door.nodes[EVIL], "0", seconds)
        self._door.grid.push_messages([message])
        pushed = message_from_proto(self._first.pull().messages_list[0])
        self.threads = [threading.Thread(target=self._lie, args=(pushed, at)) for at in range(LINES)]
        for thread in self.threads:
            thread.start()

    @property
    def lies(self) -> bool:
        return any(thread.is_alive() for thread in self.threads)

    def _lie(self, pushed: Any, at: int) -> None:
        line = self._door.line(EVIL)
        line.node = self._first.node
        honest_nodes = [self._door.nodes[site] for site in HONEST]
        for reply in itertools.islice(_lies(pushed, honest_nodes), at, None):
            if self._stop.is_set():
                return
            with contextlib.suppress(Exception):  # refused, as it should be
                line.push(reply)
            with self._mutex:
                self.sent += 1
                if self.sent >= self._count:
                    return


def messages(count: int = 100_000, seconds: float = 600.0) -> list[Row]:
    """(b): up to `count` hostile messages in at most `seconds`, while two honest sites answer rounds."""
    from coordinator.wire.message_exchange import MessageExchange
    from coordinator.wire.slots import Slots

    stop = threading.Event()
    with door() as opened:
        liar, exchange = Liar(opened, count, stop), MessageExchange(opened.grid, opened.nodes)
        honest = [threading.Thread(target=_work, args=(opened, site, stop)) for site in HONEST]
        for thread in honest:
            thread.start()
        exchange.wait_online(3, 30)
        liar.start(seconds + 300)
        start = time.monotonic()
        refused = lost = rounds = 0
        while (liar.lies and time.monotonic() - start < seconds) or rounds < 3:
            rounds += 1
            replies = _round(exchange, rounds)
            refused += replies.count("malformed")
            lost += any(isinstance(reply, str) for reply in replies)
        took = time.monotonic() - start
        stop.set()
        for thread in (*liar.threads, *honest):
            thread.join(30)
        stored_bytes = _stored_bytes(opened.federation.folder / "superlink" / "state.sqlite")
    quota = Slots(LIMIT).quota("train")
    note = f"{liar.sent} messages in {took:.0f} s, {rounds} rounds meanwhile"
    of_bytes = f"{stored_bytes} bytes in Flower's store at the end, of all sites; the quota is {quota}"
    return [
        Row("honest_sites_refused", refused, "replies", "0", note=note),
        Row("hostile_site_rounds_lost", lost, "rounds", "0", note=note),
        Row("hostile_site_bytes_over_quota", max(0, stored_bytes - quota), "bytes", "0", note=of_bytes),
    ]


def _round(exchange: MessageExchange, server_round: int) -> list[SignedMessage | ReasonCode]:
    """What the honest sites answer in one round."""
    payload = b"model of round %d" % server_round * 1000
    sent = {site: signed_message("coordinator", payload, server_round) for site in HONEST}
    replies = exchange.send_and_receive(
        sent, phase="update", server_round=server_round, deadline_seconds=60, max_payload_bytes=LIMIT
    )
    return [reply for _, reply in replies]


def _work(door: OpenDoor, site: str, stop: threading.Event) -> None:
    """An honest site: the real transport and app, answering at once."""
    from client.wire.app import make_app
    from client.wire.transport import Endpoint, serve

    class Echo:
        def answer(self, received: Any) -> Any:
            return signed_message(site, received.payload[::-1], received.envelope.server_round)

    serve(
        make_app(lambda config: Echo()),
        Endpoint(door.address, credentials(door.federation.folder, site), door.federation.folder / f"{site}.key", site),
        stop=stop,
        on_event=lambda event: None,
    )


def measure(count: int = 1000, number: int = 100_000, seconds: float = 600.0) -> list[Row]:
    """All rows."""
    return [*connections(count), *messages(number, seconds)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--connections", type=int, default=1000)
    options.add_argument("--messages", type=int, default=100_000)
    options.add_argument("--seconds", type=float, default=600.0)
    chosen = options.parse_args()
    rows = measure(chosen.connections, chosen.messages, chosen.seconds)
    json.dump([asdict(row) for row in rows], sys.stdout, indent=1)


if __name__ == "__main__":
    main()
