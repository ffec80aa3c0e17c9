# SPDX-License-Identifier: Apache-2.0
"""The contract of a task: one file here, found by its name, which a plan names: what a label is, and what a loss.

A task knows nothing of privacy: it turns labels into targets, logits into one loss per example, and predictions into
counts. Labels come from the plan, never from a site's data. tests/conformance/test_tasks.py holds every file to this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from client.evaluation import Counts
from privacy import parts
from privacy.exchange.plans import TaskPlan


class Task(Protocol):
    """What a task's module offers."""

    def outputs(self, plan: TaskPlan) -> int:
        """Numbers that the head gives for one example."""
        ...

    def targets(self, labels: Sequence[str | None], plan: TaskPlan) -> NDArray[np.int64]:
        """One target per row; -1 where the label is missing or not in the plan."""
        ...

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """One loss per example, shape (B,), each a function of its own example alone."""
        ...

    def predictions(self, logits: Tensor) -> Tensor:
        """One predicted target per example, shape (B,)."""
        ...

    def counts(self, predicted: Sequence[int], targets: Sequence[int], plan: TaskPlan) -> Counts:
        """Right, actual and predicted per label: one example adds 1 to one place of each, at most."""
        ...


def load(name: str) -> Task:
    """The task `name`. Raises SettingsError with the choices if there is none."""
    return cast(Task, parts.load("client.tasks", name))
