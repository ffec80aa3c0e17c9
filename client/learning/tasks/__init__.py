# SPDX-License-Identifier: Apache-2.0
"""The contract of a task: one file here, found by its name, which a plan names: what a label is, and what a loss.

A task knows nothing of privacy. It reads a record's label, marks and pair into a target, makes one loss an example of
what the heads give (client.learning.model.heads), and counts its predictions. Labels come from the plan, never from a
site's data. tests/conformance/test_tasks.py holds every file to this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from client.learning.model.heads import Batch, Heads, HeadView
from client.learning.model.tokenization import Inputs, TokenizedExample
from privacy.base import parts
from privacy.base.errors import ContractError
from privacy.protocol.plans import TaskPlan
from privacy.text.reading.records import AnonymizedRecord

Why = Literal["missing", "unknown"]
"""Why a record cannot be read: what the task needs is not there, or its label is not in the plan."""

MaskingMode = Literal["never", "training", "always"]
"""When word pieces are hidden for a masked-language head."""

Outputs = Mapping[HeadView, Tensor]
ExampleCounts = tuple[Sequence[int], Sequence[int], Sequence[int]]
"""What one example adds to right, actual and predicted: `plan.num_outputs` integers >= 0 each, sums <= plan.counted."""


@dataclass(frozen=True, eq=False, repr=False)
class TaskExample:
    """One record as a task reads it. Arrays of unequal length are padded in a batch, by -100 or False.

    `inputs` go into the batch under their names. `beyond`: what was marked in the part that was cut off, by label.
    """

    target: NDArray[Any]
    inputs: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    beyond: tuple[int, ...] = ()


class Task(Protocol):
    """What a task's module offers."""

    INPUTS: Inputs
    MASKING: MaskingMode

    def check(self, plan: TaskPlan) -> None:
        """Raises ContractError unless the plan says what this task needs, and nothing that it cannot mean."""
        ...

    def heads(self, plan: TaskPlan) -> Heads:
        """The heads on top of the BERT, and the outputs of each."""
        ...

    def read(self, record: AnonymizedRecord, pieces: TokenizedExample, plan: TaskPlan) -> TaskExample | Why:
        """What is to be learnt from a record, a function of it alone."""
        ...

    def losses(self, outputs: Outputs, batch: Batch, plan: TaskPlan) -> Tensor:
        """One loss per example, shape (B,), each a function of its own example alone. `batch["targets"]` are its."""
        ...

    def predictions(self, outputs: Outputs, batch: Batch) -> list[NDArray[Any]]:
        """What the model says of each example, in the form that `count` takes."""
        ...

    def count(self, prediction: NDArray[Any], example: TaskExample, plan: TaskPlan) -> ExampleCounts:
        """What the example counts for. The bound holds for any prediction and any record."""
        ...


def load(name: str) -> Task:
    """The task `name`. Raises SettingsError with the choices if there is none."""
    return cast(Task, parts.load("client.learning.tasks", name))


def needs_labels(plan: TaskPlan, least: int) -> None:
    """Raises ContractError unless the plan names at least `least` labels."""
    if len(plan.labels) < least:
        raise ContractError(
            f"the task {plan.name} needs at least {least} label{'s' * (least > 1)}, the plan names {len(plan.labels)}",
            next_step="name them in task.labels of federation.toml",
        )


def needs_no_labels(plan: TaskPlan) -> None:
    """Raises ContractError if the plan names labels."""
    if plan.labels:
        raise ContractError(
            f"the task {plan.name} has no labels, the plan names {len(plan.labels)}",
            next_step="set task.labels = [] in federation.toml",
        )


def one_place(place: int, plan: TaskPlan) -> list[int]:
    """A count of 1 at `place`, 0 elsewhere."""
    return [int(at == place) for at in range(plan.num_outputs)]


def share(part: float, plan: TaskPlan) -> ExampleCounts:
    """A share in [0, 1] as counts in the one place of a task without labels: `plan.counted` steps, rounded down.

    What is no number counts as 0: a model can be made to say it of any text.
    """
    whole, known = plan.counted or 1, 0.0 if math.isnan(part) else min(max(part, 0.0), 1.0)
    return [int(np.floor(known * whole + 1e-9))], [whole], [whole]
