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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from simulations.benchmarks.small_federation import SmallFederation, credentials

MIB = 1 << 20
HONEST = ("hospital_a", "hospital_b")
EVIL = "hospital_x"
LIMIT = 8 * MIB
Row = dict[str, Any]


def resident_mib(pid: int) -> float:
    """What a process has in memory now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise OSError("no VmRSS in /proc")


class Site:
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


@contextlib.contextmanager
def door(folder: Path) -> Iterator[tuple[SmallFederation, Any, dict[str, int], str]]:
    """The real SuperLink with three admitted sites."""
    from coordinator.wire.superlink import flower_grid

    federation = SmallFederation(folder, (*HONEST, EVIL))
    with flower_grid(
        folder / "superlink",
        host="127.0.0.1",
        port=0,
        pki=federation.pki,
        door=federation.door,
        node_keys=federation.lines,
        max_payload_bytes=LIMIT,
    ) as (grid, nodes):
        yield federation, grid, nodes, f"127.0.0.1:{grid.superlink.port}"


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


def connections(count: int = 1000) -> list[Row]:
    """(a): `count` hostile connections of each kind; what the honest calls and the SuperLink's memory say."""
    with tempfile.TemporaryDirectory() as temporary, door(Path(temporary)) as (federation, grid, _, address):
        host, port = address.split(":")
        context = ssl.create_default_context(cafile=str(federation.pki / "ca.crt"))
        kept = [Site(federation, address, site, 0) for site in HONEST]
        for site in kept:
            site.come()
        pid = grid.superlink.process.pid
        before, peak = resident_mib(pid), 0.0
        calls = failed = 0
        held: list[socket.socket] = []
        for kind in KINDS:
            for number in range(count):
                with contextlib.suppress(OSError):
                    held.append(kind((host, int(port)), context))
                if number % 20 == 0:
                    new = Site(federation, address, HONEST[0], 0)
                    new.node = kept[0].node
                    for site in (*kept, new):
                        calls += 1
                        try:
                            site.pull()
                        except Exception:  # whatever it was, an honest call failed
                            failed += 1
                    new.calls.close()
                    peak = max(peak, resident_mib(pid))
            for made in held:
                made.close()
            held.clear()
        note = f"{count} connections of each of {len(KINDS)} kinds, {calls} honest calls, a third on new lines"
    return [
        {"name": "honest_calls_failed", "value": failed, "unit": "calls", "reach": 0, "note": note},
        {
            "name": "coordinator_growth_mib",
            "value": round(max(0.0, peak - before), 1),
            "unit": "MiB",
            "reach": 64,
            "note": "the SuperLink's process, the most that was seen",
        },
    ]


def _lies(asked: Any, honest_nodes: list[int]) -> Iterator[Any]:
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
        made = Message(content=RecordDict({"parcel": ConfigRecord(head)}), reply_to=asked)
        made.metadata.__dict__.update(changes[number % len(changes)])
        yield made


def _kept(database: Path, honest: int) -> int:
    """Bytes of all objects in Flower's store."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
        (table,) = [
            name
            for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if {"object_id", "content", "is_available"}
            <= {row[1] for row in store.execute(f"PRAGMA table_info({name})")}
        ]
        (total,) = store.execute(f"SELECT COALESCE(SUM(LENGTH(content)), 0) FROM {table}").fetchone()
    return max(0, int(total) - honest)


def messages(count: int = 100_000, seconds: float = 600.0) -> list[Row]:
    """(b): up to `count` hostile messages in at most `seconds`, while two honest sites answer rounds."""
    from flwr.common.serde import message_from_proto

    from coordinator.wire.message_exchange import MessageExchange
    from coordinator.wire.slots import Slots
    from simulations.benchmarks.rounds import message as signed_message

    with tempfile.TemporaryDirectory() as temporary, door(Path(temporary)) as (federation, grid, nodes, address):
        run_id = grid.run.run_id
        evil = Site(federation, address, EVIL, run_id)
        evil.come()
        message_exchange = MessageExchange(grid, nodes)
        stop, sent, mutex = threading.Event(), [0], threading.Lock()
        honest = [threading.Thread(target=_work, args=(federation, address, site, run_id, stop)) for site in HONEST]
        for thread in honest:
            thread.start()
        message_exchange.wait_online(3, 30)
        first = grid.create_message(_content(signed_message, b"model"), "train", nodes[EVIL], "0", seconds + 300)
        grid.push_messages([first])
        asked = message_from_proto(evil.pull().messages_list[0])

        def lie(line: int) -> None:
            site = Site(federation, address, EVIL, run_id)
            site.node = evil.node
            for reply in itertools.islice(_lies(asked, [nodes[each] for each in HONEST]), line, None):
                if stop.is_set():
                    return
                with contextlib.suppress(Exception):  # refused, as it should be
                    site.push(reply)
                with mutex:
                    sent[0] += 1
                    if sent[0] >= count:
                        return

        liars = [threading.Thread(target=lie, args=(line,)) for line in range(8)]
        start = time.monotonic()
        for thread in liars:
            thread.start()
        refused = lost = rounds = 0
        while (any(thread.is_alive() for thread in liars) and time.monotonic() - start < seconds) or rounds < 3:
            rounds += 1
            payload = b"model of round %d" % rounds * 1000
            signed_messages = {site: signed_message("coordinator", payload, rounds) for site in HONEST}
            got = dict(
                message_exchange.send_and_receive(
                    signed_messages, phase="update", server_round=rounds, deadline_seconds=60, max_payload_bytes=LIMIT
                )
            )
            refused += sum(reply == "malformed" for reply in got.values())
            lost += any(isinstance(reply, str) for reply in got.values())
        took = time.monotonic() - start
        stop.set()
        for thread in (*liars, *honest):
            thread.join(30)
        left = _kept(Path(temporary) / "superlink" / "state.sqlite", 0)
        quota = Slots(LIMIT).quota("train")
    note = f"{sent[0]} messages in {took:.0f} s, {rounds} rounds meanwhile"
    return [
        {"name": "honest_sites_refused", "value": refused, "unit": "replies", "reach": 0, "note": note},
        {"name": "hostile_site_rounds_lost", "value": lost, "unit": "rounds", "reach": 0, "note": note},
        {
            "name": "hostile_site_bytes_over_quota",
            "value": max(0, left - quota),
            "unit": "bytes",
            "reach": 0,
            "note": f"{left} bytes in Flower's store at the end, of all sites; the quota is {quota}",
        },
    ]


def _content(signed_message: Any, payload: bytes) -> Any:
    from privacy.protocol.flower import to_content

    return to_content(signed_message("coordinator", payload, 1))


def _work(federation: SmallFederation, address: str, site: str, run_id: int, stop: threading.Event) -> None:
    """An honest site: the real transport and app, answering at once."""
    from client.wire.app import make_app
    from client.wire.transport import serve
    from simulations.benchmarks.rounds import message as signed_message

    class Echo:
        def answer(self, received: Any) -> Any:
            return signed_message(site, received.payload[::-1], received.envelope.server_round)

    serve(
        make_app(lambda config: Echo()),
        address=address,
        credentials=credentials(federation.folder, site),
        node_key=federation.folder / f"{site}.key",
        site=site,
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
    json.dump(measure(chosen.connections, chosen.messages, chosen.seconds), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
