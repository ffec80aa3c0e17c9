# SPDX-License-Identifier: Apache-2.0
"""Crowds before the door, and a site that holds all the lines it can: nobody else waits for them, and all end."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from flwr.proto.fleet_pb2 import ActivateNodeRequest, PullMessagesRequest
from flwr.proto.node_pb2 import Node

from coordinator.wire import door

pytestmark = pytest.mark.slow


def resident(pid: int) -> int:
    (line,) = [one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


def hello(context: ssl.SSLContext) -> bytes:
    """The first bytes of a handshake."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(into, out, server_hostname="localhost").do_handshake()
    return out.read()


class Calls:
    """An honest site's calls: on the line that it keeps, and on a new one."""

    def __init__(self, loopback: Any) -> None:
        self.loopback, self.kept = loopback, loopback.fleet("hospital_b")
        key = self.kept._interceptors[0]._public_key_bytes
        activated = self.kept.ActivateNode(ActivateNodeRequest(public_key=key, heartbeat_interval=30))
        self.node = Node(node_id=activated.node_id)

    def work(self) -> None:
        for client in (self.kept, self.loopback.fleet("hospital_b")):
            client.PullMessages(PullMessagesRequest(node=self.node))


def is_open(line: socket.socket) -> bool:
    line.settimeout(0)
    try:
        while line.recv(1 << 16):  # what the door said of a handshake
            pass
        return False
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


def test_strangers_displace_each_other_and_end_and_no_honest_call_fails(loopback: Any) -> None:
    honest, (host, port) = Calls(loopback), loopback.address.split(":")
    pid = loopback.superlink.process.pid
    before, begin = resident(pid), hello(ssl.create_default_context(cafile=str(loopback.pki / "ca.crt")))
    crowd, most = [], 0
    for number in range(600):
        line = socket.create_connection((host, int(port)), timeout=10)
        if number % 2:
            line.sendall(begin)
        crowd.append(line)
        if number % 60 == 0:
            honest.work()
            most = max(most, resident(pid) - before)
    honest.work()
    assert most < 64 << 20
    time.sleep(max(door.FIRST_BYTE_SECONDS, door.HANDSHAKE_SECONDS) + 2)
    honest.work()
    assert [is_open(line) for line in crowd] == [False] * len(crowd)


def test_a_site_with_more_lines_than_it_may_have_loses_its_own(loopback: Any) -> None:
    honest, (host, port) = Calls(loopback), loopback.address.split(":")
    context, lines = loopback.tls("hospital_a"), []
    for _ in range(3 * door.OF_A_SITE):
        plain = socket.create_connection((host, int(port)), timeout=10)
        lines.append(context.wrap_socket(plain, server_hostname="localhost"))
        lines[-1].sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        with contextlib.suppress(OSError):
            lines[-1].recv(200)
    honest.work()
    standing = [is_open(line) for line in lines]
    assert sum(standing) <= door.OF_A_SITE
    assert all(standing[-door.OF_A_SITE // 2 :])


def test_a_request_that_trickles_is_given_up(loopback: Any) -> None:
    host, port = loopback.address.split(":")
    plain = socket.create_connection((host, int(port)), timeout=30)
    line = loopback.tls("hospital_a").wrap_socket(plain, server_hostname="localhost")
    start = time.monotonic()
    with contextlib.suppress(OSError):
        while time.monotonic() - start < 3 * door.HEADER_SECONDS:
            line.sendall(b"G")
            time.sleep(0.5)
    assert door.HEADER_SECONDS - 1 < time.monotonic() - start < 2 * door.HEADER_SECONDS
