# SPDX-License-Identifier: Apache-2.0
"""Joint: classification of the notes that have a label, and masked-language modelling of all, in one loss.

In training both heads read the text with its hidden pieces; `masked_weight` is the share of the masked-language loss. A
note without a label teaches its words alone (data.unlabelled = "keep"). An evaluation counts labels, on whole texts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from client.learning.model.heads import Batch, Heads
from client.learning.model.masking import IGNORED
from client.learning.model.tokenization import Inputs, TokenizedExample
from client.learning.tasks import (
    ExampleCounts,
    MaskingMode,
    Outputs,
    TaskExample,
    Why,
    classification,
    masked_language,
    needs_labels,
)
from client.learning.tasks.classification import predictions
from privacy.base.errors import ContractError
from privacy.protocol.plans import TaskPlan
from privacy.text.reading.records import AnonymizedRecord

__all__ = ["INPUTS", "MASKING", "check", "count", "heads", "losses", "predictions", "read"]

INPUTS: Inputs = "text"
MASKING: MaskingMode = "training"


def check(plan: TaskPlan) -> None:
    """See `Task`: two labels at least, a rate and a weight."""
    needs_labels(plan, 2)
    if plan.mask_rate is None or plan.masked_weight is None:
        raise ContractError("a joint loss needs task.mask_rate and task.masked_weight")


def heads(plan: TaskPlan) -> Heads:
    """See client.learning.tasks.Task."""
    return {"text": len(plan.labels), "vocabulary": 0}


def read(record: AnonymizedRecord, pieces: TokenizedExample, plan: TaskPlan) -> TaskExample | Why:
    """See `Task`: the label's place in the plan, IGNORED where there is none."""
    labelled = classification.read(record, pieces, plan)
    return TaskExample(np.array(IGNORED, np.int64)) if labelled == "missing" else labelled


def losses(outputs: Outputs, batch: Batch, plan: TaskPlan) -> Tensor:
    """See `Task`: the weighted sum of both cross-entropies, in nats."""
    assert plan.masked_weight is not None
    weight = float(plan.masked_weight)
    of_label = nn.functional.cross_entropy(outputs["text"], batch["targets"], ignore_index=IGNORED, reduction="none")
    return (1 - weight) * of_label + weight * masked_language.losses(outputs, batch, plan)


def count(prediction: NDArray[Any], example: TaskExample, plan: TaskPlan) -> ExampleCounts:
    """See `Task`: a note without a label counts nowhere."""
    if int(example.target) == IGNORED:
        nothing = [0] * plan.num_outputs
        return nothing, nothing, nothing
    return classification.count(prediction, example, plan)
