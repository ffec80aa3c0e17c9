# SPDX-License-Identifier: Apache-2.0
"""The deviation beside a figure is the one that the noise of the counts really makes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.base.canonical import decimal_string
from privacy.protocol.messages import SiteMetrics
from privacy.protocol.scores import federation_scores
from privacy.protocol.uncertainty import Spread, figure, spread


def counts(right: tuple[int, ...], actual: tuple[int, ...], predicted: tuple[int, ...], std: float) -> SiteMetrics:
    return SiteMetrics(
        plan_digest="0" * 64,
        right=right,
        actual=actual,
        predicted=predicted,
        noise_std=decimal_string(std),
        spent=None,
        seen_tree_size=0,
    )


TRUTH = np.array([[150, 90, 60], [200, 120, 80], [190, 130, 80]])


def drawn(generator: np.random.Generator, std: float, form: str) -> SiteMetrics:
    """One site's noised counts of the same truth: 300 right, 100 wrong."""
    noised = [tuple(int(n) for n in row) for row in np.rint(TRUTH + generator.normal(0, std, TRUTH.shape))]
    if form == "by_class":
        return counts(*noised, std)
    totals = {
        "correct": int(np.rint(300 + generator.normal(0, std))),
        "incorrect": int(np.rint(100 + generator.normal(0, std))),
    }
    metrics = counts((), (), (), std) if form == "totals" else counts(*noised, std)
    return metrics.model_copy(update=totals)


@pytest.mark.parametrize("form", ["by_class", "totals", "both"])
@pytest.mark.parametrize("sites", [1, 4])
@pytest.mark.parametrize("std", [3.0, 12.0])
def test_the_deviation_is_what_many_draws_of_the_noise_give(sites: int, std: float, form: str) -> None:
    """2,000 noised evaluations of one truth: their spread is the one that a single of them tells."""
    generator = np.random.default_rng(5)
    accuracies, f1s, told = [], [], []
    for _ in range(2000):
        metrics = [drawn(generator, std, form) for _ in range(sites)]
        accuracy, f1 = federation_scores(3, metrics)
        accuracies.append(float(accuracy or 0))
        f1s.append(float(f1 or 0))
        told.append(spread(metrics))
    assert np.mean([of.accuracy or 0 for of in told]) == pytest.approx(np.std(accuracies), rel=0.08)
    if form == "totals":
        assert {of.macro_f1 for of in told} == {None}
    else:
        assert np.mean([of.macro_f1 or 0 for of in told]) == pytest.approx(np.std(f1s), rel=0.1)


def test_counting_right_and_wrong_is_far_less_noisy_than_counting_by_class() -> None:
    by_class = counts((30,) * 10, (40,) * 10, (40,) * 10, 5.0)
    totals = by_class.model_copy(update={"correct": 300, "incorrect": 100})
    assert (spread([by_class]).accuracy or 0) > 4 * (spread([totals]).accuracy or 0) > 0


def test_exact_counts_have_no_noise_and_nothing_counted_has_no_figure() -> None:
    assert spread([counts((1, 2), (3, 4), (4, 3), 0.0)]) == Spread(0.0, 0.0)
    assert spread([]) == Spread(None, None)
    assert spread([counts((1, 2), (-3, -4), (4, 3), 9.0)]) == Spread(None, None)


numbers = st.integers(-(10**6), 10**6)


@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=5), st.floats(0, 1e9))
def test_whatever_the_counts_a_deviation_is_from_0_to_1(rows: list[tuple[int, int, int]], std: float) -> None:
    right, actual, predicted = zip(*rows, strict=True)
    found = spread([counts(right, actual, predicted, std)])
    assert (found.accuracy is None) == (sum(actual) <= 0)
    for deviation in (found.accuracy, found.macro_f1):
        assert deviation is None or 0 <= deviation <= 1


@given(st.permutations(range(4)))
def test_the_order_of_the_sites_does_not_matter(order: list[int]) -> None:
    sites = [counts((10 + at, 7), (20, 30 + at), (25, 20), 2.0 + at) for at in range(4)]
    assert spread([sites[at] for at in order]).accuracy == pytest.approx(spread(sites).accuracy)


@pytest.mark.parametrize(
    ("value", "deviation", "told"),
    [
        ("0.812345", 0.0213, "0.812 +/- 0.021"),
        ("0.812345", 0.213, "0.81 +/- 0.21"),
        ("0.8", 1.0, "0.80 +/- 1.00"),
        ("0.812345", 0.0, "0.812"),
        ("1", 0.00001, "1.000000 +/- 0.000010"),
        ("0.812345", None, "0.812 (noise unknown)"),
        (None, None, "unknown"),
    ],
)
def test_a_figure_has_as_many_digits_as_it_means(value: str | None, deviation: float | None, told: str) -> None:
    assert figure(value, deviation) == told
