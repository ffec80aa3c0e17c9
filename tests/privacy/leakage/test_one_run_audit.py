# SPDX-License-Identifier: Apache-2.0
"""The one-run audit: its bound is below the truth, near it for a mechanism that is easy to audit, and above a lie."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from privacy.base.randomness import PublicSeed
from privacy.leakage.one_run import (
    GUESSES,
    audit,
    best_bound,
    epsilon_lower_bound,
    likelihood_scores,
    p_value,
    refutable,
)

CANARIES = 1024


def randomized_response(epsilon: float, seed: int, canaries: int = CANARIES) -> float:
    """The audit's bound of telling each coin truly with probability e^epsilon / (1 + e^epsilon)."""
    generator = PublicSeed.from_integer(seed).numpy_generator()
    coins = generator.random(canaries) < 0.5
    told = np.where(generator.random(canaries) < 1 / (1 + math.exp(-epsilon)), coins, ~coins)
    scores = told + 1e-6 * generator.random(canaries)
    return best_bound(scores, coins, epsilon_claimed=epsilon, delta=1e-5, confidence=0.95).epsilon_lower


@pytest.mark.parametrize("epsilon", [0.5, *(pytest.param(epsilon, marks=pytest.mark.slow) for epsilon in (1.0, 3.0))])
def test_the_bound_is_below_the_truth_in_all_but_one_of_twenty_and_not_far_below(epsilon: float) -> None:
    """Randomized response is as leaky as its epsilon allows."""
    bounds = np.array([randomized_response(epsilon, seed) for seed in range(200)])
    assert (bounds > epsilon).mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)
    assert bounds.mean() > 0.65 * epsilon


def test_scores_that_know_nothing_refute_nothing() -> None:
    generator = PublicSeed.from_integer(1).numpy_generator()
    bounds = [
        best_bound(
            generator.random(CANARIES),
            generator.random(CANARIES) < 0.5,
            epsilon_claimed=0.01,
            delta=1e-5,
            confidence=0.95,
        )
        for _ in range(200)
    ]
    assert np.mean([one.refuted for one in bounds]) <= 0.1
    assert np.mean([one.epsilon_lower for one in bounds]) < 0.05


def test_a_leak_of_every_coin_is_bounded_by_what_so_many_canaries_can_show() -> None:
    coins = PublicSeed.from_integer(2).numpy_generator().random(CANARIES) < 0.5
    found = audit(lambda included: included.astype(float), coins, epsilon_claimed=1.0, delta=1e-5)
    assert found.refuted
    assert found.epsilon_lower == pytest.approx(refutable(CANARIES, 1e-5), abs=0.6)
    assert refutable(CANARIES, 1e-5) > 5
    assert refutable(20 * CANARIES, 1e-5) > refutable(CANARIES, 1e-5)


def test_without_delta_the_p_value_is_the_binomials() -> None:
    assert p_value(1000, 100, 80, 1.0, 0.0) == pytest.approx(binom.sf(79, 100, math.e / (1 + math.e)))
    assert p_value(1000, 100, 0, 1.0, 1e-5) == 1.0


def test_delta_only_weakens_the_bound() -> None:
    bounds = [epsilon_lower_bound(CANARIES, 400, 390, delta, 0.01) for delta in (0.0, 1e-6, 1e-4, 1e-2)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] - bounds[1] < 0.05
    assert bounds[-1] < bounds[0] - 0.5


@given(guesses=st.integers(10, 400), more=st.floats(0.1, 2.0), share=st.floats(0.5, 1.0), delta=st.floats(0, 1e-4))
def test_a_larger_epsilon_makes_many_right_guesses_likelier(
    guesses: int, more: float, share: float, delta: float
) -> None:
    right = round(share * guesses)
    for epsilon in (0.0, 0.7, 2.0):
        assert (
            p_value(400, guesses, right, epsilon, delta) <= p_value(400, guesses, right, epsilon + more, delta) + 1e-9
        )


@pytest.mark.parametrize(("guesses", "right"), [(10, 11), (2000, 5), (10, -1)])
def test_impossible_counts_are_refused(guesses: int, right: int) -> None:
    with pytest.raises(ValueError, match="at most as many"):
        p_value(CANARIES, guesses, right, 1.0, 1e-5)


def test_the_ways_to_guess_never_name_a_canary_twice() -> None:
    assert all(0 < share_in + share_out <= 1 for share_in, share_out in GUESSES)


def test_the_likelihood_finds_who_was_drawn_a_few_times_better_than_the_sum_does() -> None:
    """Five spikes among a hundred steps: where noise is small, a sum drowns them in the steps without one."""
    generator = PublicSeed.from_integer(4).numpy_generator()
    coins = np.arange(CANARIES) % 2 == 0
    steps = generator.standard_normal((100, CANARIES)) * 0.5 + (generator.random((100, CANARIES)) < 0.05) * coins
    by_likelihood, by_sum = (
        best_bound(scores, coins, epsilon_claimed=1, delta=1e-5, confidence=0.95).epsilon_lower
        for scores in (likelihood_scores(steps, 0.05), steps.sum(axis=0))
    )
    assert by_likelihood > by_sum > 0
