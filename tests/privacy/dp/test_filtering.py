# SPDX-License-Identifier: Apache-2.0
"""A coordinator that chooses the next plan by the last output gets no more than the limit: the filter across runs.

PRV and PLD compose plans that were fixed beforehand; under such a choice 8.00 by PLD was 8.30 in truth.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus.accountants.analysis import rdp as opacus_rdp
from scipy.optimize import brentq

from privacy.base.canonical import decimal_string
from privacy.base.errors import BudgetExceeded
from privacy.dp import accounting, pld
from privacy.dp.composition import Accounted
from privacy.dp.filtering import (
    GAUSSIAN,
    LARGEST_FAVOURITE,
    ORDERS,
    divergence,
    epsilon_filter,
    favourite_of,
    gaussian_delta,
    gaussian_epsilon,
    shares,
)
from privacy.dp.ledger import Charge, Ledger, Release
from privacy.dp.params import PrivacyEvent

DELTA = 1e-5


def event(noise, rate, steps, partition="train"):
    return PrivacyEvent(
        noise_multiplier=decimal_string(noise), sample_rate=decimal_string(rate), steps=steps, partition=partition
    )


# The members ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("favourite", [GAUSSIAN, 3, 7, 64])
def test_the_members_shares_of_delta_add_up_to_it_and_never_to_more(favourite):
    found = shares(favourite)
    assert set(found) == {GAUSSIAN, *ORDERS, favourite}
    assert 1 - 1e-9 < math.fsum(found.values()) <= 1
    assert max(found, key=found.__getitem__) == favourite


@pytest.mark.parametrize(("noise", "rate"), [(1.0, 0.032), (0.7, 0.01), (3.0, 0.25), (2.0, 1.0), (0.5, 0.9)])
def test_divergences_are_those_of_opacus(noise, rate):
    for order in (*ORDERS, LARGEST_FAVOURITE):
        (published,) = opacus_rdp.compute_rdp(q=rate, noise_multiplier=noise, steps=1, orders=[order])
        assert divergence(order, noise, rate) == pytest.approx(float(published), rel=1e-6)


def test_a_divergence_is_the_integral_that_it_stands_for():
    """D_a(mixture || without) by quadrature, for adding a unit; the other direction is never larger."""
    noise, rate, order = 1.3, 0.2, 5
    x = np.linspace(-60, 60, 2_000_001)
    without = np.exp(-(x**2) / (2 * noise**2)) / (noise * math.sqrt(2 * math.pi))
    with_unit = (1 - rate) * without + rate * np.exp(-((x - 1) ** 2) / (2 * noise**2)) / (
        noise * math.sqrt(2 * math.pi)
    )
    ratio = 1 - rate + rate * np.exp((2 * x - 1) / (2 * noise**2))
    forth = math.log(np.trapezoid(without * ratio**order, x)) / (order - 1)
    back = math.log(np.trapezoid(with_unit * ratio ** (-order), x)) / (order - 1)
    assert divergence(order, noise, rate) == pytest.approx(forth, rel=1e-6)
    assert back <= forth


def test_a_tiny_spend_is_not_lost_in_rounding():
    for order in ORDERS:
        tiny = divergence(order, 1e5, 0.5)
        assert tiny == pytest.approx(0.25 * order / (2e10), rel=1e-3)
    assert epsilon_filter([event(1e5, 0.5, 1)], DELTA) > 0


def test_the_gaussian_member_is_exact_and_never_below():
    for noise, steps in ((3.801, 40), (1.0, 1), (20.0, 9)):
        precision = steps / noise**2
        found = gaussian_epsilon(precision, DELTA)
        assert gaussian_delta(precision, found) <= DELTA
        assert gaussian_delta(precision, found * (1 - 1e-6)) > DELTA
        exact = privacy_loss_distribution.from_gaussian_mechanism(
            noise / math.sqrt(steps), value_discretization_interval=1e-4
        ).get_epsilon_for_delta(DELTA)
        assert exact - 1e-3 <= found <= exact + 1e-3


def test_the_favourite_is_the_member_under_which_most_of_the_first_run_fits():
    assert favourite_of([event(3.801, 1, 40)], DELTA, 8) == GAUSSIAN
    assert favourite_of([event(9, 1, 1, "dev")], DELTA, 8) == GAUSSIAN
    assert favourite_of([], DELTA, 8) == GAUSSIAN
    sampled = [event(1, 0.032, 1)]
    chosen = favourite_of(sampled, DELTA, 8)
    assert chosen in range(2, 8)

    def fits(member):
        low, high = 1, 1 << 20
        while high - low > 1:
            middle = (low + high) // 2
            within = epsilon_filter([event(1, 0.032, middle)], DELTA, member) <= 8
            low, high = (middle, high) if within else (low, middle)
        return low

    assert all(fits(chosen) >= fits(other) for other in (GAUSSIAN, 2, 3, 4, 5, 8, 16))


def test_what_the_filter_costs_beside_an_accountant():
    """The figures of docs/privacy-accounting.md and ADR 27."""
    for noise, rate, steps, limit, most in (
        (3.801, 1, 40, 8, 8.07),
        (1.384, 0.032, 300, 2, 2.27),
        (0.7, 0.01, 1000, 5, 6.13),
        (1, 0.032, 300, 4, 5.08),
    ):
        plan = [event(noise, rate, steps)]
        found = epsilon_filter(plan, DELTA, favourite_of(plan, DELTA, limit))
        assert pld.epsilon_pld(plan, DELTA) < found <= most


# Laws -----------------------------------------------------------------------------------------------------------------

events = st.builds(
    event,
    st.integers(60, 900).map(lambda n: n / 100),
    st.sampled_from([0.001, 0.01, 0.05, 0.25, 0.7, 1.0]),
    st.integers(1, 60),
    st.sampled_from(["train", "dev"]),
)
histories = st.lists(events, min_size=1, max_size=4)
favourites = st.sampled_from([GAUSSIAN, 2, 3, 5, 9, 33, LARGEST_FAVOURITE])


@settings(max_examples=25, deadline=None)
@given(histories, favourites)
def test_the_filter_is_never_below_pld(history, favourite):
    """But for PLD's own bins at a tiny spend, and its coarse answer where nothing is protected any more."""
    by_pld = pld.account(history, DELTA)
    if by_pld.accountant == "pld":
        assert epsilon_filter(history, DELTA, favourite) >= by_pld.epsilon - 2e-3


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(histories, favourites)
def test_the_filter_is_never_below_prv(history, favourite):
    by_prv = accounting.account(history, DELTA)
    if by_prv.accountant == "prv":
        assert epsilon_filter(history, DELTA, favourite) >= by_prv.epsilon - 0.015


