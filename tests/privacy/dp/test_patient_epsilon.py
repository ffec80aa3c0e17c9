# SPDX-License-Identifier: Apache-2.0
"""The epsilon of a patient under record-level training: measured values, a brute-force law, and a sentence."""

from __future__ import annotations

import math

import pytest
from scipy.stats import norm

from privacy.dp.accounting import epsilon
from privacy.dp.params import Partition, PrivacyEvent
from privacy.dp.patient_epsilon import RDP_FALLBACK_EPSILON, patient_epsilon

DELTA = 1e-5


def event(noise: str = "1", rate: str = "0.032", steps: int = 300, partition: Partition = "train") -> PrivacyEvent:
    return PrivacyEvent(noise_multiplier=noise, sample_rate=rate, steps=steps, partition=partition)


@pytest.mark.parametrize(
    ("notes", "expected"), [(1, 3.60), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((2, 7.98), (4, 18.4)))]
)
def test_the_values_of_charles_and_others_mixture_come_out(notes: int, expected: float) -> None:
    """Measured with dp-accounting before there was this file, at interval 1e-4."""
    found = patient_epsilon([event()], {"train": notes}, DELTA)
    assert found.epsilon == pytest.approx(expected, rel=5e-3)


def test_one_note_costs_what_a_record_costs() -> None:
    events = [event(steps=50)]
    found = patient_epsilon(events, {"train": 1}, DELTA)
    assert found.epsilon == pytest.approx(epsilon(events, DELTA), abs=0.03)
    assert "no patient has more than one note" in found.sentence()


@pytest.mark.parametrize("notes", [2, 5])
def test_noised_counts_cost_a_patient_a_gaussian_of_so_many_notes(notes: int) -> None:
    """Sensitivity k: the exact hockey-stick divergence of N(0, s^2) and N(k, s^2) at the epsilon found is delta."""
    found = patient_epsilon([event("8", "1", 1, "dev")], {"dev": notes}, DELTA).epsilon
    assert found is not None
    ratio = notes / 8
    delta = norm.cdf(ratio / 2 - found / ratio) - math.exp(found) * norm.cdf(-ratio / 2 - found / ratio)
    assert delta == pytest.approx(DELTA, rel=2e-2)


def test_more_notes_and_more_steps_never_cost_less() -> None:
    found = [
        patient_epsilon([event("2", "0.1", steps)], {"train": k}, DELTA).epsilon
        for k, steps in ((1, 9), (2, 9), (2, 30))
    ]
    assert None not in found
    assert found == sorted(found)  # type: ignore[type-var]


def test_the_greater_of_train_and_dev_counts_and_each_has_its_own_notes() -> None:
    events = [event("2", "0.1", 20), event("3", "1", 2, "dev")]
    both = patient_epsilon(events, {"train": 1, "dev": 4}, DELTA).epsilon
    assert both == patient_epsilon(events[1:], {"dev": 4}, DELTA).epsilon
    assert both is not None
    assert both > (patient_epsilon(events[:1], {"train": 1}, DELTA).epsilon or 0)


def test_what_is_hopeless_is_said_and_not_computed_to_the_end() -> None:
    found = patient_epsilon([event("0.5", "0.5", 20)], {"train": 8}, DELTA)
    assert found.epsilon is None
    assert f"above {RDP_FALLBACK_EPSILON:.0f}" in found.sentence()
    assert "policy.unit to patient" in found.sentence()


def test_a_patient_without_notes_is_no_patient() -> None:
    with pytest.raises(ValueError, match="at least one note"):
        patient_epsilon([event()], {}, DELTA)
