# SPDX-License-Identifier: Apache-2.0
"""Membership by loss: the rate and its interval, what epsilon allows, and what shadow models add."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from privacy.base.randomness import PublicSeed
from privacy.leakage.membership import against_shadows, bound, membership


def drawn(seed: int, shift: float, members: int = 300, others: int = 600) -> tuple[np.ndarray, np.ndarray]:
    generator = PublicSeed.from_integer(seed).numpy_generator()
    return generator.normal(-shift, 1, members), generator.normal(0, 1, others)


def test_the_interval_holds_the_true_rate_nineteen_times_of_twenty() -> None:
    true = norm.cdf(norm.ppf(0.01) + 2.0)
    held = [(found := membership(*drawn(seed, 2.0))).low <= true <= found.high for seed in range(300)]
    assert np.mean(held) >= 0.95


def test_losses_that_say_nothing_give_one_percent_and_half() -> None:
    found = [membership(*drawn(seed, 0.0)) for seed in range(100)]
    assert np.mean([one.tpr for one in found]) == pytest.approx(0.01, abs=0.004)
    assert np.mean([one.auc for one in found]) == pytest.approx(0.5, abs=0.01)


def test_no_hit_among_few_rows_is_no_proof_of_none() -> None:
    found = membership(np.ones(200), np.zeros(400))
    assert (found.tpr, found.low) == (0, 0)
    assert found.high > 0.015


def test_an_attack_that_knows_all_is_told_so() -> None:
    found = membership(np.zeros(2000), np.ones(3000))
    assert (found.tpr, found.auc) == (1.0, 1.0)
    assert found.low > 0.99


def test_ties_count_half_and_never_as_a_hit() -> None:
    found = membership(np.zeros(200), np.zeros(200))
    assert (found.tpr, found.auc) == (0.0, 0.5)


def test_the_area_is_the_share_of_pairs_in_order() -> None:
    members, others = drawn(5, 0.7, 120, 150)
    pairs = (members[:, None] < others[None, :]).mean()
    assert membership(members, others).auc == pytest.approx(pairs)


@pytest.mark.parametrize(("epsilon", "allowed"), [(0.0, 0.01), (1.0, math.e * 0.01), (8.0, 1.0)])
def test_what_epsilon_allows(epsilon: float, allowed: float) -> None:
    assert bound(epsilon, 0.0) == pytest.approx(allowed)


def test_too_few_other_rows_have_no_one_percent() -> None:
    with pytest.raises(ValueError, match="100 rows"):
        membership(np.zeros(10), np.zeros(99))


def test_shadow_models_tell_a_hard_row_that_was_learnt_from_an_easy_one() -> None:
    """Row 0 is easy for every model, row 1 hard for all that never saw it: by loss they look alike."""
    losses = np.array([0.05, 0.05])
    shadows = np.array([[0.05, 3.0], [0.06, 2.5], [0.04, 3.5]])
    easy, hard = against_shadows(losses, shadows)
    assert hard < easy - 3
    assert easy == pytest.approx(0, abs=0.3)


def test_losses_at_the_ends_give_finite_scores() -> None:
    assert np.isfinite(against_shadows(np.array([0.0, 1e-12, 800.0]), np.zeros((2, 3)))).all()
