# SPDX-License-Identifier: Apache-2.0
"""Every file in client/tasks keeps the contract of its room."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from client import tasks
from privacy import parts
from privacy.errors import SettingsError
from privacy.exchange.plans import TaskPlan

NAMES = parts.names("client.tasks")
LABELS = ("fever", "cough", "other", "none")


def plan(name: str) -> TaskPlan:
    return TaskPlan(name=name, labels=LABELS, max_tokens=16)


def logits(name: str, rows: int = 9) -> torch.Tensor:
    return torch.randn(rows, tasks.load(name).outputs(plan(name)), generator=torch.Generator().manual_seed(3))


def test_there_is_a_task_and_an_unknown_one_is_refused_with_the_choices() -> None:
    assert "classification" in NAMES
    with pytest.raises(SettingsError) as caught:
        tasks.load("astrology")
    assert "classification" in (caught.value.next_step or "")


@pytest.mark.parametrize("name", NAMES)
def test_labels_come_from_the_plan_alone(name: str) -> None:
    targets = tasks.load(name).targets([*LABELS, "measles", None, "Fever"], plan(name))
    assert targets.dtype == np.int64
    assert (targets[:4] >= 0).all()
    assert len(set(targets[:4].tolist())) == 4
    assert targets[4:].tolist() == [-1, -1, -1]


@pytest.mark.parametrize("name", NAMES)
def test_an_examples_loss_and_prediction_depend_on_it_alone(name: str) -> None:
    task, given = tasks.load(name), logits(name)
    targets = torch.from_numpy(task.targets([LABELS[row % 4] for row in range(9)], plan(name)))
    losses = task.losses(given, targets)
    assert losses.shape == (9,)
    assert (losses >= 0).all()
    changed = given.clone()
    changed[4] += torch.arange(given.shape[1])
    others = [row for row in range(9) if row != 4]
    assert torch.equal(task.losses(changed, targets)[others], losses[others])
    assert not torch.equal(task.losses(changed, targets)[4], losses[4])
    assert torch.equal(task.predictions(changed)[others], task.predictions(given)[others])


@pytest.mark.parametrize("name", NAMES)
def test_a_better_answer_has_a_smaller_loss_and_is_predicted(name: str) -> None:
    task = tasks.load(name)
    targets = torch.from_numpy(task.targets(LABELS, plan(name)))
    sure = torch.nn.functional.one_hot(targets, task.outputs(plan(name))).float() * 5
    assert (task.losses(sure, targets) < task.losses(torch.zeros_like(sure), targets)).all()
    assert task.predictions(sure).tolist() == targets.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_one_example_adds_at_most_one_to_one_place_of_each_count(name: str) -> None:
    task = tasks.load(name)
    predicted, targets = [0, 1, 1, 3, 2, 2], [0, 1, 2, 3, 0, 2]
    whole = task.counts(predicted, targets, plan(name))
    assert sum(whole.actual) == sum(whole.predicted) == 6
    assert sum(whole.right) == 4
    assert {len(whole.right), len(whole.actual), len(whole.predicted)} == {len(LABELS)}
    for gone in range(6):
        less = task.counts(predicted[:gone] + predicted[gone + 1 :], targets[:gone] + targets[gone + 1 :], plan(name))
        for before, after in zip(
            (whole.right, whole.actual, whole.predicted), (less.right, less.actual, less.predicted), strict=True
        ):
            change = np.abs(np.subtract(before, after))
            assert change.sum() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_no_examples_give_counts_of_zero(name: str) -> None:
    counts = tasks.load(name).counts([], [], plan(name))
    assert counts.right == counts.actual == counts.predicted == (0,) * len(LABELS)
    assert counts.accuracy is None
