# SPDX-License-Identifier: Apache-2.0
"""Rates follow the plan over all rounds, though each round's optimizer is new."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.optim import SGD

from client.learning.training.schedule import StepsOfRun, factor, follow_schedule
from privacy.protocol.plans import TrainingPlan

Plan = Callable[..., TrainingPlan]


def rates(plan: TrainingPlan, rounds: int, steps: int) -> list[float]:
    """The rate of each step of a run, as an optimizer that each round makes anew takes it."""
    taken = []
    for server_round in range(rounds):
        weight = torch.nn.Parameter(torch.zeros(1))
        optimizer = SGD([weight], lr=2.0)
        follow_schedule(optimizer, plan, StepsOfRun(server_round * steps, rounds * steps))
        for _ in range(steps):
            before = float(weight.detach())
            weight.grad = torch.ones(1)
            optimizer.step()
            taken.append(before - float(weight.detach()))
    return taken


@pytest.mark.parametrize("schedule", [None, "linear", "cosine"])
@pytest.mark.parametrize("warmup", [None, 3])
def test_rounds_make_one_curve(training_plan: Plan, schedule: str | None, warmup: int | None) -> None:
    plan = training_plan("head", schedule=schedule, warmup_steps=warmup)
    found = rates(plan, 3, 4)
    assert found == pytest.approx([2.0 * factor(plan, step, 12) for step in range(12)], abs=1e-6)
    assert found == pytest.approx(rates(plan, 1, 12), abs=1e-6)
    peak = warmup or 0
    assert found[:peak] == sorted(found[:peak])
    assert found[peak] == pytest.approx(2.0)
    assert found[peak:] == sorted(found[peak:], reverse=True)
    assert (found[-1] < 0.5) == (schedule is not None)


def test_a_plan_without_a_schedule_says_nothing_of_one(training_plan: Plan) -> None:
    """Its digest is that of plans made before there were schedules."""
    assert not {"schedule", "warmup_steps"} & set(training_plan("head").model_dump())
