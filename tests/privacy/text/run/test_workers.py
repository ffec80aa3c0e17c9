# SPDX-License-Identifier: Apache-2.0
"""A row that hangs, crashes or eats memory costs itself and no other: in this process, in a thread, in workers."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool

import pytest
from pebble import ProcessFuture, ProcessPool

from privacy.base.errors import AnonymizationError
from privacy.text.find.checks import TextOutcome
from privacy.text.find.engines import Engine
from privacy.text.reading.records import Finding
from privacy.text.run import analysis, workers
from privacy.text.run.analysis import analyze
from privacy.text.run.time_limit import TimeLimitReached, time_limit
from privacy.text.settings import TextSettings

HOSTILE = """
import ctypes, os, re, signal, time
from privacy.text.reading.records import Finding

class Hostile:
    fingerprint = "0" * 64
    def analyze(self, text):
        if text == "python loop":
            while True: pass
        if text == "regex loop": re.search("(a+)+$", "a" * 60 + "b")
        if text == "swallowed":
            while True:
                try: time.sleep(60)
                except BaseException: pass
        if text == "deaf": signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM]); time.sleep(600)
        if text == "crash": ctypes.string_at(0)
        if text == "exit": os._exit(0)
        if text == "killed": os.kill(os.getpid(), signal.SIGKILL)
        if text == "memory": return [bytearray(64 << 30)]
        if text == "raise": raise ValueError(text)
        if text == "leave": raise SystemExit(3)
        return [Finding(0, 1, "PERSON", 1.0, str(len(text)))]

def build():
    return Hostile()

def build_other():
    engine = Hostile()
    engine.fingerprint = "1" * 64
    return engine

