# SPDX-License-Identifier: Apache-2.0
"""The audit of the real loop: an honest training is never refuted, and each bug is, whether planted or in the loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from privacy.base.randomness import PublicSeed, SecretSeed
from privacy.dp import training
from privacy.dp.noise import GaussianStream
from privacy.dp.sampling import PoissonUnits
from simulations.leakage.canaries import CANARIES, SIZE_BUCKET, HeadAudit
from simulations.leakage.subject import Claim, Plant, Subject

CLAIM = Claim(epsilon=1.0, delta=1e-5, noise_multiplier="2.16", sample_rate="0.05", steps=100)


@pytest.fixture(scope="module")
def head() -> HeadAudit:
    return HeadAudit(Subject(PublicSeed.from_integer(5)), CLAIM, ordinary=64)


def test_the_claim_is_what_the_accountant_says() -> None:
    assert Claim.calibrated(1.0, 0.05, 100) == Claim(pytest.approx(0.999, abs=0.002), 1e-5, "2.16", "0.05", 100)


def test_there_are_enough_canaries_to_refute_an_epsilon_of_one() -> None:
    assert CANARIES >= 1000


@pytest.mark.parametrize("attempt", [0, *(pytest.param(at, marks=pytest.mark.slow) for at in (1, 2))])
def test_an_honest_training_is_not_refuted(head: HeadAudit, attempt: int) -> None:
    found = head.run(attempt)
    assert not found.refuted
    assert found.epsilon_lower < 0.7


@pytest.mark.parametrize("plant", ["noise", "sampling", "seed"])
@pytest.mark.parametrize("attempt", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_planted_bug_is_caught_at_95_percent_confidence(head: HeadAudit, plant: Plant, attempt: int) -> None:
    found = head.run(attempt, plant)
    assert found.refuted
    assert found.epsilon_lower > 2.5
    assert (found.confidence, found.epsilon_claimed) == (0.95, 1.0)


class TenthOfTheNoise(GaussianStream):
    def fill(self, shape: Any, std: float) -> Any:
        return super().fill(shape, std / 10)


class EveryoneAlways(PoissonUnits):
    def draw(self) -> list[list[int]]:
        return [list(unit)[: self._most] for unit in self._units]


class OneSeedForAll(GaussianStream):
    def __init__(self, seed: SecretSeed) -> None:
        super().__init__(SecretSeed(bytes(32)))


@pytest.mark.parametrize(("part", "broken"), [("GaussianStream", TenthOfTheNoise), ("PoissonUnits", EveryoneAlways)])
def test_a_bug_inside_the_loop_is_caught_too(
    head: HeadAudit, monkeypatch: pytest.MonkeyPatch, part: str, broken: type
) -> None:
    monkeypatch.setattr(training, part, broken)
    assert head.run(0).refuted


def test_an_adversary_without_the_seed_does_not_find_a_noise_that_is_only_the_same_each_time(
    head: HeadAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the audit cannot see: noise that repeats between trainings is as good as any within one."""
    monkeypatch.setattr(training, "GaussianStream", OneSeedForAll)
    assert not head.run(0).refuted


def test_a_smaller_bug_gives_a_smaller_bound(head: HeadAudit) -> None:
    honest, planted = head.run(1), head.run(1, "noise")
    assert honest.epsilon_lower < planted.epsilon_lower


def test_the_same_seed_gives_the_same_audit(head: HeadAudit) -> None:
    assert head.run(3) == head.run(3)


def test_more_canaries_than_directions_are_refused() -> None:
    with pytest.raises(ValueError, match="directions"):
        HeadAudit(Subject(PublicSeed.from_integer(5)), CLAIM, canaries=4000, ordinary=4)


@pytest.mark.parametrize("plant", [None, "noise", "sampling", "seed"])
def test_whatever_is_planted_a_sum_is_divided_by_the_same_number(plant: Plant | None) -> None:
    rate = float(CLAIM.params(plant).sample_rate)
    assert np.isclose(rate * CLAIM.bucket(SIZE_BUCKET, plant), 0.05 * SIZE_BUCKET)
