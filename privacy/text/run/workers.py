# SPDX-License-Identifier: Apache-2.0
"""Rows analyzed by a pool of processes, so that a row which hangs, crashes or eats memory costs itself and no other.

The pool is pebble's: one task a row, each with a time limit, and a fresh process for one that was killed or died. A row
whose process is silent for longer than a row may take is refused as `time_limit`, one whose process dies as
`analysis_failed`. Ours is what pebble leaves open: outcomes come in order with few rows in memory; a worker must have
our engine; a pool that breaks is replaced by a fresh one, which takes over the rest (pebble gives a whole pool up when
a process dies before its task was acknowledged); and a row's memory is bounded. Processes are forked by a fork server,
not by the caller, which may have threads.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pebble import ProcessFuture, ProcessPool

from privacy.base.errors import AnonymizationError
from privacy.base.identifiers import Digest
from privacy.text.find.checks import TextOutcome
from privacy.text.find.engines import Engine

ROW_MEMORY_BYTES: Final = 4 << 30
"""What one row's analysis may take on top of a loaded engine, where the system can bound it (Linux)."""

_AHEAD: Final = 32
"""Rows a worker that may be under way at once: what is held in memory while an earlier row is slow."""
_STARTUP_SECONDS: Final = 180
_GRACE_SECONDS: Final = 2
_LOOK_SECONDS: Final = 0.2
"""How often it is asked whether the pool still lives, while a row is waited for."""

Keep = Callable[[str, TextOutcome], None]
"""Called in the calling thread with a text and its outcome as soon as that is known; again if it was interrupted."""

_Answer = TextOutcome | Literal["no_engine", "other_engine"]


@dataclass(frozen=True)
class Job:
    """What every worker does. `build` and `analyze` are picklable; `preload` is imported once, by the fork server."""

    build: Callable[[], Engine]
    analyze: Callable[[Engine, str, int], TextOutcome]
    fingerprint: Digest
    row_time_limit_seconds: int
    preload: str


def analyze_all(job: Job, texts: Sequence[str], workers: int, keep: Keep) -> Generator[TextOutcome, None, None]:
    """An outcome for each text, in order. Raises AnonymizationError if a worker cannot start or has another engine.

    Whoever stops early loses nothing that was finished: `keep` hears of rows too that are ahead of the order.
    """
    with closing(_Crew(job, min(workers, len(texts)), keep)) as crew:
        yield from crew.analyze(texts)


class _Crew:
    """A pool and the rows that it works on, oldest first."""

    def __init__(self, job: Job, workers: int, keep: Keep) -> None:
        self._job = job
        self._workers = workers
        self._keep = keep
        self._limit = job.row_time_limit_seconds + _GRACE_SECONDS
        self._rows: deque[tuple[str, ProcessFuture[_Answer]]] = deque()
        self._start()

    def analyze(self, texts: Sequence[str]) -> Iterator[TextOutcome]:
        for text in texts:
            self._rows.append((text, self._schedule(text)))
            if len(self._rows) == _AHEAD * self._workers:
                yield self._oldest()
        while self._rows:
            yield self._oldest()

    def close(self) -> None:
        """End all processes, and keep what they had finished."""
        self._stop()
        for text, future in self._rows:
            if future.done() and future.exception() is None:
                with suppress(AnonymizationError):
                    self._keep(text, _outcome(future))

    def _oldest(self) -> TextOutcome:
        """What became of the oldest row, for which it is waited."""
        while True:
            text, future = self._rows[0]
            try:
                self._wait_for(future)
                outcome = _outcome(future)
            except BrokenProcessPool:
                self._replace()
                continue
            self._keep(text, outcome)
            self._rows.popleft()
            self._has_answered = True
            return outcome

    def _wait_for(self, future: ProcessFuture[_Answer]) -> None:
        """Until a row is done. Raises BrokenProcessPool when it never will be: pebble forgets what it had not begun."""
        end = time.monotonic() + _STARTUP_SECONDS + self._limit
        while not future.done():
            if not self._pool.active or time.monotonic() > end:
                raise BrokenProcessPool("this row was forgotten")
            with suppress(TimeoutError):
                future.exception(timeout=_LOOK_SECONDS)

    def _schedule(self, text: str) -> ProcessFuture[_Answer]:
        try:
            return self._pool.schedule(_answer, args=(text,), timeout=self._limit)
        except RuntimeError as error:  # the pool broke: the row tells when its turn comes
            future: ProcessFuture[_Answer] = ProcessFuture()
            future.set_exception(BrokenProcessPool(type(error).__name__))
            return future

    def _replace(self) -> None:
        """Let a fresh pool go on. Raises AnonymizationError if this one has answered nothing: nor would the next."""
        self._stop()
        if not self._has_answered:
            raise _could_not_start()
        self._start()
        for at, (text, future) in enumerate(self._rows):
            if not future.done() or isinstance(future.exception(), BrokenProcessPool):
                self._rows[at] = (text, self._schedule(text))

    def _start(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([self._job.preload])
        self._pool = ProcessPool(self._workers, initializer=_prepare, initargs=(self._job,), context=context)
        self._has_answered = False

    def _stop(self) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()


def _outcome(future: ProcessFuture[_Answer]) -> TextOutcome:
    """Of a future that is done. Raises BrokenProcessPool if the pool broke, AnonymizationError on a wrong engine."""
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        raise error
    if error is not None:
        return "time_limit" if isinstance(error, TimeoutError) else "analysis_failed"
    answer = future.result()
    if answer == "no_engine":
        raise _could_not_start()
    if answer == "other_engine":
        raise AnonymizationError(
            "a worker runs another engine than this process",
            next_step="restart: an update may have run meanwhile",
        )
    return answer  # type: ignore[return-value]  # what is neither is an outcome


def _could_not_start() -> AnonymizationError:
    return AnonymizationError(
        "a worker could not start its engine; nothing was returned", next_step="try again with workers = 1"
    )


# -- in a worker ------------------------------------------------------------------------------------------------------

_prepared: tuple[Job, Engine] | Literal["no_engine", "other_engine"] = "no_engine"


def _prepare(job: Job) -> None:
    """Load the engine. What goes wrong the first row tells: pebble would log it, and it may hold a site's terms."""
    global _prepared
    try:
        engine = job.build()
    except BaseException:
        return
    _bound_memory()
    _prepared = (job, engine) if engine.fingerprint == job.fingerprint else "other_engine"


def _answer(text: str) -> _Answer:
    if isinstance(_prepared, str):
        return _prepared
    job, engine = _prepared
    try:
        return job.analyze(engine, text, job.row_time_limit_seconds)
    except BaseException:  # a timer that came late: a message or a traceback might hold text
        return "analysis_failed"


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
