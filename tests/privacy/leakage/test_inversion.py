# SPDX-License-Identifier: Apache-2.0
"""The span check reads a batch off the gradient of a linear layer, clipped or not, and nothing off noise."""

from __future__ import annotations

import numpy as np
import pytest

from privacy.base.randomness import PublicSeed
from privacy.leakage.inversion import chance_of, closeness, distances, mean_rank, recovered, row_space

WORDS, WIDTH, OUTPUTS = 500, 48, 40
BATCH = frozenset({3, 77, 78, 200, 201, 350, 420, 499})
SPECIAL = (0, 1)
PLACES = (0, 1, 2)


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    """(places, words, width): the layer's possible inputs."""
    return PublicSeed.from_integer(1).numpy_generator().standard_normal((3, WORDS, WIDTH)).astype(np.float32)


def gradient(table: np.ndarray, noise: float, scale: float = 1.0) -> np.ndarray:
    """The weight's gradient of a batch in which every word stands once, at one of the places."""
    generator = PublicSeed.from_integer(2).numpy_generator()
    total = noise * generator.standard_normal((OUTPUTS, WIDTH))
    for at, word in enumerate(sorted(BATCH)):
        error = generator.standard_normal(OUTPUTS) * scale / (1 + at)
        total += np.outer(error, table[at % 3, word])
    return total


def attacked(table: np.ndarray, total: np.ndarray) -> np.ndarray:
    space = row_space(total, rank=len(BATCH))
    return closeness(distances(space, lambda place: table[place], PLACES), SPECIAL)


@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_without_noise_every_word_is_recovered_however_short_the_gradient_was_clipped(
    table: np.ndarray, scale: float
) -> None:
    ranks = attacked(table, gradient(table, 0.0, scale))
    assert recovered(ranks, BATCH) == 1.0
    assert mean_rank(ranks, BATCH) < 0.01


def test_with_noise_as_large_as_the_gradient_the_true_batch_stands_out_from_no_other(table: np.ndarray) -> None:
    ranks = attacked(table, gradient(table, 30.0))
    generator = PublicSeed.from_integer(3).numpy_generator()
    others = [frozenset(generator.choice(range(2, WORDS), 8, replace=False).tolist()) for _ in range(999)]
    assert chance_of(recovered(ranks, BATCH), [recovered(ranks, other) for other in others]) > 0.05
    assert chance_of(-mean_rank(ranks, BATCH), [-mean_rank(ranks, other) for other in others]) > 0.05


def test_special_words_stand_behind_all_others(table: np.ndarray) -> None:
    ranks = attacked(table, gradient(table, 0.0))
    assert set(ranks[list(SPECIAL)]) == {WORDS - 1, WORDS - 2}
    assert sorted(ranks) == list(range(WORDS))


def test_a_batch_that_does_as_well_as_every_other_has_no_small_chance() -> None:
    assert chance_of(0.5, [0.5] * 99) == 1.0
    assert chance_of(0.6, [0.5] * 99) == 0.01


def test_an_attack_without_a_place_is_refused(table: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one place"):
        distances(row_space(gradient(table, 0.0), 3), lambda place: table[place], ())
