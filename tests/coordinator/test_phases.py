# SPDX-License-Identifier: Apache-2.0
"""The next action is a function of the log alone: it changes nothing, and other runs in the same log do not matter."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from coordinator.phases import CloseRun, Finished, Greet, OpenRun, next_action
from coordinator.planning import evaluation_plan, round_plan
from privacy.base.canonical import digest_of
from privacy.protocol.run import Run

MakeStage = Callable[..., Any]


def action(run: Run, min_sites: int = 2) -> Any:
    return next_action(run, min_sites=min_sites)


def test_an_empty_log_is_opened_and_a_closed_one_is_left_alone(make_stage: MakeStage) -> None:
    stage = make_stage()
    assert action(Run()) == OpenRun()
    stage.run()
    assert action(Run.read(stage.entries())) == Finished()


def test_asking_for_the_next_action_changes_nothing(make_stage: MakeStage) -> None:
    stage = make_stage()
    stage.run()
    entries = stage.entries()
    for cut in range(len(entries) + 1):
        run = Run.read(entries[:cut])
        before = copy.deepcopy(run)
        action(run)
        assert run == before


def test_a_run_read_at_once_is_the_one_taken_entry_by_entry(make_stage: MakeStage) -> None:
    stage = make_stage()
    stage.players["birch"].refuse = {("update", 1): "budget_exceeded"}
    stage.run()
    taken = Run()
    for entry in stage.entries():
        taken.take(entry)
    assert taken == Run.read(stage.entries())
    assert taken.gone == {"birch"}
    assert taken.trainers() == ("alder", "cedar")


def test_two_runs_share_a_log_and_no_run(make_stage: MakeStage) -> None:
    stage = make_stage()
    first = stage.run()
    settings = stage.settings.model_copy(update={"run": stage.settings.run.model_copy(update={"run_id": "autumn"})})
    for player in stage.players.values():  # what a player spent belongs to a run
        player.events.clear()
    stage.use(settings=settings)
    second = stage.run()
    runs = {entry.run_id for entry in stage.entries()}
    assert runs == {"spring", "autumn"}
    assert first.rounds_aggregated == second.rounds_aggregated == 2


@pytest.mark.parametrize("missing", [(), ("alder",), ("alder", "birch", "cedar")])
def test_whoever_is_not_there_is_greeted_and_nobody_else(make_stage: MakeStage, missing: tuple[str, ...]) -> None:
    stage = make_stage()
    stage.run()
    entries = [
        entry
        for entry in stage.entries()
        if entry.body.kind == "run_opened" or (entry.body.kind == "site_ready" and entry.body.site not in missing)
    ]
    asked = action(Run.read(entries), min_sites=3)
    assert asked == Greet(0, missing) if missing else not isinstance(asked, Greet)


def test_a_run_stops_as_soon_as_too_few_sites_can_ever_train_again(make_stage: MakeStage) -> None:
    stage = make_stage(training={"rounds": 3})
    stage.players["birch"].refuse = {("update", 1): "policy"}
    stage.run()
    entries = [entry for entry in stage.entries() if entry.server_round <= 1]
    run = Run.read(entries)
    assert action(run, min_sites=3) == CloseRun(rounds_aggregated=1, outcome="stopped")
    assert not isinstance(action(run, min_sites=2), CloseRun)


def test_a_plan_made_again_from_the_same_log_is_the_same_plan(make_stage: MakeStage) -> None:
    stage = make_stage()
    stage.run()
    entries = stage.entries()
    for cut, entry in enumerate(entries):
        run = Run.read(entries[:cut])
        if entry.body.kind == "round_planned":
            again = round_plan(stage.recipe, run, entry.server_round, run.trainers())
        elif entry.body.kind == "evaluation_planned":
            again = evaluation_plan(stage.recipe, run, entry.server_round, sorted(run.ready))
        else:
            continue
        assert again == entry.body.plan
        assert entry.body.request_digest() == digest_of(again)


def test_every_round_has_a_public_seed_of_its_own(make_stage: MakeStage) -> None:
    stage = make_stage(training={"rounds": 3})
    stage.run()
    kinds = ("round_planned", "evaluation_planned")
    seeds = [entry.body.plan.public_seed for entry in stage.entries() if entry.body.kind in kinds]
    assert len(set(seeds)) == len(seeds) == 7
    assert stage.recipe.opened.public_seed not in seeds


@pytest.mark.parametrize(("every", "rounds", "evaluated"), [(1, 3, [0, 1, 2, 3]), (2, 5, [0, 2, 4, 5]), (9, 3, [0, 3])])
def test_the_first_each_kth_and_the_last_model_are_evaluated(
    make_stage: MakeStage, every: int, rounds: int, evaluated: list[int]
) -> None:
    stage = make_stage(training={"rounds": rounds}, rounds={"evaluate_every": every})
    assert stage.settings.evaluations == stage.recipe.opened.outline.evaluations == len(evaluated)
    stage.run()
    kinds = [entry.server_round for entry in stage.entries() if entry.body.kind == "round_evaluated"]
    assert kinds == evaluated


@pytest.mark.parametrize("reason", ["budget_exceeded", "policy"])
def test_a_site_that_says_no_to_training_is_not_asked_to_count_either(make_stage: MakeStage, reason: str) -> None:
    stage = make_stage()
    stage.players["birch"].refuse = {("update", 1): reason}
    stage.run()
    asked = {body.plan.server_round: body.plan.sites for body in stage.bodies("evaluation_planned")}
    assert asked == {0: ("alder", "birch", "cedar"), 1: ("alder", "cedar"), 2: ("alder", "cedar")}


@pytest.mark.parametrize("reason", ["budget_exceeded", "declined", "policy"])
def test_a_site_that_says_no_to_the_whole_run_is_asked_nothing_more(make_stage: MakeStage, reason: str) -> None:
    stage = make_stage()
    stage.players["birch"].refuse = {("hello", 0): reason}
    stage.run()
    assert stage.players["birch"].asked == [("hello", 0)]
    assert stage.refusals() == [("birch", "hello", 0, "site", reason)]
