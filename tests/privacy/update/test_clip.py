# SPDX-License-Identifier: Apache-2.0
"""The clip bound, in exact arithmetic: of the floats, and of the integers that follow from them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.base.errors import ContractError, UpdateNotFinite
from privacy.update.clip import clip, l2_norm
from privacy.update.quantize import check_bound, quantize


def exact_square(vector: np.ndarray) -> Fraction:
    return sum((Fraction(float(value)) ** 2 for value in vector), Fraction(0))


VALUES = st.floats(width=32, allow_nan=False, allow_infinity=False)
VECTORS = st.lists(VALUES, min_size=1, max_size=40).map(lambda values: np.array(values, np.float32))
BOUNDS = st.floats(min_value=1e-20, max_value=1e20)


@settings(max_examples=300, deadline=None)
@given(VECTORS, BOUNDS)
def test_the_bound_holds_in_exact_arithmetic_for_any_delta(delta: np.ndarray, bound: float) -> None:
    clipped = clip(delta, bound)
    assert clipped.dtype == np.float32
    assert exact_square(clipped) <= Fraction(bound) ** 2


@settings(max_examples=200, deadline=None)
@given(VECTORS, BOUNDS)
def test_clipping_twice_is_clipping_once(delta: np.ndarray, bound: float) -> None:
    once = clip(delta, bound)
    assert clip(once, bound).tobytes() == once.tobytes()


@settings(max_examples=100, deadline=None)
@given(VECTORS)
def test_a_shorter_delta_comes_back_unchanged(delta: np.ndarray) -> None:
    bound = l2_norm(delta) * 1.000001 + 1e-20
    assert clip(delta, bound) is delta


def test_a_clipped_delta_keeps_its_direction_and_nearly_all_of_the_bound() -> None:
    delta = np.random.Generator(np.random.Philox(3)).standard_normal(100_001).astype(np.float32) * 7
    before = delta.copy()
    clipped = clip(delta, 0.5)
    assert np.array_equal(delta, before)
    assert 0.5 * (1 - 1e-6) < l2_norm(clipped) <= 0.5
    assert np.allclose(clipped / l2_norm(clipped), delta / l2_norm(delta), rtol=1e-5, atol=0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 40_000, 65_535])
def test_a_delta_that_is_not_finite_is_refused_wherever_it_is(value: float, at: int) -> None:
    delta = np.zeros(65_536, np.float32)
    delta[at] = value
    with pytest.raises(UpdateNotFinite):
        clip(delta, 1.0)


def test_the_largest_floats_do_not_overflow_the_norm() -> None:
    delta = np.full(65_536, np.finfo(np.float32).max, np.float32)
    assert exact_square(clip(delta, 1.0)[:1]) * 65_536 <= 1


@pytest.mark.parametrize("bound", [0.0, -1.0, float("nan"), float("inf"), 1e-40])
def test_a_bound_that_is_none_is_refused(bound: float) -> None:
    with pytest.raises(ContractError):
        clip(np.ones(2, np.float32), bound)


@settings(max_examples=200, deadline=None)
@given(VECTORS, st.integers(1, 1000), st.integers(8, 20), st.sampled_from(["0.1", "0.3", "1", "0.000123"]))
def test_what_is_clipped_never_fails_the_integer_check(
    delta: np.ndarray, weight: int, scale_log2: int, bound: str
) -> None:
    check_bound(quantize(clip(delta, float(bound)), weight, scale_log2), weight, bound, scale_log2)
