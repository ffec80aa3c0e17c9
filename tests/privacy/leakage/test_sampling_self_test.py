# SPDX-License-Identifier: Apache-2.0
"""The sampling self-test passes independent coins at any rate and finds what is no Poisson sampling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from privacy.base.randomness import PublicSeed, SecretSeed
from privacy.dp.sampling import PoissonUnits
from privacy.leakage import sampling


def ours(rate: str, seed: int) -> sampling.DrawUnits:
    def draw(steps: int, units: int) -> sampling.Draws:
        poisson = PoissonUnits(SecretSeed(bytes([seed]) * 32), [[at] for at in range(units)], rate)
        draws = np.zeros((steps, units), np.bool_)
        for step in range(steps):
            draws[step, next(poisson)] = True
        return draws

    return draw


@pytest.mark.parametrize("rate", ["1", "0.9", "0.25", "0.01", "0.0005"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_our_sampling_passes_at_any_rate(rate: str, seed: int) -> None:
    assert sampling.sampling_self_test(ours(rate, seed), float(rate)).passed


@pytest.mark.parametrize(("drawn", "claimed"), [("1", 0.25), ("0.27", 0.25), ("0.25", 1.0), ("0.0007", 0.0005)])
def test_another_rate_than_the_claimed_one_is_found(drawn: str, claimed: float) -> None:
    assert "rate" in sampling.sampling_self_test(ours(drawn, 1), claimed).broken


def shuffled_epochs(steps: int, units: int) -> sampling.Draws:
    """What a shuffling loader does: every unit once in four batches, in a new order each time."""
    generator, draws = PublicSeed.from_integer(3).numpy_generator(), np.zeros((steps, units), np.bool_)
    for step in range(0, steps, 4):
        for at, chosen in enumerate(np.split(generator.permutation(units), 4)):
            draws[step + at, chosen] = True
    return draws


def fixed_size(steps: int, units: int) -> sampling.Draws:
    generator = PublicSeed.from_integer(4).numpy_generator()
    return np.stack([generator.permutation(units) < units // 4 for _ in range(steps)])


def favourites(steps: int, units: int) -> sampling.Draws:
    """The right rate on average, and units that come twice as often as others."""
    generator = PublicSeed.from_integer(5).numpy_generator()
    rates = np.where(np.arange(units) % 2, 1 / 3, 1 / 6)
    return generator.random((steps, units)) < rates


def lasting(steps: int, units: int) -> sampling.Draws:
    """A unit that was drawn is likelier to be drawn again."""
    generator = PublicSeed.from_integer(6).numpy_generator()
    draws = np.zeros((steps, units), np.bool_)
    draws[0] = generator.random(units) < 0.25
    for step in range(1, steps):
        draws[step] = generator.random(units) < np.where(draws[step - 1], 0.4, 0.2)
    return draws


@pytest.mark.parametrize(
    ("draw", "test"),
    [
        (shuffled_epochs, "batch_sizes"),
        (shuffled_epochs, "unit_counts"),
        (shuffled_epochs, "repeats"),
        (fixed_size, "batch_sizes"),
        (favourites, "unit_counts"),
        (lasting, "repeats"),
    ],
)
def test_what_only_looks_like_poisson_sampling_is_found(draw: Callable[[int, int], sampling.Draws], test: str) -> None:
    assert test in sampling.sampling_self_test(draw, 0.25).broken


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.9, 0.25, 0.05, 0.002])
def test_chance_alone_never_comes_near_a_limit(rate: float) -> None:
    generator = PublicSeed.from_integer(7).numpy_generator()
    for _ in range(300):
        found = sampling.sampling_self_test(lambda steps, units: generator.random((steps, units)) < rate, rate)
        assert max(abs(found.rate_z), abs(found.batch_size_z), abs(found.unit_count_z), abs(found.repeat_z)) < 5.5
