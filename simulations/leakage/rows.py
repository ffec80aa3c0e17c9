# SPDX-License-Identifier: Apache-2.0
"""Membership of rows in the training of a model with DP-SGD and of one without: by loss, and against shadow models.

A third of all labels are wrong, as coded data has it, in the training rows and in the others alike: a model that learns
wrong labels by heart gives its rows away. The head over cached features has more parameters than rows, so that plain
training does learn them. Shadow models are trained on other rows in the same way, the private model's with noise too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim import SGD

from privacy.dp.training import PlainParams, TrainingData, TrainingLoop, train, train_plain
from privacy.leakage.membership import Losses, Membership, against_shadows, membership
from simulations.leakage.subject import Claim, Plant, PooledRows, Subject, training_plan

WRONG: Final = 1 / 3
LEARNING_RATE: Final = 0.5
SHADOWS: Final = 16
PLAIN_STEPS: Final = 300
"""Of plain training, with all rows in each step."""


@dataclass(frozen=True)
class Exposure:
    """One model's rows. The accuracies are on the labels as they stand, wrong ones included."""

    by_loss: Membership
    by_shadows: Membership
    train_accuracy: float
    other_accuracy: float


class RowMembership:
    """`members` rows that a model is trained on, `others`, drawn alike, that it never saw, and rows for shadows."""

    def __init__(self, subject: Subject, claim: Claim, members: int, others: int) -> None:
        self._subject, self._claim, self._members, self._attacked = subject, claim, members, members + others
        rows = subject.pooled("membership", members + others + 2 * members)
        generator = subject.seed.derive("membership/labels").numpy_generator()
        wrong = torch.from_numpy(generator.random(len(rows.targets)) < WRONG)
        drawn = torch.from_numpy(generator.integers(0, len(subject.task.labels), len(rows.targets)))
        pooled = (rows.pooled - rows.pooled.mean(0)) / rows.pooled.std()
        self._rows = PooledRows(pooled, torch.where(wrong, drawn, rows.targets))

    def private(self, plant: Plant | None = None) -> Exposure:
        """After DP-SGD as claimed, or with a bug planted; the shadows know nothing of the bug."""
        return self._attack(lambda rows, at: self._private(rows, at, None if at else plant))

    def plain(self) -> Exposure:
        """After training without privacy, until the rows are known by heart."""
        return self._attack(self._plain)

    def _private(self, rows: Sequence[int], at: int, plant: Plant | None) -> nn.Module:
        trainable = self._start()
        train(
            trainable,
            TrainingData(self._rows, [[row] for row in rows], longest=1),
            self._claim.params(plant),
            _loop(self._claim.bucket(self._members, plant)),
            seed=self._subject.secret(f"membership/{at}"),
        )
        return trainable

    def _plain(self, rows: Sequence[int], at: int) -> nn.Module:
        trainable = self._start()
        train_plain(
            trainable,
            TrainingData(self._rows, [[row] for row in rows], longest=1),
            PlainParams("1", PLAIN_STEPS, "record"),
            _loop(self._members),
            seed=self._subject.secret(f"membership/{at}"),
        )
        return trainable

    def _start(self) -> nn.Module:
        return self._subject.model(training_plan("head", LEARNING_RATE)).trainable

    def _attack(self, trained: Callable[[Sequence[int], int], nn.Module]) -> Exposure:
        """Model 0 is trained on the members and attacked, the others are its shadows."""
        losses, right = self._measured(trained(range(self._members), 0))
        generator = self._subject.seed.derive("membership/shadows").numpy_generator()
        pool = np.arange(self._attacked, len(self._rows.targets))
        shadows = []
        for at in range(1, SHADOWS + 1):
            chosen = generator.choice(pool, self._members, replace=False).tolist()
            shadows.append(self._measured(trained(chosen, at))[0])
        return Exposure(
            by_loss=membership(*self._split(losses)),
            by_shadows=membership(*self._split(against_shadows(losses, np.stack(shadows)))),
            train_accuracy=float(right[: self._members].mean()),
            other_accuracy=float(right[self._members :].mean()),
        )

    def _split(self, losses: Losses) -> tuple[Losses, Losses]:
        return losses[: self._members], losses[self._members :]

    def _measured(self, trainable: nn.Module) -> tuple[Losses, NDArray[np.bool_]]:
        """Of members and others: the loss, and whether the label as it stands is predicted."""
        with torch.no_grad():
            batch = self._rows.batch(range(self._attacked))
            right = (trainable(batch)["text"].argmax(1) == batch["targets"]).numpy()
            return self._rows.losses(trainable, batch).double().numpy(), right


def _make_optimizer(parameters: list[nn.Parameter]) -> SGD:
    return SGD(parameters, lr=LEARNING_RATE)


def _loop(size_bucket: int) -> TrainingLoop:
    return TrainingLoop(_make_optimizer, size_bucket, 4096, lambda record: None)
