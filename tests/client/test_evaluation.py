# SPDX-License-Identifier: Apache-2.0
"""Counts leave with the noise that was asked for, and without it only where the data is public."""

from __future__ import annotations

import math

import numpy as np
import pytest

from client.evaluation import Counts, noised_metrics
from privacy.dp.params import PrivacySpent
from privacy.randomness import SecretSeed

COUNTS = Counts(right=(5, 0, 7), actual=(9, 3, 8), predicted=(8, 2, 10))
SPENT = PrivacySpent(epsilon="1", delta="0.001", unit="patient", accountant="prv", events=())


def sent(noise: str | None, seed: int = 1) -> np.ndarray:
    metrics = noised_metrics(COUNTS, noise, math.sqrt(3), SecretSeed(seed.to_bytes(32, "big")), "a" * 64, SPENT, 3)
    assert {len(metrics.right), len(metrics.actual), len(metrics.predicted)} == {3}
    return np.array(metrics.right + metrics.actual + metrics.predicted)


def test_public_counts_are_exact_and_say_so() -> None:
    metrics = noised_metrics(COUNTS, None, math.sqrt(3), SecretSeed(bytes(32)), "a" * 64, None, 3)
    assert (metrics.right, metrics.actual, metrics.predicted) == (COUNTS.right, COUNTS.actual, COUNTS.predicted)
    assert (metrics.noise_std, metrics.spent) == ("0", None)


def test_the_noise_has_the_standard_deviation_that_the_accountant_counts() -> None:
    """sqrt(3) times the multiplier, for each of nine counts: 2000 draws know it to about 1 part in 130."""
    exact = np.array(COUNTS.right + COUNTS.actual + COUNTS.predicted)
    noise = np.concatenate([sent("4", seed) - exact for seed in range(2000)])
    assert abs(noise.std() / (4 * math.sqrt(3)) - 1) < 0.03
    assert abs(noise.mean()) < 0.2
    per_count = noise.reshape(-1, 9)
    between = np.corrcoef(per_count.T) - np.eye(9)
    assert np.abs(between).max() < 0.12  # no two counts share their noise


def test_one_seed_gives_one_noise_and_another_seed_another() -> None:
    assert np.array_equal(sent("4"), sent("4"))
    assert not np.array_equal(sent("4"), sent("4", seed=2))


def test_figures_of_counts() -> None:
    assert COUNTS.accuracy == pytest.approx(12 / 20)
    assert COUNTS.macro_f1 == pytest.approx((10 / 17 + 0 + 14 / 18) / 3)
    nothing = Counts((0, 0), (0, 0), (0, 0))
    assert (nothing.accuracy, nothing.macro_f1) == (None, 0.0)
