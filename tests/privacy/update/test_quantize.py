# SPDX-License-Identifier: Apache-2.0
"""Integers that follow exactly from floats, and whose bound is checked exactly."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import isqrt, trunc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.base.errors import ContractError, UpdateNotFinite
from privacy.update.quantize import CHUNK, check_bound, check_fits, decode, encode, quantize

SMALL = st.floats(min_value=-1, max_value=1, width=32)


@settings(max_examples=200, deadline=None)
@given(st.lists(SMALL, min_size=1, max_size=30), st.integers(1, 100), st.integers(8, 24))
def test_quantizing_is_exact_truncation(values: list[float], weight: int, scale_log2: int) -> None:
    vector = np.array(values, np.float32)
    expected = [trunc(Fraction(float(value)) * weight * 2**scale_log2) for value in vector]
    assert quantize(vector, weight, scale_log2).tolist() == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_is_refused_before_the_cast(value: float) -> None:
    vector = np.zeros(CHUNK + 1, np.float32)
    vector[-1] = value
    with pytest.raises(UpdateNotFinite):
        quantize(vector, 1, 16)


@pytest.mark.parametrize("value", [1e30, -1e30, 128.0, -128.0])
def test_a_value_that_leaves_31_bits_is_refused_before_the_cast(value: float) -> None:
    with pytest.raises(ContractError) as refused:
        quantize(np.array([0, value], np.float32), 1, 24)
    assert refused.value.reason == "encoding_overflow"


def test_the_encoding_fits_strictly_below_two_to_the_31() -> None:
    check_fits(127, "1", 24)
    check_fits(1, Decimal("127.9999999"), 24)
    for total_weight, bound, scale_log2 in [(128, "1", 24), (1, "128", 24), (1, "0.5", 32)]:
        with pytest.raises(ContractError) as refused:
            check_fits(total_weight, bound, scale_log2)
        assert refused.value.reason == "encoding_overflow"


@pytest.mark.parametrize("bound", ["0", "-1"])
def test_a_bound_that_is_not_positive_is_refused(bound: str) -> None:
    with pytest.raises(ContractError):
        check_fits(1, bound, 16)
    with pytest.raises(ContractError):
        check_bound(np.zeros(1, np.int32), 1, bound, 16)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20))
def test_the_bound_check_is_exact_for_any_int32(values: list[int]) -> None:
    integers = np.array(values, np.int32)
    total = sum(value * value for value in values)
    at_least = isqrt(total) + (isqrt(total) ** 2 < total)
    if at_least:
        check_bound(integers, 1, Decimal(at_least) / 256, 8)
    if at_least > 1:
        with pytest.raises(ContractError) as refused:
            check_bound(integers, 1, Decimal(at_least - 1) / 256, 8)
        assert refused.value.reason == "clip_exceeded"


def test_the_bound_check_sums_exactly_over_many_chunks() -> None:
    integers = np.full(CHUNK * 3 + 7, -(2**31), np.int32)
    norm_square = integers.size * 2**62
    bound = isqrt(norm_square) + 1
    check_bound(integers, 1, Decimal(bound) / 256, 8)
    with pytest.raises(ContractError):
        check_bound(integers, 1, Decimal(bound - 1) / 256, 8)


def test_one_unit_over_the_bound_is_found() -> None:
    check_bound(np.array([3 << 16, 4 << 16], np.int32), 1, "5", 16)
    with pytest.raises(ContractError):
        check_bound(np.array([3 << 16, (4 << 16) + 1], np.int32), 1, "5", 16)


def test_a_payload_is_little_endian_and_has_one_length() -> None:
    integers = np.array([1, -2, 2**31 - 1], np.int32)
    payload = encode(integers)
    assert payload == b"\x01\0\0\0\xfe\xff\xff\xff\xff\xff\xff\x7f"
    assert decode(payload, 3).tolist() == integers.tolist()
    for wrong in (payload[:-1], payload + b"\0", b""):
        with pytest.raises(ContractError) as refused:
            decode(wrong, 3)
        assert refused.value.reason == "wrong_shape"
