# SPDX-License-Identifier: Apache-2.0
"""Learning rates over the steps of a whole run, though every round starts a new optimizer.

The rates rise in a line over the warm-up and then fall to 0 in a line or half a cosine, over all planned rounds. They
depend on the plan alone, never on data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer

from privacy.protocol.plans import TrainingPlan


@dataclass(frozen=True)
class StepsOfRun:
    """Steps of a run: `done` in the rounds before, `planned` in all rounds."""

    done: int
    planned: int


def factor(plan: TrainingPlan, step: int, planned: int) -> float:
    """What the rates are multiplied by in step `step` (from 0) of `planned`."""
    warmup = plan.warmup_steps or 0
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if plan.schedule is None:
        return 1.0
    remaining = 1.0 - (step - warmup) / max(1, planned - warmup)
    return max(0.0, remaining) if plan.schedule == "linear" else (1.0 - math.cos(math.pi * max(0.0, remaining))) / 2.0


def follow_schedule(optimizer: Optimizer, plan: TrainingPlan, steps: StepsOfRun) -> None:
    """Have `optimizer` set its rates before each of its steps; its first one is the run's `steps.done`."""
    if plan.schedule is None and plan.warmup_steps is None:
        return
    rates = [group["lr"] for group in optimizer.param_groups]
    taken = 0

    def set_rates(*_: Any) -> None:
        nonlocal taken
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor(plan, steps.done + taken, steps.planned)
        taken += 1

    optimizer.register_step_pre_hook(set_rates)
