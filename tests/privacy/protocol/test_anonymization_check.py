# SPDX-License-Identifier: Apache-2.0
"""What a self-check must show: floors are judged exactly, and a plan can only tighten them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import comb
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from privacy.protocol.anonymization_check import (
    CHANCE,
    FEWEST_PLANTED,
    AnonymizationPlan,
    EntityRecall,
    SelfCheck,
    faults,
    fewest_found,
    measured_otherwise,
    tightened,
)


def check(notes: int = 60, engine: str = "6" * 64, **recall: tuple[int, int]) -> SelfCheck:
    """A self-check; keywords are identifier = (found, planted)."""
    counts = {name: EntityRecall(planted=planted, found=found) for name, (found, planted) in recall.items()}
    return SelfCheck(notes=notes, recall=counts, engine_fingerprint=engine)  # type: ignore[arg-type]


def plan(notes: int = 60, **floors: str) -> AnonymizationPlan:
    return AnonymizationPlan(self_check_notes=notes, min_recall=floors)  # type: ignore[arg-type]


def tail(planted: int, found: int, floor: str) -> Fraction:
    """P(X <= found) for X binomial(planted, floor), exactly."""
    share = Fraction(Decimal(floor))
    return sum(
        (comb(planted, k) * share**k * (1 - share) ** (planted - k) for k in range(found + 1)),
        start=Fraction(0),
    )


@given(st.integers(0, 60), st.integers(1, 9999))
def test_the_fewest_found_is_the_exact_edge_of_one_in_a_thousand(planted: int, ten_thousandths: int) -> None:
    floor = f"{ten_thousandths / 10000:.4f}".rstrip("0")
    fewest = fewest_found(planted, floor)
    assert tail(planted, fewest, floor) >= Fraction(CHANCE)
    assert fewest == 0 or tail(planted, fewest - 1, floor) < Fraction(CHANCE)


@pytest.mark.parametrize(
    ("planted", "floor", "fewest"),
    [
        (10, "0.5", 1),
        (40, "0.9", 29),
        (100, "0.9", 80),
        (1000, "0.9", 870),
        (100, "0.95", 87),
        (7, "1", 7),
        (7, "0", 0),
    ],
)
def test_the_figures_in_the_docs_are_right(planted: int, floor: str, fewest: int) -> None:
    assert fewest_found(planted, floor) == fewest


def test_large_figures_and_fine_floors_are_judged_at_once_and_end() -> None:
    assert 99_900 < fewest_found(100_000, "0.9999") < 100_000
    assert fewest_found(100_000, "0.0001") < 10


def test_with_the_fewest_values_that_are_judged_an_anonymizer_that_finds_nothing_is_under_a_floor_of_a_half() -> None:
    assert faults(check(url=(0, FEWEST_PLANTED)), plan(url="0.5"))
    assert not faults(check(url=(0, FEWEST_PLANTED)), plan(url="0"))


def test_a_share_just_under_the_floor_is_chance_and_one_far_under_it_is_not() -> None:
    assert faults(check(person=(88, 100)), plan(person="0.9")) == ()
    (wrong,) = faults(check(person=(79, 100)), plan(person="0.9"))
    assert wrong.reason == "recall_below_floor"
    assert wrong.sentence == "PERSON: 79 of 100 were found, a floor of 0.9 needs at least 80"


@pytest.mark.parametrize(
    ("said", "asked", "reason", "words"),
    [
        (check(person=(101, 100)), plan(), "malformed", "more values were found than planted"),
        (check(notes=59), plan(), "malformed", "59 notes"),
        (check(url=(50, 50)), plan(person="0.1"), "recall_below_floor", "not measured"),
        (check(person=(9, 9)), plan(person="0.1"), "recall_below_floor", "9 values were planted"),
        (check(person=(99, 100)), plan(person="1"), "recall_below_floor", "needs at least 100"),
    ],
)
def test_figures_that_prove_nothing_are_faults(
    said: SelfCheck, asked: AnonymizationPlan, reason: str, words: str
) -> None:
    (wrong,) = faults(said, asked)
    assert (wrong.reason, words in wrong.sentence) == (reason, True)


def test_what_has_no_floor_needs_no_figures() -> None:
    assert faults(check(url=(0, 3)), plan(person="0")) == ()


def test_a_plan_can_raise_a_sites_floor_and_never_lower_it() -> None:
    both = tightened(plan(person="0.5", url="0.99", age="0"), {"person": 0.9, "url": 0.2, "us_ssn": 0.95, "age": 0.0})
    assert both.min_recall == {"person": "0.9", "url": "0.99", "us_ssn": "0.95"}
    assert both.self_check_notes == 60


def test_one_engine_has_one_set_of_figures_and_another_engine_its_own() -> None:
    before = check(url=(10, 10))
    assert not measured_otherwise(before, before)
    assert measured_otherwise(check(url=(9, 10)), before)
    assert not measured_otherwise(check(url=(9, 10), engine="5" * 64), before)


@pytest.mark.parametrize("wrong", ["1.1", "-0.1", "0.99999", "0.90", "1e-1", "NaN"])
def test_a_floor_is_a_canonical_share_of_at_most_four_decimals(wrong: str) -> None:
    with pytest.raises(ValidationError):
        plan(person=wrong)


@pytest.mark.parametrize(
    "changes", [{"min_recall": {"persons": "0.5"}}, {"self_check_notes": 0}, {"self_check_notes": 1001}]
)
def test_a_plan_names_known_identifiers_and_a_bounded_number_of_notes(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AnonymizationPlan.model_validate({"self_check_notes": 1, "min_recall": {}} | changes)
