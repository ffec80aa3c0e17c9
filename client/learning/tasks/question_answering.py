# SPDX-License-Identifier: Apache-2.0
"""Extractive question answering: where in a text the answer to a question stands, or that it does not.

The question is data.pair_column, the answer the first span that data.spans_column marks as "answer". A text without one
has its answer at [CLS], as has a text whose answer was cut off (SQuAD 2, Rajpurkar et al., arXiv 1806.03822). What is
counted is the overlap (F1 over word pieces) in `counted` steps; with 1, exact match.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.learning.model.heads import Batch, Heads
from client.learning.model.tokenization import TEXT, Inputs, TokenizedExample
from client.learning.tasks import ExampleCounts, MaskingMode, Outputs, TaskExample, Why, needs_no_labels, share
from privacy.protocol.plans import TaskPlan
from privacy.text.reading.records import AnonymizedRecord

INPUTS: Inputs = "pair_text"
MASKING: MaskingMode = "never"
MARK: Final = "answer"
LONGEST: Final = 30
"""Word pieces of the longest answer that is predicted."""


def check(plan: TaskPlan) -> None:
    """See `Task`: no labels."""
    needs_no_labels(plan)


def heads(plan: TaskPlan) -> Heads:
    """See `Task`: for each piece, that the answer begins there, and that it ends there."""
    return {"pieces": 2}


def read(record: AnonymizedRecord, pieces: TokenizedExample, plan: TaskPlan) -> TaskExample | Why:
    """See `Task`: the answer's first and last piece."""
    if record.pair is None:
        return "missing"
    span = next((span for span in record.spans if span.label == MARK), None)
    covered = np.zeros(0, np.intp) if span is None else pieces.covering(span.start, span.end)
    target = (covered[0], covered[-1]) if covered.size else (0, 0)
    readable = pieces.part == TEXT
    readable[0] = True
    return TaskExample(np.array(target, np.int64), {"readable": readable})


def _scores(outputs: Outputs, batch: Batch) -> Tensor:
    """Logits (B, T, 2), the least finite number where no answer can be."""
    logits = outputs["pieces"]
    return logits.masked_fill(~batch["readable"][..., None], torch.finfo(logits.dtype).min)


def losses(outputs: Outputs, batch: Batch, plan: TaskPlan) -> Tensor:
    """See `Task`: cross-entropy of begin and end, in nats, their mean."""
    scores, targets = _scores(outputs, batch), batch["targets"]
    each = [nn.functional.cross_entropy(scores[..., at], targets[:, at], reduction="none") for at in (0, 1)]
    return (each[0] + each[1]) / 2


def predictions(outputs: Outputs, batch: Batch) -> list[NDArray[Any]]:
    """See `Task`: the begin and end of at most LONGEST pieces with the greatest sum of logits."""
    scores = _scores(outputs, batch).float()
    steps = scores.shape[1]
    pairs = (scores[..., 0, None] / 2 + scores[:, None, :, 1] / 2).masked_fill(~_allowed(steps, scores), -torch.inf)
    best = pairs.flatten(1).argmax(1)
    return list(torch.stack([best // steps, best % steps], 1).cpu().numpy())


def _allowed(steps: int, scores: Tensor) -> Tensor:
    ones = torch.ones((steps, steps), dtype=torch.bool, device=scores.device)
    allowed = ones.triu() & ~ones.triu(LONGEST)
    allowed[0, 1:] = False  # [CLS] is no answer's beginning
    return allowed


def count(prediction: NDArray[Any], example: TaskExample, plan: TaskPlan) -> ExampleCounts:
    """See client.learning.tasks.Task."""
    (begin, end), (first, last) = (int(at) for at in prediction), (int(at) for at in example.target)
    if (first == 0) != (begin == 0):
        return share(0.0, plan)
    common = min(end, last) - max(begin, first) + 1
    return share(2 * max(common, 0) / (end - begin + 1 + last - first + 1), plan)
