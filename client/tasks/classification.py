# SPDX-License-Identifier: Apache-2.0
"""Sequence classification: one of the plan's labels for each text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from client.evaluation import Counts
from privacy.exchange.plans import TaskPlan


def outputs(plan: TaskPlan) -> int:
    """See client.tasks.Task."""
    return len(plan.labels)


def targets(labels: Sequence[str | None], plan: TaskPlan) -> NDArray[np.int64]:
    """See client.tasks.Task: the label's place in the plan."""
    places = {label: place for place, label in enumerate(plan.labels)}
    return np.array([-1 if label is None else places.get(label, -1) for label in labels], np.int64)


def losses(logits: Tensor, targets: Tensor) -> Tensor:
    """See client.tasks.Task: cross-entropy in nats."""
    return nn.functional.cross_entropy(logits, targets, reduction="none")


def predictions(logits: Tensor) -> Tensor:
    """See client.tasks.Task: the label with the largest logit, the first of equals."""
    return logits.argmax(1)


def counts(predicted: Sequence[int], targets: Sequence[int], plan: TaskPlan) -> Counts:
    """See client.tasks.Task."""
    size = len(plan.labels)
    said, true = np.asarray(predicted, np.int64), np.asarray(targets, np.int64)

    def per_label(places: NDArray[np.int64]) -> tuple[int, ...]:
        return tuple(int(count) for count in np.bincount(places, minlength=size))

    return Counts(right=per_label(true[said == true]), actual=per_label(true), predicted=per_label(said))
