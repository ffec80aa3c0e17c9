# SPDX-License-Identifier: Apache-2.0
"""The weighted mean, against exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.aggregation import weighted_sum
from privacy.base.identifiers import sha256

UPDATES = st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=5, max_size=5), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(UPDATES, st.integers(1, 1000), st.integers(8, 30))
def test_the_mean_is_the_exact_one_rounded_once_to_float32(
    updates: list[list[int]], total_weight: int, scale_log2: int
) -> None:
    total = weighted_sum.start(5)
    for update in updates:
        weighted_sum.fold(total, np.array(update, np.int32))
    assert total.tolist() == [sum(column) for column in zip(*updates, strict=True)]
    result = weighted_sum.finish(np.zeros(5, np.float32), total, total_weight, scale_log2)
    for value, integer in zip(result, total.tolist(), strict=True):
        exact = Fraction(integer, total_weight << scale_log2)
        assert abs(Fraction(float(value)) - exact) <= abs(exact) * Fraction(1, 2**23)


def test_the_sum_digest_is_of_little_endian_int64() -> None:
    assert weighted_sum.sum_digest(np.array([1, -1], np.int64)) == sha256(b"\1" + b"\0" * 7 + b"\xff" * 8)
