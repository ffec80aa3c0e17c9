# SPDX-License-Identifier: Apache-2.0
"""Regression: a number for each text, learnt and told as a share of the plan's value_range.

What is counted is 1 - |error| / range, in `counted` steps: the "accuracy" of an evaluation is 1 minus the mean absolute
error over the range, rounded down a step a text.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from client.learning.model.heads import Batch, Heads
from client.learning.model.tokenization import Inputs, TokenizedExample
from client.learning.tasks import ExampleCounts, MaskingMode, Outputs, TaskExample, Why, needs_no_labels, share
from privacy.base.errors import ContractError
from privacy.protocol.plans import TaskPlan
from privacy.text.reading.records import AnonymizedRecord

INPUTS: Inputs = "text"
MASKING: MaskingMode = "never"


def check(plan: TaskPlan) -> None:
    """See `Task`: no labels, and a range."""
    needs_no_labels(plan)
    if plan.value_range is None:
        raise ContractError(
            "a regression needs the range of its target",
            next_step="set task.value_range = [least, greatest] in federation.toml",
        )
    low, high = (float(bound) for bound in plan.value_range)
    if not math.isfinite(high - low) or high == low:
        raise ContractError("the range of a regression's target is too wide, or too narrow, for a 64-bit number")


def heads(plan: TaskPlan) -> Heads:
    """See client.learning.tasks.Task."""
    return {"text": 1}


def read(record: AnonymizedRecord, pieces: TokenizedExample, plan: TaskPlan) -> TaskExample | Why:
    """See `Task`: the number's place in the range; one outside of it counts as the nearer end."""
    if record.label is None:
        return "missing"
    assert plan.value_range is not None
    low, high = (float(bound) for bound in plan.value_range)
    try:
        value = float(record.label)
    except ValueError:
        return "unknown"
    if not math.isfinite(value):
        return "unknown"
    return TaskExample(np.array(min(max((value - low) / (high - low), 0.0), 1.0), np.float32))


def losses(outputs: Outputs, batch: Batch, plan: TaskPlan) -> Tensor:
    """See `Task`: the squared error, in squared ranges."""
    return (outputs["text"].squeeze(1) - batch["targets"]).square()


def predictions(outputs: Outputs, batch: Batch) -> list[NDArray[Any]]:
    """See `Task`: a share of the range, in [0, 1]."""
    return list(outputs["text"].squeeze(1).clamp(0, 1).float().cpu().numpy())


def count(prediction: NDArray[Any], example: TaskExample, plan: TaskPlan) -> ExampleCounts:
    """See client.learning.tasks.Task."""
    return share(1 - abs(float(prediction) - float(example.target)), plan)
