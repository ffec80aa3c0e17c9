# SPDX-License-Identifier: Apache-2.0
"""Masked-language modelling: hidden word pieces of notes without labels, to adapt the shared BERT to their language.

What is counted is the share of a text's hidden pieces that are guessed, in `counted` steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from client.learning.model.heads import Batch, Heads
from client.learning.model.masking import IGNORED
from client.learning.model.tokenization import Inputs, TokenizedExample
from client.learning.tasks import ExampleCounts, MaskingMode, Outputs, TaskExample, Why, needs_no_labels, share
from privacy.base.errors import ContractError
from privacy.protocol.plans import TaskPlan
from privacy.text.reading.records import AnonymizedRecord

INPUTS: Inputs = "text"
MASKING: MaskingMode = "always"


def check(plan: TaskPlan) -> None:
    """See `Task`: no labels, and a rate."""
    needs_no_labels(plan)
    if plan.mask_rate is None:
        raise ContractError("masked-language modelling needs task.mask_rate")


def heads(plan: TaskPlan) -> Heads:
    """See client.learning.tasks.Task."""
    return {"vocabulary": 0}


def read(record: AnonymizedRecord, pieces: TokenizedExample, plan: TaskPlan) -> TaskExample | Why:
    """See `Task`: every text teaches its own words; what is hidden is drawn for each batch."""
    return TaskExample(np.array(0, np.int64))


def losses(outputs: Outputs, batch: Batch, plan: TaskPlan) -> Tensor:
    """See `Task`: cross-entropy in nats, the mean over the text's hidden pieces; 0 if it has none."""
    hidden = batch["hidden_ids"]
    logits = outputs["vocabulary"].transpose(1, 2)
    each = nn.functional.cross_entropy(logits, hidden, ignore_index=IGNORED, reduction="none")
    return each.sum(1) / (hidden != IGNORED).sum(1).clamp(min=1)


def predictions(outputs: Outputs, batch: Batch) -> list[NDArray[Any]]:
    """See `Task`: how many hidden pieces were guessed, and how many there were."""
    hidden = batch["hidden_ids"]
    right = ((outputs["vocabulary"].argmax(2) == hidden) & (hidden != IGNORED)).sum(1)
    return list(np.stack([right.cpu().numpy(), (hidden != IGNORED).sum(1).cpu().numpy()], 1))


def count(prediction: NDArray[Any], example: TaskExample, plan: TaskPlan) -> ExampleCounts:
    """See client.learning.tasks.Task."""
    right, hidden = (int(count) for count in prediction)
    return share(right / hidden, plan) if hidden > 0 else ([0], [0], [0])