@settings(max_examples=200, deadline=None)
@given(histories, events, favourites, st.integers(1, 40))
def test_more_events_more_steps_and_less_delta_never_cost_less(history, one, favourite, more):
    before = epsilon_filter(history, DELTA, favourite)
    longer = [history[0].model_copy(update={"steps": history[0].steps + more}), *history[1:]]
    assert epsilon_filter([*history, one], DELTA, favourite) >= before
    assert epsilon_filter(longer, DELTA, favourite) >= before
    assert epsilon_filter(history, DELTA / 2, favourite) >= before
    assert epsilon_filter(list(reversed(history)), DELTA, favourite) == before


@settings(max_examples=50, deadline=None)
@given(histories, favourites)
def test_partitions_are_parallel_for_the_filter_as_well(history, favourite):
    apart = [
        epsilon_filter([one for one in history if one.partition == part], DELTA, favourite) for part in ("train", "dev")
    ]
    assert epsilon_filter(history, DELTA, favourite) == max(apart)


# A coordinator that chooses by what came out --------------------------------------------------------------------------

INTERVAL = 1e-3
FIRST = (2.0, 1.0, 2)
SECOND = ((1.0, 1), (0.01, 1), (0.01, 50), (0.1, 20), (0.001, 1), (0.5, 10))
"""Sample rate and steps of what the coordinator may plan next."""


def distribution(noise, rate, steps):
    return privacy_loss_distribution.from_gaussian_mechanism(
        noise, sampling_prob=rate, value_discretization_interval=INTERVAL
    ).self_compose(steps)


def adaptive_epsilon(seconds):
    """The true epsilon at DELTA of FIRST followed by whichever of `seconds` is worst for each of its outputs.

    For each loss of the first run (its own distribution, in bins) the second one is taken that leaves the largest
    delta. Without bins the figure is a little smaller.
    """
    first = distribution(*FIRST)
    dense = first._pmf_remove.to_dense_pmf()
    losses, masses = (dense._lower_loss + np.arange(len(dense._probs))) * INTERVAL, dense._probs
    grid = np.arange(-40, 60, 0.05)
    curves = [np.array(distribution(*second).get_delta_for_epsilon(list(grid))) for second in seconds]

    def delta(epsilon):
        left = np.max([np.interp(epsilon - losses, grid, curve) for curve in curves], axis=0)
        return float((masses * left).sum()) + dense._infinity_mass

    return brentq(lambda epsilon: delta(epsilon) - DELTA, 1, 20)


def calibrated(epsilon_of, limit):
    """For each of SECOND the noise that uses the limit up, by `epsilon_of` its events."""
    first = event(*FIRST)
    found = []
    for rate, steps in SECOND:
        noises = np.geomspace(0.15, 60, 400)
        fitting = [n for n in noises if epsilon_of([first, event(round(float(n), 4), rate, steps)]) <= limit]
        found.append((round(float(min(fitting)), 4), rate, steps))
    return found


@pytest.mark.slow
def test_by_pld_alone_a_coordinator_that_chooses_by_outputs_gets_more_than_the_limit():
    """Why there is a filter."""
    noises = (0.664, 0.3542, 0.4532, 0.7111, 0.2737, 1.2926)
    seconds = [(noise, *second) for noise, second in zip(noises, SECOND, strict=True)]
    for second in seconds:
        assert pld.epsilon_pld([event(*FIRST), event(*second)], DELTA) <= 8
    assert adaptive_epsilon(seconds) > 8.2


