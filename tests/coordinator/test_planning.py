# SPDX-License-Identifier: Apache-2.0
"""Plans are a function of recipe and log: each round has streams of its own, and only those who train are weighed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coordinator.planning import evaluation_plan, members, round_plan
from privacy.base.errors import Unreachable
from privacy.protocol.entries import RunOpened
from privacy.protocol.run import Run

MakeStage = Callable[..., Any]


def _opened(stage: Any) -> Run:
    opened: RunOpened = stage.recipe.opened
    return Run(opened=opened, model_digest=opened.initial_model_digest)


def test_every_round_and_every_purpose_has_public_randomness_of_its_own(make_stage: MakeStage) -> None:
    stage = make_stage(evaluator=True)
    run = _opened(stage)
    sites = tuple(stage.players)
    seeds = [round_plan(stage.recipe, run, number, sites).public_seed for number in (1, 2)]
    seeds += [evaluation_plan(stage.recipe, run, number, sites).public_seed for number in (0, 1, 2)]
    assert len({*seeds, stage.recipe.opened.public_seed}) == 6


def test_an_evaluator_is_counted_with_and_never_weighed(make_stage: MakeStage) -> None:
    stage = make_stage(evaluator=True)
    sites, run = tuple(stage.players), _opened(stage)
    assert set(members(stage.recipe, sites)) == {"alder", "birch", "cedar"}
    assert set(round_plan(stage.recipe, run, 1, sites).cohort) == {"alder", "birch", "cedar"}
    assert evaluation_plan(stage.recipe, run, 1, sites).sites == sites


def test_the_same_log_gives_the_same_plan(make_stage: MakeStage) -> None:
    stage = make_stage()
    plans = [round_plan(stage.recipe, _opened(stage), 1, ("alder", "birch")) for _ in range(2)]
    assert plans[0] == plans[1]
    assert {site: member.size_bucket for site, member in plans[0].cohort.items()} == {"alder": 100, "birch": 200}


def test_a_round_that_was_aborted_is_not_evaluated_for_its_model_is_the_one_before(make_stage: MakeStage) -> None:
    """Counts of the same model again would cost every site epsilon and tell nothing."""
    stage = make_stage()
    for site in ("alder", "birch", "cedar"):
        stage.players[site].away = {("update", 1)}
    with pytest.raises(Unreachable):
        stage.run()
    for player in stage.players.values():
        player.away = set()
    assert stage.run().rounds_aggregated == 1
    assert [entry.server_round for entry in stage.entries() if entry.body.kind == "evaluation_planned"] == [0, 2]


def test_an_evaluator_never_counts_as_one_who_trains(make_stage: MakeStage) -> None:
    """Else a round could be opened with fewer trainers than rounds.min_sites asks for."""
    stage = make_stage(evaluator=True)
    stage.run()
    run = Run.read(stage.entries())
    assert set(run.ready) == {"alder", "birch", "cedar", "public"}
    assert run.trainers() == ("alder", "birch", "cedar")
