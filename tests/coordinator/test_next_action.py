# SPDX-License-Identifier: Apache-2.0
"""What comes next is known without reading the run again: a step is as much work in round 2 as in round 300."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from coordinator.phases import CloseRun, next_action
from privacy.protocol.entries import RoundPlanned
from privacy.protocol.run import Run
from simulations.benchmarks.next_action import MIN_SITES, entries


def calls(work: Callable[[], Any]) -> int:
    """How many Python functions `work` calls: its work, whatever the machine."""
    count = 0

    def called(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    gc.disable()  # a collection calls whoever listens to it, and comes when it comes
    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(before)
        gc.enable()
    return count


def work_by_round(rounds: int) -> dict[int, list[int]]:
    """Calls of each step, by round: one entry taken, and what comes next."""
    run, work = Run(), {number: [] for number in range(rounds + 1)}  # type: dict[int, list[int]]
    for entry in entries(rounds):
        taken = calls(lambda entry=entry: run.take(entry))  # type: ignore[misc]
        work[entry.server_round].append(taken + calls(lambda: next_action(run, min_sites=MIN_SITES)))
    return work


def test_a_step_is_as_much_work_in_any_later_round_as_in_the_second() -> None:
    """The last one closes the run, which is less."""
    work = work_by_round(300)
    assert [number for number in range(2, 300) if work[number] != work[2]] == []


def test_each_entry_is_folded_once_and_asking_what_comes_next_folds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    folded = []
    take = Run.take
    monkeypatch.setattr(Run, "take", lambda run, entry: folded.append(entry) or take(run, entry))  # type: ignore[func-returns-value]
    run, log = Run(), list(entries(5))
    for entry in log:
        run.take(entry)
        next_action(run, min_sites=MIN_SITES)
    assert folded == log
    assert next_action(run, min_sites=MIN_SITES) == CloseRun(rounds_aggregated=5)


def test_the_entries_that_are_measured_are_those_that_the_actions_ask_for() -> None:
    """Else something else would be measured than what a coordinator does."""
    run = Run()
    for entry in entries(3):
        if run.opened is not None:
            action = next_action(run, min_sites=MIN_SITES)
            assert getattr(action, "server_round", None) == entry.server_round
            if isinstance(entry.body, RoundPlanned):
                assert action.sites == tuple(entry.body.plan.cohort)  # type: ignore[union-attr]
        run.take(entry)