def build_nothing():
    raise RuntimeError("no engine")
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A module that worker processes can import too, since they get our `sys.path`."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile_engine.py").write_text(HOSTILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        import hostile_engine  # type: ignore[import-not-found]

        yield hostile_engine


def _job(build: object, limit: int = 1) -> workers.Job:
    return workers.Job(build, analyze, "0" * 64, limit, "privacy.text.find.engines.presidio")  # type: ignore[arg-type]


def nobody(text: str, outcome: TextOutcome) -> None:
    """Keeps nothing."""


def _expected(text: str) -> TextOutcome:
    return (Finding(0, 1, "PERSON", 1.0, str(len(text))),)


FATES = {
    "python loop": "time_limit",
    "regex loop": "time_limit",
    "swallowed": "time_limit",
    "deaf": "time_limit",
    "crash": "analysis_failed",
    "exit": "time_limit",  # a process that ends as if all were well is missed only when its time is over
    "killed": "analysis_failed",
    "memory": "analysis_failed",
    "raise": "analysis_failed",
    "leave": "analysis_failed",
}


TOO_LONG = [fate for fate, outcome in FATES.items() if outcome == "time_limit"]
DEADLY = [fate for fate, outcome in FATES.items() if outcome == "analysis_failed"]


@pytest.mark.parametrize(
    ("crew", "fates", "limit"),
    [(1, DEADLY, 60), (2, DEADLY, 60), (1, ["deaf"], 1), (3, TOO_LONG, 1)],
    ids=["one, deadly", "two, deadly", "one, deaf", "three, too long"],
)
def test_each_bad_row_costs_itself_and_the_order_is_kept(  # type: ignore[no-untyped-def]
    hostile, crew: int, fates: list[str], limit: int, capfd
) -> None:
    """Rows that die have a limit that no busy machine reaches: which of the two is seen first is luck."""
    texts = ["x" * i for i in range(1, 40)]
    for place, fate in enumerate(fates):
        texts.insert(3 * place, fate)
    texts += fates[:1]
    outcomes = list(workers.analyze_all(_job(hostile.build, limit), texts, crew, nobody))
    assert outcomes == [FATES.get(text) or _expected(text) for text in texts]
    shown = capfd.readouterr()
    assert not [word for word in (*FATES, "xxx") if word in shown.out + shown.err]


def test_a_consumer_that_stops_leaves_no_process(hostile) -> None:  # type: ignore[no-untyped-def]
    import multiprocessing

    outcomes = workers.analyze_all(_job(hostile.build), ["ab"] * 100, 2, nobody)
    assert next(outcomes) == _expected("ab")
    outcomes.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()


def test_a_consumer_that_stops_loses_nothing_that_was_finished(  # type: ignore[no-untyped-def]
    hostile, monkeypatch: pytest.MonkeyPatch, wait_for: Callable[[Callable[[], object]], None]
) -> None:
    texts = ["a", "bb", "ccc", *["python loop"] * 9]
    kept: dict[str, TextOutcome] = {}
    schedule, futures = ProcessPool.schedule, []

    def remembered(pool: ProcessPool, *arguments: object, **named: object) -> object:
        futures.append(schedule(pool, *arguments, **named))  # type: ignore[arg-type]
        return futures[-1]

    def interrupt_once(text: str, outcome: TextOutcome) -> None:
        first = not kept
        kept[text] = outcome
        if first:
            wait_for(lambda: all(future.done() for future in futures[:3]))
            raise KeyboardInterrupt

    monkeypatch.setattr(ProcessPool, "schedule", remembered)
    with pytest.raises(KeyboardInterrupt):
        list(workers.analyze_all(_job(hostile.build), texts, 1, interrupt_once))
    assert kept.items() >= {text: _expected(text) for text in ("a", "bb", "ccc")}.items()


def test_a_pool_that_breaks_is_replaced_and_costs_no_row(hostile, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    schedule, given = ProcessPool.schedule, []

    def broken() -> None:
        raise BrokenProcessPool("as pebble does when all workers expired")

    def break_once(pool: ProcessPool, *arguments: object, **named: object) -> object:
        given.append(pool)
        if len(given) != 20:
            return schedule(pool, *arguments, **named)  # type: ignore[arg-type]
        pool._pool_manager.update_status = broken
        return ProcessFuture()  # and forgets a row that it had not begun, as pebble does

    monkeypatch.setattr(workers, "_AHEAD", 8)
    monkeypatch.setattr(ProcessPool, "schedule", break_once)
    texts = ["x" * i for i in range(1, 40)]
    assert list(workers.analyze_all(_job(hostile.build), texts, 1, nobody)) == [_expected(text) for text in texts]
    assert len(set(map(id, given))) == 2


@pytest.mark.parametrize("build", ["build_other", "build_nothing"])
def test_a_worker_without_our_engine_ends_the_run(hostile, build: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(AnonymizationError, match="worker"):
        list(workers.analyze_all(_job(getattr(hostile, build)), ["ab"], 1, nobody))


@pytest.mark.parametrize("fate", ["python loop", "regex loop", "raise", "leave", "memory"])
def test_in_the_calling_process_too_a_bad_row_costs_itself(hostile, fate: str) -> None:  # type: ignore[no-untyped-def]
    engine = hostile.build()
    outcomes = [analyze(engine, text, 1) for text in ("ab", fate, "ab")]  # where nothing ends it, a loop never returns
    assert outcomes == [_expected("ab"), FATES[fate], _expected("ab")]


def test_a_library_that_swallows_everything_is_caught_by_the_clock() -> None:
    class Swallowing:
        fingerprint = "0" * 64

        def analyze(self, text: str) -> list[Finding]:
            try:
                time.sleep(5)
            except BaseException:
                return []
            return []

    assert analyze(Swallowing(), "ab", 1) == "time_limit"


def test_outside_the_main_thread_a_row_that_hangs_is_ended_with_its_process(engine: Engine) -> None:
    found: list[TextOutcome] = []
    settings = TextSettings()

    def work() -> None:
        found.extend(analysis.analyze_all(engine, ["Dr. Quenby Zorblatt came", "nobody"], settings, nobody))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [analyze(engine, "Dr. Quenby Zorblatt came", 20), ()]
    assert found[0]


def test_a_timer_that_was_running_runs_on() -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    timer = signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(TimeLimitReached), time_limit(0.05):
            re.search("(a+)+$", "a" * 60 + "b")
        time.sleep(0.3)
        assert rung == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *timer)


def test_a_limit_that_is_not_reached_changes_nothing() -> None:
    timer = signal.getitimer(signal.ITIMER_REAL)
    with time_limit(30):
        pass
    assert signal.getitimer(signal.ITIMER_REAL)[0] == pytest.approx(timer[0], abs=1)
