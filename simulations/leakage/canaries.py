# SPDX-License-Identifier: Apache-2.0
"""The one-run audit of the training loop: mislabelled canaries among notes, and an adversary who sees every step.

A canary's row points where no other row of its label points, so that its clipped gradient is a direction of its own:
the worst rows that a linear head can meet, not typical ones. The adversary knows all rows, the model at each step and
what each step released (as a coordinator with one step a round would); not whom the coins chose, nor whom steps drew.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from privacy.base.randomness import SecretSeed
from privacy.dp.training import TrainingData, TrainingLoop, train
from privacy.leakage.one_run import Audit, Coins, Scores, audit, likelihood_scores
from privacy.leakage.recorder import RecordingSGD
from simulations.leakage.subject import Claim, Plant, PooledRows, Subject, training_plan

CANARIES: Final = 1024
ORDINARY: Final = 256
"""Notes that are always in."""
SIZE_BUCKET: Final = 800
LENGTH: Final = 32.0
"""Norm of a canary's row: so long that the bias, which canaries of one label share, hardly counts."""
LEARNING_RATE: Final = 0.01


class HeadAudit:
    """One audit of a head over cached features, of `canaries` canaries; each `run` is a training of its own."""

    def __init__(self, subject: Subject, claim: Claim, canaries: int = CANARIES, ordinary: int = ORDINARY) -> None:
        self.subject, self._claim, self._count, self._ordinary = subject, claim, canaries, ordinary
        self._training = training_plan("head", LEARNING_RATE)
        notes = subject.pooled("audit", ordinary)
        width, labels = notes.pooled.shape[1], len(subject.task.labels)
        if canaries > width * (labels - 1):
            raise ValueError(f"there are {width * (labels - 1)} directions for canaries, not {canaries}")
        generator = subject.seed.derive("canaries").numpy_generator()
        directions = np.linalg.qr(generator.standard_normal((width, width)))[0]
        which = np.arange(canaries)
        rows = (LENGTH * directions[which // (labels - 1)]).astype(np.float32)
        self._examples: PooledRows = notes.followed_by(rows, which % (labels - 1))
        pooled = self._examples.pooled.numpy().astype(np.float64)
        self._inputs = np.hstack([pooled, np.ones((len(pooled), 1))])

    def run(self, attempt: int, plant: Plant | None = None, confidence: float = 0.95) -> Audit:
        """Flip the coins, train once, guess. The same attempt has the same coins and seeds, whatever is planted."""
        coins = self.subject.seed.derive(f"coins/{attempt}").numpy_generator().random(self._count) < 0.5
        seed = self.subject.secret(f"audit/{attempt}")
        return audit(
            lambda included: self._scores(included, seed, plant),
            coins,
            epsilon_claimed=self._claim.epsilon,
            delta=self._claim.delta,
            confidence=confidence,
        )

    def _scores(self, included: Coins, seed: SecretSeed, plant: Plant | None) -> Scores:
        units = [[row] for row in range(self._ordinary)]
        units += [[self._ordinary + int(at)] for at in np.flatnonzero(included)]
        start, released = self._train(units, seed, plant)
        observed = released
        if plant == "seed":  # whoever has the seed makes the same noise and takes it off
            observed = released - self._train([], seed, plant)[1]
        models = start - LEARNING_RATE * np.cumsum(np.concatenate([np.zeros_like(start)[None], released[:-1]]), axis=0)
        expected = float(self._claim.sample_rate) * SIZE_BUCKET
        projections = np.stack(
            [self._along(model, step) for model, step in zip(models, observed * expected, strict=True)]
        )
        return likelihood_scores(projections, float(self._claim.sample_rate))

    def _train(
        self, units: list[list[int]], seed: SecretSeed, plant: Plant | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The loop as it is. Returns the first model, (labels, width + 1), bias last, and what each step released."""
        trainable = self.subject.model(self._training).trainable
        head = trainable.classifier
        assert head is not None
        start = np.hstack([head.weight.detach().numpy(), head.bias.detach().numpy()[:, None]]).astype(np.float64)
        released: list[NDArray[np.float32]] = []
        train(
            trainable,
            TrainingData(self._examples, units, longest=1),
            self._claim.params(plant),
            TrainingLoop(
                lambda parameters: RecordingSGD(parameters, LEARNING_RATE, released.append),
                self._claim.bucket(SIZE_BUCKET, plant),
                2048,
                lambda record: None,
            ),
            seed=seed,
        )
        flat, cut = np.stack(released).astype(np.float64), head.weight.numel()
        weights = flat[:, :cut].reshape(len(flat), *head.weight.shape)
        return start, np.concatenate([weights, flat[:, cut:, None]], axis=2)

    def _along(self, model: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
        """`step` along each canary's gradient at `model`, of length 1; shape (canaries,).

        The direction of the ordinary rows, whom the adversary knows, is taken out first.
        """
        errors, lengths = self._errors(model)
        clipped = errors[: self._ordinary] / np.maximum(lengths[: self._ordinary], 1)[:, None]
        known = clipped.T @ self._inputs[: self._ordinary]
        moved = step - known * ((known * step).sum() / (known * known).sum())
        along = (errors * (self._inputs @ moved.T)).sum(axis=1) / lengths
        return np.asarray(along[self._ordinary :])

    def _errors(self, model: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of each row: the derivative of its loss by the logits, (rows, labels), and its gradient's length, (rows,)."""
        logits = self._inputs @ model.T
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        errors = odds / odds.sum(axis=1, keepdims=True)
        errors[np.arange(len(errors)), self._examples.targets.numpy()] -= 1
        return errors, np.linalg.norm(errors, axis=1) * np.linalg.norm(self._inputs, axis=1)
