# SPDX-License-Identifier: Apache-2.0
"""A run of rounds over real keys, proofs and payloads is told once, whoever dies on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator.blobs import BlobStore
from coordinator.journal import Journal
from coordinator.phases import (
    AbortRound,
    Action,
    Aggregate,
    CloseRun,
    Collect,
    Greet,
    OpenRun,
    PlanEvaluation,
    PlanRound,
    Score,
    next_action,
)
from privacy.audit.recomputation import replay
from privacy.audit.verification import verify
from privacy.base.errors import SettingsError, StorageFailed, Unreachable
from privacy.protocol.entries import AuditEntry
from privacy.protocol.run import Run

MakeStage = Callable[..., Any]

FOLLOWS = {
    "run_opened": OpenRun,
    "site_ready": Greet,
    "round_planned": PlanRound,
    "update_received": Collect,
    "round_aggregated": Aggregate,
    "round_aborted": AbortRound,
    "evaluation_planned": PlanEvaluation,
    "metrics_received": Collect,
    "round_evaluated": Score,
    "run_closed": CloseRun,
}
ASKING = {"hello": Greet, "update": Collect, "evaluate": Collect}
PHASES = {"update_received": "update", "metrics_received": "evaluate"}


class Killed(BaseException):
    """The process is gone: nothing may catch it."""


def sound(folder: Path) -> None:
    """The auditor finds nothing, and every model follows from the stored payloads."""
    found = verify(folder, expected_key=None)
    assert found.exit_code == 0, found.findings
    assert replay(folder).exit_code == 0


def figures(stage: Any) -> list[tuple[str, int, dict[str, object]]]:
    """What the log says of sums, models and scores, which no interruption may change."""
    kinds = ("round_aggregated", "round_evaluated", "run_closed")
    return [(e.body.kind, e.server_round, e.body.model_dump()) for e in stage.entries() if e.body.kind in kinds]


def test_a_run_ends_with_a_log_that_the_auditor_finds_sound(make_stage: MakeStage) -> None:
    stage = make_stage(evaluator=True)
    closed = stage.run()
    assert (closed.outcome, closed.rounds_aggregated) == ("done", 2)
    assert stage.refusals() == []
    sound(stage.folder)
    assert [len(p.trained) for p in stage.players.values()] == [2, 2, 2, 0]


def test_after_every_prefix_of_the_log_the_next_action_is_the_one_that_was_taken(make_stage: MakeStage) -> None:
    stage = make_stage(evaluator=True)
    stage.players["birch"].away = {("update", 1), ("evaluate", 2)}
    stage.players["cedar"].refuse = {("update", 2): "budget_exceeded"}
    stage.run()
    entries = stage.entries()
    for cut, taken in enumerate(entries):
        action = next_action(Run.read(entries[:cut]), min_sites=2)
        expected = ASKING[taken.body.phase] if taken.body.kind == "reply_refused" else FOLLOWS[taken.body.kind]
        assert type(action) is expected, taken.body.kind
        if isinstance(action, Collect):
            assert taken.body.site == action.missing[0]
            assert action.phase == PHASES.get(taken.body.kind, getattr(taken.body, "phase", None))
        if isinstance(action, Greet):
            assert taken.body.site == action.sites[0]
        again: Action = next_action(Run.read(entries[:cut]), min_sites=2)
        assert again == action


@pytest.mark.parametrize(
    ("sites", "rounds"),
    [(2, 1), pytest.param(3, 2, marks=pytest.mark.slow), pytest.param(3, 3, marks=pytest.mark.slow)],
)
def test_a_coordinator_killed_after_any_entry_goes_on_to_the_same_model(
    make_stage: MakeStage, sites: int, rounds: int
) -> None:
    kept = {"sites": sites, "training": {"rounds": rounds}, "rounds": {"evaluate": rounds < 3}}
    undisturbed = make_stage("undisturbed", **kept)
    closed, count = undisturbed.run(), len(undisturbed.entries())
    trained = {name: len(player.events) for name, player in undisturbed.players.items()}

    for at in range(count):
        stage = make_stage(f"killed-{at}", **kept)

        def die(entry: AuditEntry, at: int = at) -> None:
            if entry.index == at:
                raise Killed

        with pytest.raises(Killed):
            stage.run(die)
        assert len(stage.entries()) == at + 1
        assert stage.run() == closed
        assert figures(stage) == figures(undisturbed)
        assert {name: len(player.events) for name, player in stage.players.items()} == trained
        assert len(stage.entries()) == count


def test_a_coordinator_killed_just_before_any_entry_is_written_counts_no_update_twice(
    make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = make_stage("undisturbed", sites=2, training={"rounds": 1})
    closed, count = undisturbed.run(), len(undisturbed.entries())
    trained = {name: (player.trained, player.events) for name, player in undisturbed.players.items()}
    append = Journal.append
    for at in range(count):
        stage = make_stage(f"before-{at}", sites=2, training={"rounds": 1})

        def dying(self: Journal, *body: Any, at: int = at) -> list[AuditEntry]:
            if self.tree_size == at:
                raise Killed
            return append(self, *body)

        with monkeypatch.context() as patched:
            patched.setattr(Journal, "append", dying)
            with pytest.raises(Killed):
                stage.run()
        assert stage.run() == closed
        assert figures(stage) == figures(undisturbed)
        assert {name: (player.trained, player.events) for name, player in stage.players.items()} == trained
    sound(stage.folder)


def test_a_coordinator_killed_at_every_entry_in_turn_still_tells_one_run(make_stage: MakeStage) -> None:
    undisturbed, stage = make_stage("undisturbed"), make_stage("worn")
    closed = undisturbed.run()

    def die(entry: AuditEntry) -> None:
        raise Killed

    for _ in undisturbed.entries():
        with pytest.raises(Killed):
            stage.run(die)
    assert stage.run() == closed
    assert figures(stage) == figures(undisturbed)
    sound(stage.folder)


def test_a_finished_run_is_not_told_again(make_stage: MakeStage) -> None:
    stage = make_stage()
    closed, entries = stage.run(), stage.entries()
    assert stage.run() == closed
    assert stage.entries() == entries


def test_a_site_that_gives_no_reply_is_logged_and_the_round_goes_on_without_it(make_stage: MakeStage) -> None:
    stage = make_stage()
    stage.players["cedar"].away = {("update", 1)}
    stage.run()
    assert stage.refusals() == [("cedar", "update", 1, "coordinator", "no_reply")]
    first, second = stage.bodies("round_aggregated")
    assert first.included == ("alder", "birch")
    assert second.included == ("alder", "birch", "cedar")
    sound(stage.folder)


def test_a_site_that_is_not_there_before_the_deadline_is_greeted_again_in_the_next_round(make_stage: MakeStage) -> None:
    stage = make_stage(rounds={"deadline_seconds": 0.2, "hello_seconds": 0.2})
    stage.gone = {"cedar"}

    def back(entry: AuditEntry) -> None:
        if entry.body.kind == "round_aggregated":
            raise Killed

    with pytest.raises(Killed):
        stage.run(back)
    assert {refusal[:2] + refusal[3:] for refusal in stage.refusals()} == {
        ("cedar", "hello", "coordinator", "no_reply")
    }
    stage.gone = set()
    stage.run()
    assert [len(body.included) for body in stage.bodies("round_aggregated")] == [2, 3]
    sound(stage.folder)


def test_too_few_updates_abort_the_round_and_the_next_start_goes_on(make_stage: MakeStage) -> None:
    stage = make_stage(rounds={"min_sites": 3})
    stage.players["birch"].away = {("update", 1)}
    with pytest.raises(Unreachable) as stopped:
        stage.run()
    assert stopped.value.exit_code == 5
    (aborted,) = stage.bodies("round_aborted")
    assert (aborted.received, aborted.min_sites) == (2, 3)
    assert stage.bodies("round_aggregated") == []

    closed = stage.run()
    assert closed.rounds_aggregated == 1
    (aggregated,) = stage.bodies("round_aggregated")
    assert aggregated.model_in == stage.recipe.opened.initial_model_digest  # the aborted round left the model as it was
    sound(stage.folder)


def test_too_few_sites_end_the_run_for_now_and_ask_nobody_to_train(make_stage: MakeStage) -> None:
    stage = make_stage(rounds={"deadline_seconds": 0.2, "hello_seconds": 0.2})
    stage.gone = {"birch", "cedar"}
    with pytest.raises(Unreachable, match="1 of at least 2"):
        stage.run()
    assert stage.players["alder"].trained == []
    assert stage.bodies("round_planned") == []
    stage.gone = set()
    assert stage.run().rounds_aggregated == 2
    sound(stage.folder)


@pytest.mark.parametrize("reason", ["budget_exceeded", "policy"])
def test_a_site_that_refuses_for_its_budget_or_policy_is_not_asked_to_train_again(
    make_stage: MakeStage, reason: str
) -> None:
    stage = make_stage(training={"rounds": 3})
    stage.players["birch"].refuse = {("update", 1): reason}
    stage.run()
    assert stage.refusals() == [("birch", "update", 1, "site", reason)]
    assert [place for place in stage.players["birch"].asked if place[0] == "update"] == [("update", 1)]
    assert [sorted(body.plan.cohort) for body in stage.bodies("round_planned")][1:] == [["alder", "cedar"]] * 2
    sound(stage.folder)


def test_a_site_that_refuses_for_another_reason_is_asked_in_the_next_round(make_stage: MakeStage) -> None:
    stage = make_stage()
    stage.players["birch"].refuse = {("update", 1): "anonymization_failed"}
    stage.run()
    assert [len(body.included) for body in stage.bodies("round_aggregated")] == [2, 3]


def test_when_too_few_sites_are_left_for_good_the_run_stops_and_nobody_spends_budget_for_nothing(
    make_stage: MakeStage,
) -> None:
    stage = make_stage(sites=2, training={"rounds": 4})
    stage.players["birch"].refuse = {("update", 2): "budget_exceeded"}
    with pytest.raises(Unreachable):
        stage.run()
    closed = stage.run()
    assert (closed.outcome, closed.rounds_aggregated) == ("stopped", 1)
    assert len(stage.players["alder"].trained) == 2
    sound(stage.folder)


def test_a_site_that_forgot_the_run_is_greeted_again(make_stage: MakeStage) -> None:
    stage = make_stage()
    stage.players["birch"].refuse = {("update", 1): "run_unknown"}
    stage.run()
    assert stage.players["birch"].asked.count(("hello", 0)) == 2
    assert [len(body.included) for body in stage.bodies("round_aggregated")] == [2, 3]
    sound(stage.folder)


def test_a_run_goes_on_only_with_the_settings_and_the_model_that_it_was_opened_with(make_stage: MakeStage) -> None:
    stage = make_stage()

    def die(entry: AuditEntry) -> None:
        if entry.body.kind == "round_planned":
            raise Killed

    with pytest.raises(Killed):
        stage.run(die)
    before, recipe = stage.entries(), stage.recipe
    stage.use(opened=recipe.opened.model_copy(update={"settings_digest": "0" * 64}))
    with pytest.raises(SettingsError, match="other settings"):
        stage.run()
    stage.use(opened=recipe.opened, initial_model=recipe.initial_model[:-1] + b"\x01")
    with pytest.raises(SettingsError, match="another model"):
        stage.run()
    contract = recipe.contract.model_copy(update={"tokenizer_digest": "0" * 64})
    stage.use(contract=contract, initial_model=recipe.initial_model)
    with pytest.raises(SettingsError, match="another model"):
        stage.run()
    assert stage.entries() == before
    stage.use(contract=recipe.contract)
    assert stage.run().outcome == "done"


def test_an_encoding_that_could_overflow_is_refused_before_anything_is_logged(make_stage: MakeStage) -> None:
    stage = make_stage(update={"clip_norm": 4096.0, "scale_log2": 30})
    with pytest.raises(SettingsError, match="31 bits"):
        stage.run()
    assert stage.entries() == []


def test_a_roster_too_small_for_the_run_is_refused_before_anything_is_logged(make_stage: MakeStage) -> None:
    stage = make_stage(sites=1, evaluator=True)
    with pytest.raises(SettingsError, match="1 training site"):
        stage.run()
    assert stage.entries() == []


def test_a_disk_that_takes_no_blob_logs_nothing_of_it_and_the_run_goes_on_when_it_does(
    make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, stage = make_stage("undisturbed"), make_stage("full")
    closed = undisturbed.run()
    put, calls = BlobStore.put, 0

    def full(self: BlobStore, data: bytes) -> str:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise StorageFailed("the disk is full")
        return put(self, data)

    with monkeypatch.context() as patched:
        patched.setattr(BlobStore, "put", full)
        with pytest.raises(StorageFailed) as failed:
            stage.run()
    assert failed.value.exit_code == 5
    assert len(stage.bodies("update_received")) == 1
    assert stage.run() == closed
    assert figures(stage) == figures(undisturbed)


def test_a_run_without_privacy_and_without_evaluation_is_told_as_such(make_stage: MakeStage) -> None:
    stage = make_stage(privacy={"mode": "none"}, rounds={"evaluate": False})
    closed = stage.run()
    assert closed.rounds_aggregated == 2
    assert stage.bodies("evaluation_planned") == []
    assert all(body.update.spent is None for body in stage.bodies("update_received"))
    sound(stage.folder)
