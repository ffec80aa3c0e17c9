# SPDX-License-Identifier: Apache-2.0
"""Accountants reproduce published figures, agree with each other in the right order, and refuse nonsense."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from privacy.base.canonical import decimal_string
from privacy.base.errors import SettingsError
from privacy.dp import accounting, composition, pld
from privacy.dp.params import PrivacyEvent, PrivacyParams, PrivacySpent, epsilon_string

ANCHORS = Path(__file__).resolve().parents[3] / ".." / "shared" / "vectors" / "dp" / "epsilon_anchors.json"
ACCOUNTANTS = {"prv": accounting.epsilon, "rdp": accounting.epsilon_rdp, "pld": pld.epsilon_pld}
PRV_MARGIN = 0.03
"""How far PRV's upper bound (its own error of 0.01 included) may stand above PLD for the same events."""
CASES = [("1", "0.032", 300), ("1", "0.1", 60), ("3", "1", 20), ("0.7", "0.05", 40), ("4", "0.25", 160)]


def event(noise, rate, steps, partition="train"):
    return PrivacyEvent(noise_multiplier=noise, sample_rate=rate, steps=steps, partition=partition)


def gaussian_epsilon(noise, delta):
    """The analytic Gaussian mechanism (Balle and Wang 2018), for sensitivity 1."""

    def excess(epsilon):
        a, b = 0.5 / noise - epsilon * noise, -0.5 / noise - epsilon * noise
        return norm.cdf(a) - math.exp(epsilon) * norm.cdf(b) - delta

    return brentq(excess, 0, 100)


@pytest.mark.skipif(not ANCHORS.exists(), reason="the shared anchors are not beside the checkout")
def test_published_figures_are_reproduced():
    anchors = json.loads(ANCHORS.read_text())
    opacus = anchors["opacus"]
    for anchor in opacus["epsilon"]:
        one = event(str(opacus["noise_multiplier"]), str(opacus["sample_rate"]), anchor["steps"])
        found = ACCOUNTANTS[anchor["accountant"]]([one], opacus["delta"])
        assert found == pytest.approx(anchor["epsilon"], rel=1e-5)
    google = anchors["dp_accounting"][0]
    assert google["event"] == "3 x Poisson(q=0.2) Gaussian(sigma=0.5)"
    for delta, compare in (
        (google["delta"] - google["tolerance"], float.__ge__),
        (google["delta"] + 1e-3, float.__le__),
    ):
        assert compare(pld.epsilon_pld([event("0.5", "0.2", 3)], delta), google["epsilon"])


@pytest.mark.parametrize(("noise", "rate", "steps"), CASES)
def test_prv_lies_between_pld_and_rdp(noise, rate, steps):
    events = [event(noise, rate, steps)]
    exact, charged = pld.epsilon_pld(events, 1e-5), accounting.epsilon(events, 1e-5)
    assert exact <= charged <= exact + PRV_MARGIN
    assert charged <= accounting.epsilon_rdp(events, 1e-5)


@pytest.mark.parametrize(("noise", "steps"), [("1", 1), ("3", 20), ("20", 1), ("50", 9)])
def test_counts_without_sampling_cost_what_the_analytic_gaussian_costs(noise, steps):
    truth = gaussian_epsilon(float(noise) / math.sqrt(steps), 1e-5)
    for found in (accounting.epsilon, pld.epsilon_pld):
        assert truth - 1e-6 <= found([event(noise, "1", steps, "dev")], 1e-5) <= truth + 0.02


def test_events_compose_inside_a_partition_and_the_maximum_holds_over_partitions():
    train, dev = event("1", "0.1", 30), event("2", "1", 1, "dev")
    for found in (accounting.epsilon, accounting.epsilon_rdp, pld.epsilon_pld):
        alone = [found([one], 1e-5) for one in (train, dev)]
        assert found([train, dev], 1e-5) == max(alone)
        assert found([train, train], 1e-5) == pytest.approx(found([event("1", "0.1", 60)], 1e-5), rel=1e-9)
        assert found([train, event("2", "1", 1)], 1e-5) > max(alone)
        assert found([], 1e-5) == 0


def test_calibrated_noise_meets_the_target_and_little_less_would_not():
    target = 3.0
    noise = accounting.calibrate(target, 1e-5, 0.1, 40)
    assert len(decimal_string(noise).replace(".", "").lstrip("0")) <= 4
    assert accounting.epsilon([event(decimal_string(noise), "0.1", 40)], 1e-5) <= target
    assert accounting.epsilon([event(decimal_string(round(noise * 0.997, 6)), "0.1", 40)], 1e-5) > target


def test_a_target_that_no_noise_reaches_is_refused():
    for target in (0.0, -1.0, math.nan, math.inf, 0.01):
        with pytest.raises(SettingsError):
            accounting.calibrate(target, 1e-5, 0.5, 100)
    with pytest.raises(SettingsError, match="no noise"):
        composition.smallest_noise_multiplier(lambda noise: pld.epsilon_of(((noise, 0.5, 100),), 1e-5), 1e-6)


@pytest.mark.parametrize("other", ["gdp", "abacus", "PRV", "", "prv "])
def test_a_claim_names_one_of_the_three_accountants(other):
    good = {"epsilon": "1", "delta": "0.00001", "unit": "patient", "events": []}
    for label in ("prv", "pld", "rdp"):
        assert PrivacySpent.model_validate_json(json.dumps(good | {"accountant": label})).accountant == label
    with pytest.raises(ValueError, match="accountant"):
        PrivacySpent.model_validate_json(json.dumps(good | {"accountant": other}))


def test_what_coordinator_and_auditor_import_loads_no_torch():
    rooms = "privacy.dp, privacy.dp.params, privacy.dp.composition, privacy.dp.pld, privacy.dp.ledger, privacy.dp.noise"
    program = f"import {rooms}, privacy.dp.sampling, sys; sys.exit('torch' in sys.modules or 'opacus' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_reported_epsilons_are_rounded_up():
    assert epsilon_string(1.23456) == "1.2346"
    assert epsilon_string(np.nextafter(2.0, 3)) == "2.0001"
    assert epsilon_string(0.0) == "0"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sample_rate", "0"),
        ("sample_rate", "1.1"),
        ("sample_rate", "0.10"),
        ("noise_multiplier", "0"),
        ("noise_multiplier", "-1"),
        ("noise_multiplier", "1e3"),
        ("max_grad_norm", "0"),
        ("target_delta", "1"),
        ("target_delta", "0." + "0" * 60 + "1"),
        ("num_steps", 0),
        ("num_steps", 1.5),
        ("unit", "hospital"),
        ("clipping", "../ghost"),
        ("clipping", "ghost\n"),
        ("accountant", "gdp"),
        ("surprise", "1"),
    ],
)
def test_privacy_parameters_out_of_bounds_are_refused(field, value):
    good = {
        "sample_rate": "0.1",
        "noise_multiplier": "1.2",
        "max_grad_norm": "1",
        "target_epsilon": "8",
        "target_delta": "0.00001",
        "num_steps": 10,
        "unit": "record",
    }
    assert PrivacyParams.model_validate_json(json.dumps(good)).event() == event("1.2", "0.1", 10)
    with pytest.raises(ValueError, match=field):
        PrivacyParams.model_validate_json(json.dumps(good | {field: value}))
