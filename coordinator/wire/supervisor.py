# SPDX-License-Identifier: Apache-2.0
"""Keeps one process of ours running: started with sockets that we hold, started again when it dies, ended with us.

The child learns its settings from one line on standard input, never from its command line or environment, which others
on the machine may read; the end of that input is the end of its parent, however that came.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from coordinator.wire.bounded_log import BoundedLog
from privacy.base.errors import SettingsError, Unreachable

PAUSE_SECONDS: Final = 0.5
HEALTHY_SECONDS: Final = 10.0
MAX_FAILURES: Final = 5
"""So many deaths in a row, each within HEALTHY_SECONDS of its start, and it is not started again."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound, listening socket that a child may inherit. Raises SettingsError when the address is not to be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(128)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on port {port}: {error.strerror}",
            next_step="end the other program on that port, or change host or port in federation.toml",
        ) from None
    return bound


class Supervised:
    """`command`, kept running until `close`. Its output is appended to `log` (0600), bounded."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        first_line: bytes,
        sockets: Sequence[socket.socket],
        environment: Mapping[str, str],
        log: Path,
    ) -> None:
        self._command = list(command)
        self._first_line = first_line
        self._sockets = list(sockets)
        self._environment = dict(environment)
        self._log = log
        self._output = BoundedLog(log)
        self._closing = threading.Event()
        self._process = self._spawn()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """False after `close`, and after too many deaths in a row."""
        return self._thread.is_alive()

    def check(self) -> None:
        """Raises Unreachable when the process was given up."""
        if not self.running:
            raise Unreachable("the SuperLink does not stay alive", next_step=f"read {self._log.name}, then run again")

    def close(self, seconds: float = 5.0) -> None:
        """End the process: by the end of its input, and after `seconds` by force. May be called twice."""
        self._closing.set()
        while self._thread.is_alive():  # it may have started one more just now
            process = self._process
            with contextlib.suppress(BrokenPipeError):
                if process.stdin is not None:
                    process.stdin.close()
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._thread.join(0.1)
        for held in self._sockets:
            held.close()

    def _spawn(self) -> subprocess.Popen[bytes]:
        output = self._output.pipe()
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=self._environment,
                pass_fds=[held.fileno() for held in self._sockets],
                start_new_session=True,  # Ctrl-C is for the coordinator, which then ends its child
            )
        finally:
            os.close(output)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # died at once: _watch sees to it
            process.stdin.write(self._first_line + b"\n")
            process.stdin.flush()
        return process

    def _watch(self) -> None:
        failures = 0
        while True:
            started = time.monotonic()
            self._process.wait()
            if self._closing.is_set():
                return
            failures = 0 if time.monotonic() - started > HEALTHY_SECONDS else failures + 1
            if failures >= MAX_FAILURES or self._closing.wait(PAUSE_SECONDS):
                return
            self._process = self._spawn()
