# SPDX-License-Identifier: Apache-2.0
"""The SuperLink's process comes back on the same socket when it is killed, and ends when its parent does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from coordinator.wire import supervisor
from coordinator.wire.supervisor import Supervised, listening_socket
from privacy.base.errors import SettingsError, Unreachable

SERVER = """
import os, socket, sys, threading
line = sys.stdin.buffer.readline().strip()
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
sock = socket.socket(fileno=int(sys.argv[1]))
while True:
    peer, _ = sock.accept()
    peer.sendall(line + b" %d" % os.getpid())
    peer.close()
"""


def ask(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=120) as peer:
        return peer.makefile().read()


WaitFor = Callable[[Callable[[], object]], None]


def start(tmp_path: Path, code: str, sockets: list[socket.socket]) -> Supervised:
    command = [sys.executable, "-c", code, *(str(held.fileno()) for held in sockets)]
    return Supervised(
        command, first_line=b"secret", sockets=sockets, environment=dict(os.environ), log=tmp_path / "superlink.log"
    )


def is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] in "ZX"
    except FileNotFoundError:
        return True


def test_a_killed_process_is_started_again_on_the_same_socket(tmp_path: Path, wait_for: WaitFor) -> None:
    held = listening_socket("127.0.0.1", 0)
    port = held.getsockname()[1]
    child = start(tmp_path, SERVER, [held])
    first = child.pid
    assert ask(port) == f"secret {first}"
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: is_dead(first))  # a call that the dying process still took is cut off with it
    # whoever calls in between is kept waiting, not refused
    answer = ask(port)
    assert answer != f"secret {first}"
    wait_for(lambda: answer == f"secret {child.pid}")  # the new process may answer before its starter has noted its pid
    child.check()
    child.close()
    assert not child.running
    with pytest.raises(ConnectionRefusedError):
        ask(port)
    assert (tmp_path / "superlink.log").stat().st_mode & 0o777 == 0o600


def test_a_process_that_dies_again_and_again_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_for: WaitFor
) -> None:
    monkeypatch.setattr(supervisor, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(supervisor, "MAX_FAILURES", 2)
    child = start(tmp_path, "print('no database'); raise SystemExit(3)", [])
    wait_for(lambda: not child.running)
    with pytest.raises(Unreachable, match="does not stay alive"):
        child.check()
    child.close()
    assert (tmp_path / "superlink.log").read_text() == "no database\n" * 2


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path, wait_for: WaitFor) -> None:
    code = f"""
import os, sys, time
from pathlib import Path
from coordinator.wire.supervisor import Supervised, listening_socket
held = listening_socket("127.0.0.1", 0)
child = Supervised([sys.executable, "-c", {SERVER!r}, str(held.fileno())], first_line=b"x", sockets=[held],
                   environment=dict(os.environ), log=Path({str(tmp_path / "log")!r}))
print(child.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        parent.kill()

    def gone() -> bool:
        status = Path(f"/proc/{pid}/status")
        return not status.exists() or "State:\tZ" in status.read_text()

    wait_for(gone)


def test_a_port_that_is_taken_is_a_settings_error() -> None:
    held = listening_socket("127.0.0.1", 0)
    with pytest.raises(SettingsError, match="cannot listen"):
        listening_socket("127.0.0.1", held.getsockname()[1])
    held.close()
