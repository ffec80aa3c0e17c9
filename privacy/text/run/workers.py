# SPDX-License-Identifier: Apache-2.0
"""Rows analyzed by processes of our own, so that a row which hangs, crashes or eats memory costs itself and no other.

Each worker says one outcome a row. One that is silent for longer than a row may take is killed, and the row is refused
as `time_limit`; one that dies costs the row it was at, as `analysis_failed`; a fresh worker takes over the rest. Order
is kept and only a few chunks a worker are in memory. (multiprocessing.Pool does none of this: it waits for ever.)
Workers are forked by a fork server, not by the caller, which may have threads.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Final, Literal

from privacy.base.errors import AnonymizationError
from privacy.base.identifiers import Digest
from privacy.text.find.checks import Outcome
from privacy.text.find.engines import Engine

CHUNK: Final = 16
"""Rows that a worker gets at once."""

ROW_MEMORY_BYTES: Final = 4 << 30
"""What one row's analysis may take on top of a loaded engine, where the system can bound it (Linux)."""

_AHEAD: Final = 4
_STARTUP_SECONDS: Final = 180
_GRACE_SECONDS: Final = 2
_STARTING = "starting"
"""What a worker is doing before it has said the fingerprint of its engine."""


@dataclass(frozen=True)
class Job:
    """What every worker does. `build` and `analyze` are picklable; `preload` is imported once, by the fork server."""

    build: Callable[[], Engine]
    analyze: Callable[[Engine, str, int], Outcome]
    fingerprint: Digest
    row_time_limit_seconds: int
    preload: str


@dataclass
class _Chunk:
    """Some rows and, as they come, their outcomes: row number `len(outcomes)` is the one being analyzed."""

    texts: list[str]
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def rest(self) -> list[str]:
        return self.texts[len(self.outcomes) :]


def analyze_all(job: Job, texts: Sequence[str], workers: int) -> Iterator[Outcome]:
    """An outcome for each text, in order. Raises AnonymizationError if a worker cannot start or has another engine."""
    waiting = deque(_Chunk(list(texts[at : at + CHUNK])) for at in range(0, len(texts), CHUNK))
    under_way: deque[_Chunk] = deque()
    crew = [_Worker(job) for _ in range(min(workers, len(waiting)))]
    try:
        while waiting or under_way:
            for worker in crew:
                if waiting and len(under_way) < _AHEAD * len(crew) and worker.idle:
                    under_way.append(waiting.popleft())
                    worker.give(under_way[-1])
            _advance(crew)
            while under_way and not under_way[0].rest:
                yield from under_way.popleft().outcomes
    finally:
        for worker in crew:
            worker.stop()


def _advance(crew: list[_Worker]) -> None:
    """Wait until a worker says something or should have, then hear each out."""
    busy = [worker for worker in crew if not worker.idle]
    if busy:
        first = min(worker.deadline for worker in busy)
        wait([worker.connection for worker in busy], timeout=max(first - time.monotonic(), 0))
    for worker in busy:
        worker.hear()


class _Worker:
    """One process, replaced by a fresh one when it dies or must be killed."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._chunk: _Chunk | None = None
        self._start()

    @property
    def idle(self) -> bool:
        """Ready for a chunk."""
        return self._chunk is None and not self._starting

    def give(self, chunk: _Chunk) -> None:
        """Hand over `chunk`; this worker must be idle."""
        self._chunk = chunk
        self._send()

    def hear(self) -> None:
        """Take what the process has said, or end it when its time is over."""
        try:
            while self.connection.poll():
                self._take(self.connection.recv())
                if self.idle:
                    return
        except (EOFError, OSError):
            self._lose("analysis_failed")
        else:
            if time.monotonic() > self.deadline:
                self._lose("time_limit")

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self.connection.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([self._job.preload])
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._job, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._starting = True
        self.deadline = time.monotonic() + _STARTUP_SECONDS

    def _send(self) -> None:
        if self._chunk is not None:
            self._wind()
            with suppress(OSError):  # a dead process shows when it is heard
                self.connection.send(self._chunk.rest)

    def _wind(self) -> None:
        self.deadline = time.monotonic() + self._job.row_time_limit_seconds + _GRACE_SECONDS

    def _take(self, said: Outcome | tuple[Literal["starting"], Digest]) -> None:
        if self._starting:
            if said != (_STARTING, self._job.fingerprint):
                raise AnonymizationError(
                    "a worker runs another engine than this process",
                    next_step="restart: an update may have run meanwhile",
                )
            self._starting = False
            self._send()
        elif self._chunk is not None:
            self._chunk.outcomes.append(said)  # type: ignore[arg-type]
            self._wind()
            if not self._chunk.rest:
                self._chunk = None

    def _lose(self, reason: Literal["analysis_failed", "time_limit"]) -> None:
        """Refuse the row at which the process stood, and let a fresh one go on."""
        if self._starting:
            raise AnonymizationError(
                "a worker could not start its engine; nothing was returned", next_step="try again with workers = 1"
            )
        self.stop()
        if self._chunk is not None:
            self._chunk.outcomes.append(reason)
            if not self._chunk.rest:
                self._chunk = None
        self._start()


def _serve(job: Job, connection: Connection) -> None:
    """The life of a worker. Whatever ends it ends it silently: a traceback might hold text."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller decides when to stop
    try:
        _answer(job, connection)
    except BaseException:
        os._exit(1)


def _answer(job: Job, connection: Connection) -> None:
    """Say the engine's fingerprint, then one outcome for each row of each chunk, until the caller is gone."""
    engine = job.build()
    _bound_memory()
    connection.send((_STARTING, engine.fingerprint))
    while True:
        for text in connection.recv():
            connection.send(job.analyze(engine, text, job.row_time_limit_seconds))


def _bound_memory() -> None:
    """Let a hungry row end by itself or with this process: bound our data, and be the first to go when memory ends."""
    try:
        import resource

        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        used = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmData"))
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = used + ROW_MEMORY_BYTES
        resource.setrlimit(
            resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    except (ImportError, OSError, ValueError, StopIteration):
        return  # not Linux: the time limit and the process boundary remain
