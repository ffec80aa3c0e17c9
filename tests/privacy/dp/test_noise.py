# SPDX-License-Identifier: Apache-2.0
"""Noise and sampling: keyed, replayable, unshared, and distributed as the accountant assumes."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from privacy.base.errors import ContractError
from privacy.base.randomness import SecretSeed
from privacy.dp.keystream import KeyStream
from privacy.dp.noise import GaussianStream, gaussian_integers, noised_counts
from privacy.dp.sampling import PoissonUnits


def key(number):
    return SecretSeed(number.to_bytes(32, "big"))


def normals(number, size=200_000):
    return GaussianStream(key(number)).fill(size, 1.0)


def test_the_keystream_is_aes_256_in_counter_mode_read_once():
    secret = key(3).derive("gaussian").expose("test")
    expected = Cipher(algorithms.AES(secret), modes.CTR(bytes(16))).encryptor().update(bytes(80))
    stream = KeyStream(key(3), "gaussian")
    assert b"".join(stream.words(count).astype("<u8").tobytes() for count in (1, 4, 0, 5)) == expected


def test_a_normal_is_box_muller_of_63_bit_uniforms():
    words = KeyStream(key(3), "gaussian").words(1 << 14)
    pairs = 1 << 13
    for index in (0, 1, 5000):
        u, v = ((int(word) >> 1) + 0.5 for word in (words[index], words[index + pairs]))
        radius, angle = math.sqrt(-2 * math.log(u * 2.0**-63)), 2 * math.pi * v * 2.0**-63
        block = normals(3, 1 << 14)
        assert block[index] == pytest.approx(radius * math.cos(angle), rel=1e-12)
        assert block[index + pairs] == pytest.approx(radius * math.sin(angle), rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=5))
def test_how_a_stream_is_split_does_not_change_it(sizes):
    stream = GaussianStream(key(1))
    assert np.array_equal(np.concatenate([stream.fill(size, 1.0) for size in sizes]), normals(1, sum(sizes)))


def test_the_same_seed_replays_in_another_process_with_more_threads():
    program = (
        "from privacy.dp.noise import GaussianStream; from privacy.base.randomness import SecretSeed; import hashlib;"
        "print(hashlib.sha256(GaussianStream(SecretSeed(bytes(32))).fill((3, 33333), 0.7).tobytes()).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(seen) == 1


def test_no_two_seeds_purposes_or_attempts_share_a_stream():
    plan, other = "0" * 64, "1" * 64
    attempts = [
        SecretSeed.for_attempt(key(site), bytes([nonce]) * 32, digest)
        for site in (1, 2)
        for nonce in (1, 2)
        for digest in (plan, other)
    ]
    streams = [attempt.derive(purpose) for attempt in attempts for purpose in ("noise", "poisson", "dropout", "counts")]
    words = [
        int(word) for seed in streams for use in ("gaussian", "membership") for word in KeyStream(seed, use).words(64)
    ]
    assert len(set(words)) == len(words) == 8 * 4 * 2 * 64


def test_normals_have_the_moments_and_the_shape_of_a_normal():
    means, variances, distances = [], [], []
    for number in range(20):
        drawn = normals(number)
        means.append(drawn.mean() * math.sqrt(drawn.size))
        variances.append((drawn.var() - 1) * math.sqrt(drawn.size / 2))
        distances.append(stats.kstest(drawn, "norm").pvalue)
    for z in (means, variances):
        assert 0.5 < math.sqrt(np.mean(np.square(z))) < 1.5
        assert max(map(abs, z)) < 4
    assert stats.kstest(distances, "uniform").pvalue > 1e-3
    together = np.concatenate([normals(number) for number in range(5)])
    assert abs(stats.kurtosis(together)) < 0.03
    assert stats.kstest(np.abs(together[np.abs(together) > 3]) - 3, _tail).pvalue > 1e-3


def _tail(excess):
    return 1 - stats.norm.sf(3 + excess) / stats.norm.sf(3)


def test_normals_are_uncorrelated_with_themselves_and_with_other_streams():
    drawn, other = normals(1), normals(2)
    for lag in (1, 2, 384, (1 << 13) - 1, 1 << 13, 1 << 14):
        assert abs(np.mean(drawn[:-lag] * drawn[lag:])) * math.sqrt(drawn.size - lag) < 4.5
        squares = (drawn[:-lag] ** 2 - 1) * (drawn[lag:] ** 2 - 1)  # Box-Muller partners share a radius
        assert abs(np.mean(squares) / 2) * math.sqrt(drawn.size - lag) < 4.5
    assert abs(np.mean(drawn * other)) * math.sqrt(drawn.size) < 4.5


def test_std_scales_and_nonsense_is_refused():
    assert np.array_equal(GaussianStream(key(1)).fill((2, 3), 2.0), normals(1, 6).reshape(2, 3) * 2.0)
    for std in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="standard deviation"):
            GaussianStream(key(1)).fill(3, std)


def test_noised_counts_are_counts_plus_rounded_normals():
    counts = [5, 0, 1000]
    assert noised_counts(counts, 7.5, key(4)) == list(np.asarray(counts) + gaussian_integers(3, 7.5, key(4)))
    many = gaussian_integers(200_000, 7.5, key(5))
    assert many.dtype == np.int64
    assert many.mean() == pytest.approx(0, abs=4 * 7.5 / math.sqrt(many.size))
    assert many.std() == pytest.approx(math.sqrt(7.5**2 + 1 / 12), rel=0.01)
    for counts in ([1.5], [[1]]):
        with pytest.raises(ValueError, match="integers"):
            noised_counts(counts, 1.0, key(1))


def records(count):
    return [[row] for row in range(count)]


def test_each_unit_joins_each_step_by_itself_at_the_sample_rate():
    draws = PoissonUnits(key(1), records(400), "0.3")
    joined = np.zeros((500, 400))
    for step in range(500):
        joined[step, next(draws)] = 1
    for totals, trials in ((joined.sum(0), 500), (joined.sum(1), 400)):
        z = (totals - 0.3 * trials) / math.sqrt(trials * 0.3 * 0.7)
        assert 0.85 < z.std() < 1.15
        assert abs(z.mean()) < 0.25
    correlation = np.mean((joined[:-1] - 0.3) * (joined[1:] - 0.3)) / (0.3 * 0.7) * math.sqrt(joined.size)
    assert abs(correlation) < 4.5


def test_a_draw_depends_on_its_own_unit_alone():
    """Adding a unit at the end of a step changes nobody else's lot in that step: what amplification rests on."""
    assert [row for row in next(PoissonUnits(key(1), records(101), "0.5")) if row < 100] == next(
        PoissonUnits(key(1), records(100), "0.5")
    )


