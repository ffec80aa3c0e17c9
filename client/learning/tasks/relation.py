# SPDX-License-Identifier: Apache-2.0
"""Relation: one of the plan's labels for two spans of a text, which data.spans_column marks as "head" and "tail".

The head reads the means over the two spans' word pieces, in this order. A text in which one of them is missing or was
cut off is left out.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from client.learning.model.heads import Batch, Heads
from client.learning.model.tokenization import Inputs, TokenizedExample
from client.learning.tasks import MaskingMode, Outputs, TaskExample, Why, classification
from client.learning.tasks.classification import check, count
from privacy.protocol.plans import TaskPlan
from privacy.text.reading.records import AnonymizedRecord

__all__ = ["INPUTS", "MASKING", "check", "count", "heads", "losses", "predictions", "read"]

INPUTS: Inputs = "text"
MASKING: MaskingMode = "never"
MARKS = ("head", "tail")


def heads(plan: TaskPlan) -> Heads:
    """See client.learning.tasks.Task."""
    return {"marked": len(plan.labels)}


def read(record: AnonymizedRecord, pieces: TokenizedExample, plan: TaskPlan) -> TaskExample | Why:
    """See `Task`: the label's place in the plan, with the first span of each mark."""
    labelled = classification.read(record, pieces, plan)
    if isinstance(labelled, str):
        return labelled
    places = []
    for mark in MARKS:
        span = next((span for span in record.spans if span.label == mark), None)
        covered = np.zeros(0, np.intp) if span is None else pieces.covering(span.start, span.end)
        if not covered.size:
            return "missing"
        places.append((covered[0], covered[-1] + 1))
    return TaskExample(labelled.target, {"marks": np.array(places, np.int64)})


def losses(outputs: Outputs, batch: Batch, plan: TaskPlan) -> Tensor:
    """See `Task`: cross-entropy in nats."""
    return nn.functional.cross_entropy(outputs["marked"], batch["targets"], reduction="none")


def predictions(outputs: Outputs, batch: Batch) -> list[np.ndarray]:
    """See `Task`: the label with the largest logit, the first of equals."""
    return list(outputs["marked"].argmax(1).cpu().numpy())
