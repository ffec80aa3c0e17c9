# SPDX-License-Identifier: Apache-2.0
"""Sequence classification: one of the plan's labels for each text."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from client.learning.model.heads import Batch, Heads
from client.learning.model.tokenization import Inputs, TokenizedExample
from client.learning.tasks import ExampleCounts, MaskingMode, Outputs, TaskExample, Why, needs_labels, one_place
from privacy.protocol.plans import TaskPlan
from privacy.text.reading.records import AnonymizedRecord

INPUTS: Inputs = "text"
MASKING: MaskingMode = "never"


def check(plan: TaskPlan) -> None:
    """See `Task`: two labels at least."""
    needs_labels(plan, 2)


def heads(plan: TaskPlan) -> Heads:
    """See client.learning.tasks.Task."""
    return {"text": len(plan.labels)}


def read(record: AnonymizedRecord, pieces: TokenizedExample, plan: TaskPlan) -> TaskExample | Why:
    """See `Task`: the label's place in the plan."""
    if record.label is None:
        return "missing"
    return (
        TaskExample(np.array(plan.labels.index(record.label), np.int64)) if record.label in plan.labels else "unknown"
    )


def losses(outputs: Outputs, batch: Batch, plan: TaskPlan) -> Tensor:
    """See `Task`: cross-entropy in nats."""
    return nn.functional.cross_entropy(outputs["text"], batch["targets"], reduction="none")


def predictions(outputs: Outputs, batch: Batch) -> list[NDArray[Any]]:
    """See `Task`: the label with the largest logit, the first of equals."""
    return list(outputs["text"].argmax(1).cpu().numpy())


def count(prediction: NDArray[Any], example: TaskExample, plan: TaskPlan) -> ExampleCounts:
    """See client.learning.tasks.Task."""
    predicted, true = int(prediction), int(example.target)
    return one_place(true if predicted == true else -1, plan), one_place(true, plan), one_place(predicted, plan)