def test_rate_one_takes_everybody_and_a_tiny_rate_yields_empty_steps():
    assert next(PoissonUnits(key(1), records(9), "1")) == list(range(9))
    draws = PoissonUnits(key(1), records(9), "0.000000001")
    assert [next(draws) for _ in range(3)] == [[], [], []]
    assert next(PoissonUnits(key(1), [], "0.5")) == []


def test_a_drawn_patient_brings_one_note_each_as_often_as_the_other():
    patients = [[0], [1, 2, 3], [4, 5, 6, 7, 8]]
    draws = PoissonUnits(key(2), patients, "1")
    seen = np.zeros(9)
    for _ in range(3000):
        step = next(draws)
        assert [sum(row in patient for row in step) for patient in patients] == [1, 1, 1]
        seen[step] += 1
    assert seen[0] == 3000
    assert stats.chisquare(seen[1:4]).pvalue > 1e-3
    assert stats.chisquare(seen[4:]).pvalue > 1e-3


def test_the_note_of_a_unit_is_chosen_without_bias_and_the_same_seed_replays():
    units = [list(range(7)), [7]]
    draws, again = PoissonUnits(key(1), units, "1"), PoissonUnits(key(1), units, "1")
    drawn = [draws.draw()[0][0] for _ in range(7000)]
    assert stats.chisquare(np.bincount(drawn, minlength=7)).pvalue > 1e-3
    assert [again.draw()[0][0] for _ in range(10)] == drawn[:10]
    pair = [PoissonUnits(key(1), records(50), "0.2") for _ in range(2)]
    assert [next(pair[0]) for _ in range(5)] == [next(pair[1]) for _ in range(5)]


@pytest.mark.parametrize("rate", ["0", "-0.1", "1.01"])
def test_a_rate_that_is_no_probability_is_refused(rate):
    with pytest.raises(ContractError):
        PoissonUnits(key(1), records(3), rate)