def test_what_the_filter_allows_a_coordinator_that_chooses_by_outputs_stays_within_the_limit(tmp_path):
    """The six second runs are those that just fit: a step less noise is refused by the ledger itself."""
    favourite = favourite_of([event(*FIRST)], DELTA, 8.0)
    seconds = calibrated(lambda history: epsilon_filter(history, DELTA, favourite), 8.0)
    assert adaptive_epsilon(seconds) <= 8.0
    for at, (noise, rate, steps) in enumerate(seconds):
        ledger = Ledger(tmp_path / f"{at}.sqlite", accountant=lambda events, delta: Accounted(1.0, "prv"))
        charge(ledger, 1, event(*FIRST), run_id="first")
        with pytest.raises(BudgetExceeded, match="by filter"):
            charge(ledger, 2, event(round(noise * 0.97, 4), rate, steps), run_id="second")
        assert charge(ledger, 3, event(noise, rate, steps), run_id="second").binding == "filter"


def charge(ledger, number, one, *, run_id, planned=(), limit="8", split=None, planned_as=()):
    return ledger.reserve(
        "notes",
        "patient",
        Charge(run_id, (one,), limit, "0.00001", split, tuple(planned), tuple(planned_as)),
        Release("clinic", number, "train", f"{number:064x}", number.to_bytes(32, "big")),
    )


# Which rule binds -----------------------------------------------------------------------------------------------------

ROUND = event(3.801, 1, 1)
PLAN = (event(3.801, 1, 40),)


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.sqlite", accountant=pld.account)


def test_a_first_run_is_held_to_the_accountant_alone_as_it_was_planned(ledger):
    """40 rounds at noise 3.801 are 7.988 by PLD and 8.06 by the filter: they fit a limit of 8 all the same."""
    for number in range(1, 5):
        row = charge(ledger, number, event(3.801, 1, 10), run_id="first", planned=PLAN)
        assert row.binding == "pld"
    assert float(row.filter_after) > 8 >= float(row.epsilon_after)


def test_what_goes_beyond_the_first_runs_plan_is_held_to_the_filter(ledger):
    """A retry, other noise, another run: whoever asks for it may have seen what came out."""
    charge(ledger, 1, event(3.801, 1, 39), run_id="first", planned=PLAN)
    for number, (one, run_id) in enumerate(
        ((event(3.801, 1, 2), "first"), (event(9, 1, 1), "first"), (ROUND, "second")), 2
    ):
        with pytest.raises(BudgetExceeded, match="by filter; pld says"):
            charge(ledger, number, one, run_id=run_id, planned=PLAN, limit="7.995")
    assert charge(ledger, 9, ROUND, run_id="first", planned=PLAN, limit="7.995").binding == "pld"


def test_a_first_run_that_was_planned_beyond_the_filter_is_alone_for_good(ledger):
    """Else its outputs would decide whether it goes on by one rule or another run begins under the other."""
    charge(ledger, 1, ROUND, run_id="first", planned=PLAN)
    with pytest.raises(BudgetExceeded, match=r"to 8\.06\d+ of 8\.0000"):
        charge(ledger, 2, event(50, 1, 1), run_id="second", planned=(event(50, 1, 1),))
    assert charge(ledger, 3, event(50, 1, 1), run_id="second", limit="8.1").binding == "filter"


def test_a_first_run_that_does_not_fit_as_a_whole_is_not_begun_by_the_accountant_alone(ledger):
    with pytest.raises(BudgetExceeded, match="by filter"):
        charge(ledger, 1, event(3.801, 1, 39), run_id="first", planned=(event(3.801, 1, 41),))


def test_a_first_run_whose_plan_nobody_knows_is_held_to_the_filter(ledger):
    assert charge(ledger, 1, ROUND, run_id="first").binding == "filter"
    with pytest.raises(BudgetExceeded, match="by filter"):
        charge(ledger, 2, event(3.801, 1, 39), run_id="first", planned=PLAN)


def test_later_runs_cannot_change_the_first_ones_plan(ledger):
    charge(ledger, 1, ROUND, run_id="first", planned=PLAN)
    first = ledger.first_run("notes")
    with pytest.raises(BudgetExceeded):
        charge(ledger, 2, ROUND, run_id="first", planned=(event(9, 1, 999),), limit="0.5")
    charge(ledger, 3, ROUND, run_id="second", planned=(ROUND,), limit="9")
    assert ledger.first_run("notes") == first
    assert first is not None
    assert (first.run_ids, first.planned) == (("first",), PLAN)


def test_what_a_data_set_has_come_to_is_told_by_both_rules(ledger):
    charge(ledger, 1, ROUND, run_id="first", planned=PLAN)
    same, other = ledger.standing("notes", "patient", "8", "first"), ledger.standing("notes", "patient", "8")
    assert same.fixed
    assert same.binding == (same.epsilon, "pld")
    assert not other.fixed
    assert other.binding[1] == "filter"
    assert 8 < float(other.by_filter) < 8.1
