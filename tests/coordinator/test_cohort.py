# SPDX-License-Identifier: Apache-2.0
"""Weights follow declared buckets as finely as 31 bits allow, whoever takes part and in whatever order."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.cohort import FINEST_TOTAL, cohort
from privacy.base.errors import SettingsError
from privacy.update.quantize import check_fits

BUCKETS = st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True), st.integers(1, 1 << 40), max_size=30)
CLIPS = st.decimals("0.01", "100", places=2)


@given(BUCKETS, CLIPS, st.integers(8, 30), st.sampled_from(["bucket", "uniform"]))
def test_no_cohort_can_overflow(buckets: dict[str, int], clip_norm: Decimal, scale_log2: int, rule: str) -> None:
    try:
        members = cohort(buckets, rule=rule, clip_norm=clip_norm, scale_log2=scale_log2)
    except SettingsError:
        with pytest.raises(Exception, match="31 bits"):
            check_fits(len(buckets), clip_norm, scale_log2)
        return
    total = sum(member.weight for member in members.values())
    assert total <= max(FINEST_TOTAL, len(buckets))
    assert {site: member.size_bucket for site, member in members.items()} == buckets
    assert list(members) == sorted(buckets)
    if total:
        check_fits(total, clip_norm, scale_log2)


@given(BUCKETS, CLIPS)
def test_a_larger_bucket_never_weighs_less_and_order_does_not_matter(buckets: dict[str, int], clip: Decimal) -> None:
    members = cohort(buckets, rule="bucket", clip_norm=clip, scale_log2=8)
    by_size = sorted(members.values(), key=lambda member: member.size_bucket)
    assert [member.weight for member in by_size] == sorted(member.weight for member in by_size)
    backwards = dict(reversed(list(buckets.items())))
    assert cohort(backwards, rule="bucket", clip_norm=clip, scale_log2=8) == members


def test_weights_are_in_proportion_to_the_buckets_to_one_part_in_a_thousand() -> None:
    members = cohort({"a": 100, "b": 300, "c": 600}, rule="bucket", clip_norm=Decimal("1"), scale_log2=20)
    assert [member.weight for member in members.values()] == [100, 300, 599]


def test_uniform_weights_are_one_each() -> None:
    members = cohort({"a": 1, "b": 10**6}, rule="uniform", clip_norm=Decimal("1"), scale_log2=20)
    assert [member.weight for member in members.values()] == [1, 1]
