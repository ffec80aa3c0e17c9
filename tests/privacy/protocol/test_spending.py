# SPDX-License-Identifier: Apache-2.0
"""What a site claims that it spent is held against another accountant, to a thousandth and not more."""

from __future__ import annotations

from decimal import Decimal

import pytest

from privacy.base.canonical import decimal_string
from privacy.dp.params import PrivacyEvent, PrivacyParams, PrivacySpent
from privacy.protocol.spending import TOLERANCE, ClaimedRelease, Spending, epsilon_of, overspent

DELTA = "0.00001"
EVENT = PrivacyEvent(noise_multiplier="1.1", sample_rate="0.05", steps=20, partition="train")
OTHER = PrivacyEvent(noise_multiplier="1.2", sample_rate="0.05", steps=20, partition="train")
COUNTS = PrivacyEvent(noise_multiplier="4.5", sample_rate="1", steps=1, partition="dev")


def spent(*events: PrivacyEvent, above: str = "0", unit: str = "patient", delta: str = DELTA) -> PrivacySpent:
    """A claim `above` what PLD computes for `events`, to eight digits."""
    epsilon = Decimal(epsilon_of(events, DELTA)) + Decimal(above)
    return PrivacySpent(
        epsilon=decimal_string(round(epsilon, 8)),
        delta=delta,
        unit=unit,  # type: ignore[arg-type]
        accountant="prv",
        events=events,
    )


def wrongs(claim: PrivacySpent | None, *, asked: tuple[PrivacyEvent, ...] = (EVENT, COUNTS)) -> list[str]:
    spending = Spending()
    for event in asked:
        spending.ask("alder", event)
    return answered(spending, claim)


def answered(spending: Spending, claim: PrivacySpent | None, event: PrivacyEvent | None = EVENT) -> list[str]:
    """What is wrong with alder's claim; then its answer counts."""
    release = ClaimedRelease(event, claim)
    sentences = [fault.sentence for fault in spending.faults("alder", release, "patient", DELTA)]
    spending.take("alder", release)
    return sentences


@pytest.mark.parametrize(("above", "holds"), [("0.01", True), ("0", True), ("-0.0009", True), ("-0.0011", False)])
def test_a_claim_may_fall_short_by_a_thousandth_and_by_no_more(above: str, holds: bool) -> None:
    assert (wrongs(spent(EVENT, above=above)) == []) == holds
    assert Decimal("0.001") == TOLERANCE


def test_a_claim_of_other_events_than_were_asked_is_found() -> None:
    assert wrongs(spent(EVENT, COUNTS)) == []
    assert any("no plan of this run asked" in wrong for wrong in wrongs(spent(EVENT, OTHER)))


def test_a_claim_that_leaves_an_answered_release_out_is_found() -> None:
    spending = Spending()
    spending.ask("alder", EVENT)
    assert answered(spending, spent(EVENT)) == []
    assert any("lack a release" in w for w in answered(spending, spent(EVENT)))
    assert answered(spending, spent(EVENT, EVENT, EVENT)) == []


@pytest.mark.parametrize("changed", [{"unit": "record"}, {"delta": "0.0001"}])
def test_a_claim_for_another_unit_or_delta_is_found(changed: dict[str, str]) -> None:
    (wrong,) = wrongs(spent(EVENT, above="5", **changed))
    assert "the plan has patient at 0.00001" in wrong


def test_a_private_release_needs_a_claim_and_a_public_one_has_none() -> None:
    assert wrongs(None)
    assert answered(Spending(), spent(EVENT), None)
    assert answered(Spending(), None, None) == []


def test_one_site_s_releases_are_not_asked_of_another() -> None:
    spending = Spending()
    spending.ask("birch", EVENT)
    assert any("no plan" in wrong for wrong in answered(spending, spent(EVENT)))


@pytest.mark.parametrize(("short", "holds"), [("0", True), ("0.0009", True), ("0.0011", False), ("1", False)])
def test_a_run_keeps_its_own_target_over_all_that_is_planned(short: str, holds: bool) -> None:
    epsilon = epsilon_of([EVENT] * 3, DELTA)
    private = PrivacyParams(
        sample_rate="0.05",
        noise_multiplier="1.1",
        max_grad_norm="1",
        target_epsilon=decimal_string(round(Decimal(epsilon) - Decimal(short), 8)),
        target_delta=DELTA,
        num_steps=20,
        unit="patient",
    )
    assert (overspent(private, [EVENT] * 3) is None) == holds
