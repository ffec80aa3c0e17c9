# SPDX-License-Identifier: Apache-2.0
"""The bound on what is left: published values, the definition itself, and its coverage in simulated reviews."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from client.review.residual import Residual, Stratum, allocate, residual, upper_bound


def stratum(rows: int, reviewed: int, leaking: int = 0, *, skipped: int = 0, missed: int | None = None) -> Stratum:
    drawn = reviewed + skipped
    return Stratum("part", rows, drawn, reviewed, skipped, leaking, leaking if missed is None else missed)


@pytest.mark.parametrize(
    ("leaking", "reviewed", "error", "expected"),
    [
        (0, 200, 0.05, 0.014867),  # 1 - 0.05 ** (1 / 200)
        (0, 59, 0.05, 0.0495),  # the auditor's and the toxicologist's "59 without a failure: below 5 %"
        (0, 299, 0.05, 0.00997),  # and 299 for below 1 %
        (0, 10, 0.025, 0.3085),  # two-sided 95 % tables, 0 of 10: [0, .3085]
        (1, 10, 0.025, 0.4450),  # 1 of 10: [.0025, .4450]
        (10, 100, 0.025, 0.1762),  # 10 of 100: [.0490, .1762]
        (5, 5, 0.05, 1.0),
        (0, 0, 0.05, 1.0),
    ],
)
def test_the_bound_is_the_published_one(leaking: int, reviewed: int, error: float, expected: float) -> None:
    assert upper_bound(leaking, reviewed, error) == pytest.approx(expected, abs=6e-5)


@settings(deadline=None)
@given(st.integers(1, 400), st.data())
def test_the_bound_is_the_rate_at_which_so_few_would_be_rare(reviewed: int, data: st.DataObject) -> None:
    leaking = data.draw(st.integers(0, reviewed - 1))
    bound = upper_bound(leaking, reviewed)
    assert stats.binom.cdf(leaking, reviewed, bound) == pytest.approx(0.05, rel=1e-6)
    assert bound == pytest.approx(stats.beta.ppf(0.95, leaking + 1, reviewed - leaking), rel=1e-9)


def test_a_uniform_sample_is_one_stratum() -> None:
    found = residual([stratum(10_000, 200, 4, missed=9)])
    assert found == Residual(0.02, upper_bound(4, 200), 0.045, 0.05, True)


def test_strata_are_weighted_by_their_shares_and_share_the_error() -> None:
    found = residual([stratum(100, 50, 5), stratum(900, 50, 0), stratum(0, 0)])
    assert found.rate == pytest.approx(0.1 * 0.1)
    assert found.upper == pytest.approx(0.1 * upper_bound(5, 50, 0.025) + 0.9 * upper_bound(0, 50, 0.025))


def test_a_stratum_that_was_read_whole_is_known() -> None:
    assert residual([stratum(20, 20, 1)]).upper == 0.05
    assert residual([stratum(20, 19, 1)]).upper > 0.2


def test_a_skipped_row_counts_as_leaking_in_the_bound_and_not_in_the_rate() -> None:
    found = residual([stratum(1000, 98, 0, skipped=2)])
    assert found.rate == 0
    assert found.upper == upper_bound(2, 100)


def test_nothing_is_claimed_of_rows_that_nobody_read() -> None:
    found = residual([Stratum("weak", 10, 5, 5, 0, 0, 0), Stratum("rest", 90, 5, 0, 0, 0, 0)])
    assert found.rate is None
    assert found.missed_per_document is None
    assert not found.complete
    assert found.upper > 0.9
    with pytest.raises(ValueError, match="no row"):
        residual([])


@pytest.mark.parametrize("counts", [(10, 5, 6, 0, 0, 0), (10, 5, 5, 0, 2, 1), (4, 5, 5, 0, 0, 0), (10, 5, 4, 2, 0, 0)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="rows"):
        Stratum("part", *counts)
    with pytest.raises(ValueError, match="among"):
        upper_bound(3, 2)


@pytest.mark.parametrize(
    ("sizes", "rates"),
    [
        ((2000,), (0.03,)),
        ((300,), (0.1,)),
        ((200, 500, 1300), (0.2, 0.02, 0.01)),
        ((50, 20, 3000), (0.3, 0.5, 0.005)),
        ((400, 400, 400), (0.0, 0.0, 0.05)),
        ((30, 60, 40), (0.5, 0.1, 0.2)),
    ],
)
def test_the_bound_covers_the_true_rate_at_least_95_times_in_100(
    sizes: tuple[int, ...], rates: tuple[float, ...]
) -> None:
    """Reviews of a corpus with known leaks, rows drawn without replacement as the command draws them."""
    random = np.random.default_rng(7)
    leaks = [round(size * rate) for size, rate in zip(sizes, rates, strict=True)]
    truth = sum(leaks) / sum(sizes)
    drawn = allocate(sizes, (2, 1, 1)[: len(sizes)], 120)
    trials = 4000
    found = [
        random.hypergeometric(leak, size - leak, count, trials)
        for size, leak, count in zip(sizes, leaks, drawn, strict=True)
    ]
    covered = sum(
        residual([stratum(size, n, int(k[trial])) for size, n, k in zip(sizes, drawn, found, strict=True)]).upper
        >= truth - 1e-12
        for trial in range(trials)
    )
    assert covered / trials >= 0.95


@settings(deadline=None)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=4), st.integers(1, 400))
def test_a_sample_is_as_large_as_wanted_and_no_stratum_is_left_out(sizes: list[int], wanted: int) -> None:
    drawn = allocate(sizes, [2.0, 1.0, 1.0, 1.0][: len(sizes)], wanted)
    assert sum(drawn) == min(wanted, sum(sizes))
    assert all(0 <= count <= size for count, size in zip(drawn, sizes, strict=True))
    if wanted >= len(sizes):
        assert all(count > 0 for count, size in zip(drawn, sizes, strict=True) if size)


def test_weak_evidence_gets_twice_as_many_rows() -> None:
    assert allocate((1000, 1000, 1000), (2, 1, 1), 200) == [100, 50, 50]
