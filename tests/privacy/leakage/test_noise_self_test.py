# SPDX-License-Identifier: Apache-2.0
"""The noise self-test passes sound noise and finds each kind of unsound noise by its name.

That the training loop's own noise is held to it: tests/client/site/test_site_mechanism_check.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from privacy.base.randomness import PublicSeed, SecretSeed
from privacy.dp.noise import GaussianStream
from privacy.leakage import noise
from privacy.protocol import mechanism

Streams = NDArray[np.float32]
KEY = SecretSeed(bytes(range(32)))


@pytest.fixture(scope="module")
def sound() -> Streams:
    """As many streams, of as many draws, as the test takes."""
    generator = PublicSeed.from_integer(1).numpy_generator()
    return generator.standard_normal((12, noise.STREAM_DRAWS), dtype=np.float32)


def steps_of(std: float) -> noise.ZeroSteps:
    def steps(seed: SecretSeed) -> list[Streams]:
        drawn = GaussianStream(seed).fill((noise.STEPS, noise.STREAM_DRAWS), std)
        return list(drawn.astype(np.float32))

    return steps


def test_our_noise_is_as_large_as_planned_to_one_part_in_a_thousand() -> None:
    found = noise.noise_self_test(steps_of(0.03), KEY, 0.03)
    assert found.passed
    assert abs(found.sigma_error) <= 1e-3
    assert found.draws == noise.DRAWS


def test_noise_of_half_a_percent_less_is_found() -> None:
    assert "sigma" in noise.noise_self_test(steps_of(0.02985), KEY, 0.03).broken


def neighbours(streams: Streams) -> Streams:
    """Each value half made of the one before."""
    mixed = streams.copy()
    mixed[:, 1:] = np.sqrt(0.75) * streams[:, 1:] + 0.5 * streams[:, :-1]
    return mixed


def with_signs(streams: Streams) -> Streams:
    """The second stream is the first with other signs: uncorrelated, and all but independent."""
    broken = streams.copy()
    broken[1] = streams[0] * np.sign(streams[1])
    return broken


def faintly_shared(streams: Streams) -> Streams:
    broken = streams.copy()
    broken[3] = np.sqrt(1 - 0.01**2) * streams[3] + 0.01 * streams[7]
    return broken


def coarse(streams: Streams) -> Streams:
    return (np.round(streams * 50) / 50).astype(np.float32)


BROKEN: dict[Callable[[Streams], Streams], str] = {
    neighbours: "streams",
    with_signs: "streams",
    faintly_shared: "streams",
    coarse: "distribution",
}


@pytest.mark.parametrize("breaking", BROKEN, ids=lambda breaking: breaking.__name__)
def test_what_is_not_independent_or_not_gaussian_is_found(
    sound: Streams, breaking: Callable[[Streams], Streams]
) -> None:
    assert BROKEN[breaking] in noise.measure(breaking(sound)).broken


def test_one_stream_with_less_noise_is_found_among_eleven_sound_ones(sound: Streams) -> None:
    broken = sound.copy()
    broken[5] *= np.float32(0.993)  # moves the estimate over all streams by 0.06 %
    found = noise.measure(broken)
    assert abs(found.sigma_error) < 1e-3
    assert found.broken == ("sigma",)


def test_a_stream_that_never_leaves_four_and_a_half_sigma_is_found(sound: Streams) -> None:
    assert "tails" in noise.measure(np.clip(sound, -4.5, 4.5)).broken


def test_no_two_attempts_of_the_test_share_a_seed() -> None:
    seeds = [noise.attempt_seed(KEY, *place).commit("seed") for place in noise.ATTEMPTS]
    assert len(set(seeds)) == len(noise.ATTEMPTS)


def test_the_test_makes_enough_draws_for_what_a_site_then_says() -> None:
    assert noise.DRAWS >= mechanism.LEAST_DRAWS
    assert 1e-3 * np.sqrt(2 * mechanism.LEAST_DRAWS) > 4.4  # standard errors
