# SPDX-License-Identifier: Apache-2.0
"""Multi-label classification: any of the plan's labels for each text, none too.

The label column holds a list, or several labels between data.label_separator; a single text is one label.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from client.learning.model.heads import Batch, Heads
from client.learning.model.tokenization import Inputs, TokenizedExample
from client.learning.tasks import ExampleCounts, MaskingMode, Outputs, TaskExample, Why, needs_labels
from privacy.protocol.plans import TaskPlan
from privacy.text.reading.records import AnonymizedRecord

INPUTS: Inputs = "text"
MASKING: MaskingMode = "never"


def check(plan: TaskPlan) -> None:
    """See `Task`: one label at least."""
    needs_labels(plan, 1)


def heads(plan: TaskPlan) -> Heads:
    """See client.learning.tasks.Task."""
    return {"text": len(plan.labels)}


def read(record: AnonymizedRecord, pieces: TokenizedExample, plan: TaskPlan) -> TaskExample | Why:
    """See `Task`: 1 for each label that the text has."""
    if record.label is None:
        return "missing"
    named = _labels(record.label)
    if not named <= set(plan.labels):
        return "unknown"
    return TaskExample(np.array([label in named for label in plan.labels], np.float32))


def _labels(cell: str) -> set[str]:
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        value = cell
    return {str(one) for one in value} if isinstance(value, list) else {cell}


def losses(outputs: Outputs, batch: Batch, plan: TaskPlan) -> Tensor:
    """See `Task`: binary cross-entropy in nats, the mean over the labels."""
    each = nn.functional.binary_cross_entropy_with_logits(outputs["text"], batch["targets"], reduction="none")
    return each.mean(1)


def predictions(outputs: Outputs, batch: Batch) -> list[NDArray[Any]]:
    """See `Task`: the labels whose logit is above 0, as booleans."""
    return list((outputs["text"] > 0).cpu().numpy())


def count(prediction: NDArray[Any], example: TaskExample, plan: TaskPlan) -> ExampleCounts:
    """See `Task`: of the text's labels and of those predicted, the first `counted` in the plan's order."""
    bound = plan.counted or 1
    actual, predicted = _first(example.target > 0, bound), _first(np.asarray(prediction, np.bool_), bound)
    return list(actual & predicted), list(actual), list(predicted)


def _first(chosen: NDArray[np.bool_], bound: int) -> NDArray[np.int64]:
    return (chosen & (np.cumsum(chosen) <= bound)).astype(np.int64)
