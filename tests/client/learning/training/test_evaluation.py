# SPDX-License-Identifier: Apache-2.0
"""Counts leave with the noise that was asked for, and without it only where the data is public."""

from __future__ import annotations

import math

import numpy as np
import pytest

from client.learning.training.evaluation import CountNoise, Counts, noised_metrics
from privacy.base.randomness import SecretSeed
from privacy.dp.params import PrivacySpent
from privacy.protocol.plans import EvaluationPlan, Figures, TaskPlan, TrainingPlan

COUNTS = Counts(right=(5, 0, 7), actual=(9, 3, 8), predicted=(8, 2, 10))
SPENT = PrivacySpent(epsilon="1", delta="0.001", unit="patient", accountant="prv", events=())


def plan(figures: Figures = "per_class", noise: str | None = "4", **task: int) -> EvaluationPlan:
    return EvaluationPlan(
        run_id="spring",
        server_round=1,
        sites=("clinic",),
        public_seed="00" * 32,
        task=TaskPlan.model_validate({"name": "any", "labels": ("a", "b", "c"), "max_tokens": 16, **task}),
        pretrained_digest="a" * 64,
        tokenizer_digest="b" * 64,
        contract_digest="c" * 64,
        model_digest="d" * 64,
        training=TrainingPlan(
            scope="head",
            top_layers=0,
            lora_rank=0,
            lora_alpha=0,
            optimizer="sgd",
            learning_rate="1",
            head_learning_rate="1",
            momentum="0",
            weight_decay="0",
            dropout="0",
            physical_batch_size=8,
        ),
        unit="patient",
        noise_multiplier=noise,
        target_delta="0.001",
        figures=figures,
    )


def sent(figures: Figures = "per_class", seed: int = 1, bucket: int = 64) -> np.ndarray:
    asked = plan(figures)
    secret = SecretSeed(seed.to_bytes(32, "big"))
    metrics = noised_metrics(COUNTS, asked, CountNoise(asked.noise_std(), secret, bucket), SPENT, 3)
    return np.array((metrics.correct, metrics.incorrect, *metrics.right, *metrics.actual, *metrics.predicted))


@pytest.mark.parametrize("figures", ["accuracy", "per_class"])
def test_public_counts_are_exact_and_say_so(figures: Figures) -> None:
    metrics = noised_metrics(COUNTS, plan(figures), CountNoise("0", SecretSeed(bytes(32)), 1), None, 3)
    assert (metrics.correct, metrics.incorrect, metrics.noise_std, metrics.spent) == (12, 8, "0", None)
    by_class = (metrics.right, metrics.actual, metrics.predicted)
    assert by_class == (((), (), ()) if figures == "accuracy" else (COUNTS.right, COUNTS.actual, COUNTS.predicted))


@pytest.mark.parametrize(
    ("figures", "counts", "std"), [("accuracy", 2, 4.0), pytest.param("per_class", 11, 8.0, marks=pytest.mark.slow)]
)
def test_the_noise_has_the_standard_deviation_that_the_accountant_counts(
    figures: Figures, counts: int, std: float
) -> None:
    """Multiplier 4 times what one unit moves: 1 for right and wrong alone, 2 with the counts by class."""
    exact = np.array((12, 8, *COUNTS.right, *COUNTS.actual, *COUNTS.predicted)[:counts])
    noise = np.stack([sent(figures, seed) - exact for seed in range(4000)])
    assert float(plan(figures).noise_std()) == std
    assert abs(noise.std() / std - 1) < 0.03
    assert abs(noise.mean()) < 0.3
    between = np.corrcoef(noise.T) - np.eye(counts)
    assert np.abs(between).max() < 0.09  # no two counts share their noise


def test_the_sensitivity_is_what_one_unit_can_move_and_no_more() -> None:
    """By brute force: all that a unit may add to correct, incorrect, right, actual and predicted of two labels."""

    def rows(most: int, per_label: int) -> list[tuple[int, ...]]:
        pairs = [(i, j) for i in range(per_label + 1) for j in range(per_label + 1) if i + j <= most]
        return [
            (sum(r), sum(a) - sum(r), *r, *a, *p)
            for a in pairs
            for r in pairs
            for p in pairs
            if r <= a and r[1] <= a[1]
        ]

    for most, per_label in ((1, 1), (2, 1), (2, 2), (3, 3)):
        task = plan(counted=most, counted_per_label=per_label).task
        moved = np.array(rows(most, per_label), np.float64)
        for figures, part, tight in (("accuracy", moved[:, :2], True), ("per_class", moved, most <= 2 * per_label)):
            found, said = np.linalg.norm(part, axis=1).max(), task.counts_sensitivity(figures)
            assert found <= said + 1e-12, (most, per_label, figures)
            assert not tight or found == pytest.approx(said), (most, per_label, figures)
    assert TaskPlan(name="any", labels=("a",), max_tokens=16).counts_sensitivity(None) == math.sqrt(3)


def test_no_noised_count_lies_beyond_what_the_plan_lets_anybody_say() -> None:
    asked, huge = plan("accuracy"), Counts((10**9,), (10**9,), (0,))
    metrics = noised_metrics(huge, asked, CountNoise(asked.noise_std(), SecretSeed(bytes(32)), 8), SPENT, 3)
    assert metrics.correct == asked.largest_count(8, asked.noise_std()) == 4 * 8 + 64
    assert abs(metrics.incorrect) < 64


def test_one_seed_gives_one_noise_and_another_seed_another() -> None:
    assert np.array_equal(sent(), sent())
    assert not np.array_equal(sent(), sent(seed=2))


def test_figures_of_counts() -> None:
    assert COUNTS.accuracy == pytest.approx(12 / 20)
    assert COUNTS.macro_f1 == pytest.approx((10 / 17 + 0 + 14 / 18) / 3)
    nothing = Counts((0, 0), (0, 0), (0, 0))
    assert (nothing.accuracy, nothing.macro_f1) == (None, 0.0)
