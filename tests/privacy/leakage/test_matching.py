# SPDX-License-Identifier: Apache-2.0
"""The matched filter finds what no noise hides, and what it may find under noise is what the proof allows."""

from __future__ import annotations

import numpy as np
import pytest

from client.settings.policy import PolicySection
from privacy.leakage.matching import Matched, allowed, likelihoods, matched

CANDIDATES, WIDTH = 40, 400


def attacked(noise: float, claimed: str, tries: int = 400) -> Matched:
    """Candidates that are at right angles, as long as the bound: the worst that a step can meet."""
    generator = np.random.default_rng(1)
    gradients = np.eye(CANDIDATES, WIDTH, dtype=np.float32)
    true = np.arange(tries) % CANDIDATES
    received = gradients[true] + noise * generator.standard_normal((tries, WIDTH)).astype(np.float32)
    return matched(np.stack([likelihoods(received, one) for one in gradients], axis=1), true, claimed)


def test_without_noise_the_right_one_is_named_every_time() -> None:
    found = attacked(1e-6, "0.000001")
    assert (found.rate, found.mean_rank) == (1.0, 0.0)


@pytest.mark.parametrize("noise", ["0.3", "0.5", "1", "3"])
def test_under_honest_noise_it_is_named_as_often_as_is_allowed_and_no_more(noise: str) -> None:
    found = attacked(float(noise), noise)
    assert found.holds
    assert found.rate > 0.4 * found.allowed  # the filter is worth its name


@pytest.mark.parametrize("claimed", ["1", "2"])
def test_noise_that_is_half_of_what_is_claimed_is_seen(claimed: str) -> None:
    assert not attacked(float(claimed) / 2, claimed).holds


def test_what_is_allowed_falls_to_chance_with_the_noise() -> None:
    assert allowed(40, 1e9) == pytest.approx(1 / 40)
    assert allowed(40, 0.0) == 1.0
    assert [round(allowed(40, noise), 3) for noise in (0.3, 0.65, 1, 3)] == [0.915, 0.337, 0.169, 0.052]


def test_the_default_policy_leaves_the_filter_wrong_in_two_of_three_cases() -> None:
    least = PolicySection.model_fields["min_noise_multiplier"].default
    assert allowed(40, least) < 0.35


def test_a_shorter_gradient_is_not_taken_for_a_longer_one_along_it() -> None:
    """The term |g|^2 / 2: without it the longest candidate along what was received would always win."""
    long, short = np.array([2.0, 0.0], np.float32), np.array([0.5, 0.0], np.float32)
    received = np.stack([long, short])
    scores = np.stack([likelihoods(received, one) for one in (long, short)], axis=1)
    assert scores.argmax(axis=1).tolist() == [0, 1]
