# SPDX-License-Identifier: Apache-2.0
"""A run with server momentum is the same run whoever is killed in it: the log is all the state there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from privacy.audit.recomputation import replay
from privacy.audit.verification import verify
from privacy.base.errors import Unreachable
from privacy.protocol.entries import AuditEntry

MakeStage = Callable[..., Any]
MOMENTUM = {"training": {"rounds": 3}, "rounds": {"evaluate": False}, "update": {"server_momentum": 0.9}}


class Killed(BaseException):
    """The process is gone: nothing may catch it."""


def sound(stage: Any) -> None:
    found, replayed = verify(stage.folder, expected_key=None), replay(stage.folder)
    assert (found.findings, replayed.findings) == ((), ())
    assert replayed.rounds_replayed == len(stage.bodies("round_aggregated"))


def test_a_run_with_momentum_is_logged_and_replayed(make_stage: MakeStage) -> None:
    with_it, without = make_stage("with", **MOMENTUM), make_stage("without", **{**MOMENTUM, "update": {}})
    with_it.run()
    without.run()
    plans = [[body.plan.server_momentum for body in stage.bodies("round_planned")] for stage in (with_it, without)]
    assert plans == [["0.9"] * 3, [None] * 3]
    sound(with_it)
    sound(without)


def test_a_coordinator_restarted_in_any_round_comes_to_the_same_models(make_stage: MakeStage) -> None:
    undisturbed = make_stage("undisturbed", **MOMENTUM)
    closed = undisturbed.run()
    stage = make_stage("restarted", **MOMENTUM)

    def die(entry: AuditEntry) -> None:
        if entry.body.kind in ("round_planned", "round_aggregated"):
            raise Killed

    for _ in range(6):
        with pytest.raises(Killed):
            stage.run(die)
    assert stage.run() == closed
    assert stage.bodies("round_aggregated") == undisturbed.bodies("round_aggregated")
    sound(stage)


def test_an_aborted_round_moves_nothing_and_the_next_goes_on_with_the_last_step(make_stage: MakeStage) -> None:
    stage = make_stage("aborted", **MOMENTUM)
    for player in ("alder", "birch"):
        stage.players[player].away = {("update", 2)}
    with pytest.raises(Unreachable):
        stage.run()
    stage.run()
    first, third = stage.bodies("round_aggregated")
    assert third.model_in == first.model_out
    sound(stage)
