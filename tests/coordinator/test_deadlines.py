# SPDX-License-Identifier: Apache-2.0
"""A phase waits for what plan and declared sizes need, longer after a round in which a site did not finish, and never
for as long as somebody took."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coordinator.deadlines import MOST_SECONDS, Deadline, deadline, doublings, seconds_needed
from privacy.protocol.run import Run

MakeStage = Callable[..., Any]


def silent(*rounds: int, phase: str = "update") -> Run:
    """A run in which round 1 to 3 were planned, and some of them ended without an answer of somebody."""
    return Run(asked_in={"update": [1, 2, 3]}, silent={(phase, number) for number in rounds})


def test_it_doubles_with_each_round_in_a_row_that_a_site_did_not_finish() -> None:
    assert [doublings(silent(), "update", 4), doublings(silent(3), "update", 4)] == [0, 1]
    assert doublings(silent(1, 2, 3), "update", 4) == 3
    assert doublings(silent(1, 3), "update", 4) == 1  # all answered in round 2
    assert doublings(silent(1, 2, 3, phase="evaluate"), "update", 4) == 0
    assert doublings(silent(2), "update", 2) == 0  # what comes later is not known yet


def test_a_connected_site_is_waited_for_longer_than_one_that_is_not_there(make_stage: MakeStage) -> None:
    stage = make_stage()
    base = deadline(stage.recipe, silent(), "update", 4)
    needed = seconds_needed(stage.recipe.opened.outline, stage.recipe.contract.size, 300)
    assert base == Deadline(present=needed, absent=5.0)  # 5 seconds are set, and too few for any plan
    assert deadline(stage.recipe, silent(2, 3), "update", 4) == Deadline(4 * needed, 5.0)
    assert deadline(stage.recipe, silent(), "hello", 0) == Deadline(7200.0, 5.0)
    month = make_stage("two", rounds={"deadline_seconds": 600_000.0})
    assert deadline(month.recipe, silent(2, 3), "update", 4).present == MOST_SECONDS


def test_what_is_needed_grows_with_what_is_planned_and_declared(make_stage: MakeStage) -> None:
    outline = make_stage().recipe.opened.outline
    needed = seconds_needed(outline, 1000, 300)
    longer = outline.model_copy(update={"task": outline.task.model_copy(update={"max_tokens": 128})})
    busier = outline.model_copy(update={"num_steps": 10 * outline.num_steps})
    assert seconds_needed(longer, 1000, 300) - 60 == pytest.approx(2 * (needed - 60))
    assert seconds_needed(busier, 1000, 300) > needed
    assert seconds_needed(outline, 10**8, 300) > needed
    assert seconds_needed(outline, 1000, 600) > needed


def test_a_deadline_does_not_follow_how_long_anybody_took(make_stage: MakeStage) -> None:
    """It is made of settings, plan, roster and codes alone: two logs that differ in their times give one deadline."""
    quick, slow = make_stage("quick"), make_stage("slow")
    slow.time *= 2
    for stage in (quick, slow):
        stage.players["birch"].away = {("update", 1)}
        stage.run()
    told = [deadline(quick.recipe, Run.read(stage.entries()), "update", 2) for stage in (quick, slow)]
    assert told[0] == told[1]
    assert told[0].present == 2 * deadline(quick.recipe, Run(), "update", 1).present
