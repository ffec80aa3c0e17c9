# SPDX-License-Identifier: Apache-2.0
"""What every aggregation rule must do. Visits every file of privacy/aggregation by itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from privacy.aggregation import AggregationRule, load_rule
from privacy.base import parts
from privacy.base.errors import ContractError, SettingsError, UpdateNotFinite
from privacy.update.clip import clip
from privacy.update.quantize import quantize

RULES = parts.names("privacy.aggregation")
SCALE_LOG2 = 20
WEIGHTS = (1, 3, 7)


@pytest.fixture(params=RULES)
def rule(request: pytest.FixtureRequest) -> AggregationRule:
    return load_rule(request.param)


def deltas(size: int = 100_003) -> list[np.ndarray]:
    generator = np.random.Generator(np.random.Philox(11))
    return [clip(generator.standard_normal(size).astype(np.float32), 1.0) for _ in WEIGHTS]


def total_of(rule: AggregationRule, updates: list[np.ndarray]) -> np.ndarray:
    total = rule.start(updates[0].size)
    for update in updates:
        rule.fold(total, update)
    return total


def test_the_weighted_sum_is_a_rule() -> None:
    assert "weighted_sum" in RULES
    with pytest.raises(SettingsError):
        load_rule("median_of_nothing")


def test_no_order_of_the_sites_changes_a_bit(rule: AggregationRule) -> None:
    updates = [quantize(delta, weight, SCALE_LOG2) for delta, weight in zip(deltas(), WEIGHTS, strict=True)]
    model = np.linspace(-1, 1, updates[0].size, dtype=np.float32)
    seen = set()
    for order in itertools.permutations(updates):
        total = total_of(rule, list(order))
        result = rule.finish(model, total, sum(WEIGHTS), SCALE_LOG2)
        seen.add((rule.sum_digest(total), result.tobytes()))
    assert len(seen) == 1


def test_one_site_alone_gives_back_its_own_model(rule: AggregationRule) -> None:
    delta = deltas()[0]
    model = np.zeros(delta.size, np.float32)
    result = rule.finish(model, total_of(rule, [quantize(delta, 5, SCALE_LOG2)]), 5, SCALE_LOG2)
    assert np.abs(result - delta).max() <= 2.0**-SCALE_LOG2


def test_no_update_leaves_the_model_as_it_is(rule: AggregationRule) -> None:
    model = np.linspace(-3, 3, 1000, dtype=np.float32)
    assert rule.finish(model, rule.start(1000), 9, SCALE_LOG2).tobytes() == model.tobytes()


def test_finite_in_is_finite_out_and_dtypes_are_kept(rule: AggregationRule) -> None:
    extreme = np.array([2**31 - 1, -(2**31), 0], np.int32)
    total = total_of(rule, [extreme] * 1000)
    result = rule.finish(np.array([1e30, -1e30, 0], np.float32), total, 1000, 8)
    assert total.dtype == np.int64
    assert total[0] == 1000 * (2**31 - 1)
    assert result.dtype == np.float32
    assert np.isfinite(result).all()


def test_a_result_that_is_not_finite_is_refused(rule: AggregationRule) -> None:
    with pytest.raises(UpdateNotFinite):
        rule.finish(np.array([np.inf], np.float32), rule.start(1), 1, 8)


def test_the_inputs_stay_as_they_are(rule: AggregationRule) -> None:
    update = quantize(deltas(10)[0], 2, SCALE_LOG2)
    model = np.ones(10, np.float32)
    kept = update.copy()
    total = total_of(rule, [update])
    digest = rule.sum_digest(total)
    rule.finish(model, total, 2, SCALE_LOG2)
    assert np.array_equal(update, kept)
    assert np.array_equal(model, np.ones(10, np.float32))
    assert rule.sum_digest(total) == digest


@pytest.mark.parametrize("wrong", [np.zeros(3, np.int32), np.zeros(4, np.float32), np.zeros((4, 1), np.int32)])
def test_another_shape_or_dtype_is_refused(rule: AggregationRule, wrong: np.ndarray) -> None:
    with pytest.raises(ContractError):
        rule.fold(rule.start(4), wrong)


def test_a_rule_folds_from_a_read_only_view_of_a_file(rule: AggregationRule) -> None:
    update = np.arange(6, dtype=np.int32)
    view = np.frombuffer(update.tobytes(), np.int32)
    assert not view.flags.writeable
    assert total_of(rule, [view]).tolist() == [0, 1, 2, 3, 4, 5]
