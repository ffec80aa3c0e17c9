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
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from privacy.base.canonical import decimal_string
from privacy.base.errors import ContractError, IntegrityError, SettingsError
from privacy.dp import accounting, composition, pld
from privacy.dp.params import PrivacyEvent, PrivacyParams, PrivacySpent, epsilon_string

ANCHORS = Path(__file__).resolve().parents[3] / ".." / "shared" / "vectors" / "dp" / "epsilon_anchors.json"
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
        found = accounting.accountant(anchor["accountant"])([one], opacus["delta"])
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
    assert exact <= charged <= exact + pld.PRV_MARGIN
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


@pytest.mark.parametrize(
    ("target", "rate", "steps"), [(1.0, "0.032", 300), pytest.param(8.0, "0.1", 40, marks=pytest.mark.slow)]
)
def test_a_coordinator_without_torch_calibrates_so_that_sites_accept(target, rate, steps):
    noise = pld.calibrate_pld(target, 1e-5, float(rate), steps)
    charged = accounting.epsilon([event(decimal_string(noise), rate, steps)], 1e-5)
    assert target - 2 * pld.PRV_MARGIN < charged <= target


def test_a_target_that_no_noise_reaches_is_refused():
    for target in (0.0, -1.0, math.nan, math.inf, 0.01):
        with pytest.raises(SettingsError):
            accounting.calibrate(target, 1e-5, 0.5, 100)
    with pytest.raises(SettingsError, match="no noise"):
        pld.calibrate_pld(1e-6, 1e-5, 0.5, 100)


def test_the_gdp_accountant_is_refused_with_its_reason():
    with pytest.raises(SettingsError, match="less epsilon than is spent"):
        accounting.accountant("gdp")
    with pytest.raises(SettingsError, match="no accountant 'abacus'"):
        accounting.accountant("abacus")


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -0.01])
def test_a_negative_or_non_finite_epsilon_is_refused(nonsense):
    with pytest.raises(ContractError, match="negative or non-finite"):
        composition.over_partitions([event("1", "1", 1)], lambda history: composition.Accounted(nonsense, "prv"), "prv")
    with pytest.raises(ContractError):
        epsilon_string(nonsense)


def test_a_plan_almost_without_noise_is_answered_at_once_with_a_hopeless_epsilon():
    for found in (accounting.epsilon, pld.epsilon_pld):
        assert found([event("0.0001", "0.5", 1000)], 1e-5) > 1e6


def test_a_tiny_spend_is_never_reported_as_none():
    """dp-accounting's RDP rounds this one to 0: PLD must not follow."""
    assert pld.epsilon_pld([event("100000", "0.5", 100)], 1e-7) > 1e-5


@pytest.mark.slow
def test_long_runs_are_accounted_by_pld_and_stay_below_rdp():
    events = [event("10", "0.5", 20000)]
    assert accounting.epsilon(events, 1e-5) == pld.epsilon_pld(events, 1e-5) == pytest.approx(54.49, abs=0.01)
    assert accounting.epsilon(events, 1e-5) < accounting.epsilon_rdp(events, 1e-5)


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(noise=st.integers(100, 400), rate=st.integers(1, 100), steps=st.integers(1, 200), more=st.integers(1, 100))
def test_epsilon_grows_with_steps_and_falls_with_noise(noise, rate, steps, more):
    def cost(a, b, c):
        one = event(decimal_string(round(a / 100, 2)), decimal_string(round(b / 100, 2)), c)
        return pld.epsilon_pld([one], 1e-5)

    base = cost(noise, rate, steps)
    assert cost(noise, rate, steps + more) >= base - 1e-9
    assert cost(noise + more, rate, steps) <= base + 1e-9


@pytest.mark.parametrize(
    ("one", "label"),
    [
        (event("1", "0.1", 30), "prv"),
        (event("4", "0.01", accounting.PRV_STEPS), "prv"),
        (event("4", "0.01", accounting.PRV_STEPS + 1), "pld"),
        (event("0.05", "0.5", 100), "rdp"),
    ],
    ids=("short", "as long as PRV goes", "a step longer", "hopeless"),
)
def test_an_epsilon_says_which_accountant_gave_it(one, label):
    found = accounting.account([one], 1e-5)
    assert found.accountant == label
    assert found.epsilon == accounting.epsilon([one], 1e-5)
    if label == "pld":
        assert found.epsilon == pld.epsilon_pld([one], 1e-5)
    if label == "rdp":
        assert pld.account([one], 1e-5).accountant == "rdp"


def test_the_label_is_that_of_the_partition_that_counts():
    cheap, long, dear = event("9", "1", 1, "dev"), event("4", "0.01", 6000), event("2", "1", 1, "dev")
    assert accounting.account([cheap, long], 1e-5).accountant == "pld"
    assert accounting.account([long, dear], 1e-5).accountant == "prv"


@pytest.mark.parametrize("other", ["gdp", "abacus", "PRV", "", "prv "])
def test_a_claim_names_one_of_the_three_accountants(other):
    good = {"epsilon": "1", "delta": "0.00001", "unit": "patient", "events": []}
    for label in ("prv", "pld", "rdp"):
        assert PrivacySpent.model_validate_json(json.dumps(good | {"accountant": label})).accountant == label
    with pytest.raises(ValueError, match="accountant"):
        PrivacySpent.model_validate_json(json.dumps(good | {"accountant": other}))


def test_a_claim_below_what_its_events_cost_is_found():
    events = (event("1", "0.1", 60), event("20", "1", 4, "dev"))
    honest = epsilon_string(accounting.epsilon(events, 1e-5))
    spent = PrivacySpent(epsilon=honest, delta="0.00001", unit="patient", accountant="prv", events=events)
    pld.verify_spent(spent)
    with pytest.raises(IntegrityError, match="is claimed, but"):
        pld.verify_spent(spent.model_copy(update={"epsilon": decimal_string(float(honest) - 0.02)}))


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
