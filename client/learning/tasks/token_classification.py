# SPDX-License-Identifier: Apache-2.0
"""Token classification: spans of the plan's types in a text, word by word as IOB2, counted as whole entities.

A word carries its label on its first word piece; the others have no part in the loss. A word belongs to a span if they
share a character; where spans overlap the first one has it. An entity counts as found if type, first and last word are
right. Entities behind the cut count as not found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from client.learning.model.heads import Batch, Heads
from client.learning.model.masking import IGNORED
from client.learning.model.tokenization import Inputs, TokenizedExample
from client.learning.tasks import ExampleCounts, MaskingMode, Outputs, TaskExample, Why, needs_labels
from privacy.protocol.plans import TaskPlan
from privacy.text.reading.records import AnonymizedRecord

INPUTS: Inputs = "text"
MASKING: MaskingMode = "never"

Entity = tuple[int, int, int]
"""The first word, the word behind the last one, and the type's place in the plan."""


def check(plan: TaskPlan) -> None:
    """See `Task`: one type at least."""
    needs_labels(plan, 1)


def heads(plan: TaskPlan) -> Heads:
    """See `Task`: outside, and for each type its begin (odd) and its inside (even)."""
    return {"pieces": 1 + 2 * len(plan.labels)}


def read(record: AnonymizedRecord, pieces: TokenizedExample, plan: TaskPlan) -> TaskExample | Why:
    """See `Task`: the class of each word on its first piece."""
    target = np.where(pieces.first & (pieces.part == 0), 0, IGNORED).astype(np.int64)
    beyond = [0] * len(plan.labels)
    for span in sorted(record.spans):
        if span.label not in plan.labels:
            return "unknown"
        kind = plan.labels.index(span.label)
        words = pieces.covering(span.start, span.end)
        words = words[target[words] == 0]
        if words.size:
            target[words] = 2 + 2 * kind
            target[words[0]] = 1 + 2 * kind
        elif not pieces.covering(span.start, span.end).size:
            beyond[kind] += 1
    return TaskExample(target, beyond=tuple(beyond))


def losses(outputs: Outputs, batch: Batch, plan: TaskPlan) -> Tensor:
    """See `Task`: cross-entropy in nats, the mean over the text's words."""
    logits, targets = outputs["pieces"].transpose(1, 2), batch["targets"]
    each = nn.functional.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="none")
    return each.sum(1) / (targets != IGNORED).sum(1).clamp(min=1)


def predictions(outputs: Outputs, batch: Batch) -> list[NDArray[Any]]:
    """See `Task`: the class of each piece, the first of equals."""
    classes, lengths = outputs["pieces"].argmax(2).cpu().numpy(), batch["mask"].sum(1).tolist()
    return [row[:length] for row, length in zip(classes, lengths, strict=True)]


def entities(classes: NDArray[Any]) -> list[Entity]:
    """The entities of a text's words, in order. An inside that continues nothing begins an entity of its own."""
    listed: list[Entity] = []
    for word, one in enumerate(classes.tolist()):
        if one <= 0:
            continue
        kind = (one - 1) // 2
        if one % 2 == 0 and listed and listed[-1][1:] == (word, kind):
            listed[-1] = (listed[-1][0], word + 1, kind)
        else:
            listed.append((word, word + 1, kind))
    return listed


def count(prediction: NDArray[Any], example: TaskExample, plan: TaskPlan) -> ExampleCounts:
    """See `Task`: of the marked entities and of those predicted, the first `counted` of the text."""
    bound, words = plan.counted or 1, example.target != IGNORED
    true, claimed = entities(example.target[words])[:bound], entities(prediction[words])[:bound]
    actual, predicted = (_by_type(of_text, plan) for of_text in (true, claimed))
    right = _by_type([entity for entity in claimed if entity in true], plan)
    for kind, lost in enumerate(example.beyond):
        actual[kind] += min(lost, bound - sum(actual))
    return right, actual, predicted


def _by_type(listed: list[Entity], plan: TaskPlan) -> list[int]:
    counts = [0] * plan.num_outputs
    for *_, kind in listed:
        counts[kind] += 1
    return counts
