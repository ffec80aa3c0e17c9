# SPDX-License-Identifier: Apache-2.0
"""One rule for the federation's figures, whoever computes them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.base.errors import ContractError
from privacy.protocol.messages import SiteMetrics
from privacy.protocol.scores import federation_scores


def metrics(right: list[int], actual: list[int], predicted: list[int]) -> SiteMetrics:
    return SiteMetrics(
        plan_digest="a" * 64,
        right=tuple(right),
        actual=tuple(actual),
        predicted=tuple(predicted),
        noise_std="1",
        spent=None,
        seen_tree_size=0,
    )


def test_exact_counts_give_the_usual_accuracy_and_macro_f1() -> None:
    sites = [metrics([3, 1], [4, 2], [4, 2]), metrics([1, 2], [2, 2], [1, 3])]
    # right (4, 3), actual (6, 4), predicted (5, 5): F1 8/11 and 6/9
    assert federation_scores(2, sites) == ("0.7", "0.69697")


def test_a_perfect_model_scores_one_and_a_useless_one_zero() -> None:
    assert federation_scores(2, [metrics([5, 5], [5, 5], [5, 5])]) == ("1", "1")
    assert federation_scores(2, [metrics([0, 0], [5, 5], [5, 5])]) == ("0", "0")


def test_nothing_to_count_gives_no_figure() -> None:
    assert federation_scores(2, []) == (None, None)
    assert federation_scores(2, [metrics([0, 0], [0, 0], [0, 0])]) == (None, None)
    assert federation_scores(2, [metrics([3, 1], [-9, 4], [1, 1])]) == (None, None)


def test_noise_of_one_site_is_added_to_the_others_before_it_is_cut_off() -> None:
    assert federation_scores(2, [metrics([-3, 1], [-2, 4], [0, 4]), metrics([5, 1], [6, 4], [4, 4])]) == (
        "0.333333",
        "0.375",
    )


def test_noise_never_brings_a_figure_above_one() -> None:
    assert federation_scores(2, [metrics([50, 9], [1, 1], [1, 1])]) == ("1", "1")


def test_a_class_that_nobody_has_counts_as_zero() -> None:
    assert federation_scores(3, [metrics([2, 2, 0], [2, 2, 0], [2, 2, 0])]) == ("1", "0.666667")


def test_counts_for_another_number_of_labels_are_refused() -> None:
    for wrong in (metrics([1], [1, 1], [1, 1]), metrics([1, 1], [1, 1, 1], [1, 1]), metrics([], [], [])):
        with pytest.raises(ContractError):
            federation_scores(2, [wrong])


COUNTS = st.lists(st.integers(-1000, 100_000), min_size=3, max_size=3)
SITES = st.lists(st.builds(metrics, COUNTS, COUNTS, COUNTS), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(SITES, st.randoms(use_true_random=False))
def test_no_order_changes_a_digit_and_every_figure_is_between_zero_and_one(
    sites: list[SiteMetrics], random: object
) -> None:
    expected = federation_scores(3, sites)
    random.shuffle(sites)  # type: ignore[attr-defined]
    assert federation_scores(3, sites) == expected
    for figure in expected:
        assert figure is None or 0 <= float(figure) <= 1
