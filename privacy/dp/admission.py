# SPDX-License-Identifier: Apache-2.0
"""May a data set be charged once more? What a charge would bring its whole history to, and which rule binds.

Two rules hold a limit. What was fixed before any output (the first run of a data set, as it was planned when it was
first charged) is composed by PRV or PLD. Whatever else is charged may have been chosen by what came out before: it must
fit the filter as well, with the whole history. A first run that was planned beyond the filter is alone for good: if
another run could follow it where it ended early, its outputs would have decided between the two rules (ADR 27).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from privacy.base.canonical import DecimalString
from privacy.base.errors import ContractError, PlanRefused
from privacy.dp.composition import Accounted, as_one_sequence
from privacy.dp.filtering import epsilon_filter, favourite_of
from privacy.dp.params import Accountant, Partition, PrivacyEvent, epsilon_string
from privacy.dp.reservations import AccountKey, FirstRun, LedgerView, PinnedSplit, Reservation

Accounting = Callable[[Sequence[PrivacyEvent], float], Accounted]
"""The epsilon of events at a delta and whose it is, as privacy.dp.accounting.account gives it."""

ACCOUNTANT_ERROR = 0.03
"""How far two sound answers may lie apart (PRV's own error, PLD beyond 5000 steps): less is a contradiction."""


@dataclass(frozen=True)
class Charge:
    """What is asked for: `events` by `run_id`, of all that the run `planned`, under the site's `limit`.

    `planned_as`: the run ids that share the plan, where it is not this run's alone.
    """

    run_id: str
    events: tuple[PrivacyEvent, ...]
    limit: DecimalString
    delta: DecimalString
    split: PinnedSplit | None = None
    planned: tuple[PrivacyEvent, ...] = ()
    planned_as: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """What a history comes to, rounded up: by `accountant`, and by the filter. `fixed`: no output chose any of it."""

    epsilon: DecimalString
    accountant: Accountant
    by_filter: DecimalString
    fixed: bool

    @property
    def binding(self) -> tuple[DecimalString, Accountant | Literal["filter"]]:
        """The epsilon that is held against the limit, and whose it is."""
        if not self.fixed and float(self.by_filter) > float(self.epsilon):
            return self.by_filter, "filter"
        return self.epsilon, self.accountant


def cost_of(view: LedgerView, account: AccountKey, charge: Charge, accounting: Accounting) -> Cost:
    """The whole history of `account` with the charge. Raises ContractError when the accountant contradicts itself."""
    rows, delta = view.of(account), float(charge.delta)
    sequence = view.in_sequence(account, charge.split)
    composed = as_one_sequence if sequence else list[PrivacyEvent]
    first = first_run(view, account, charge)
    events = composed([*(event for row in rows for event in row.events), *charge.events])
    accounted = accounting(events, delta) if events else Accounted(0.0, "prv")
    after = _not_less_than_before(epsilon_string(accounted.epsilon), rows, charge.delta)
    planned = composed(first.planned)
    fixed = not sequence and _as_planned(first, [*(row.run_id for row in rows), charge.run_id], events)
    fixed = fixed and accounting(planned, delta).epsilon <= float(charge.limit)
    by_filter = epsilon_filter(events, delta, first.favourite)
    if not fixed:
        by_filter = max(by_filter, epsilon_filter(planned, delta, first.favourite))
    return Cost(after, accounted.accountant, epsilon_string(by_filter), fixed)


def _not_less_than_before(after: DecimalString, rows: Sequence[Reservation], delta: DecimalString) -> DecimalString:
    """What more releases cost, which is not less than what fewer cost. Raises ContractError where it clearly is."""
    before = next((row.epsilon_after for row in reversed(rows) if row.delta == delta), "0")
    if float(after) < float(before) - ACCOUNTANT_ERROR:
        raise ContractError(
            f"the accountant contradicts itself: more releases cost epsilon {after}, fewer cost {before}; "
            "nothing was trained",
            next_step="keep the ledger as it is, and report the plan's noise, sample rate and steps as a bug",
        )
    return max(after, before, key=float)


def first_run(view: LedgerView, account: AccountKey, charge: Charge) -> FirstRun:
    """The data set's first run; the charge's own where there was none. A file from before says nothing of a plan."""
    if account[0] in view.first_runs:
        return view.first_runs[account[0]]
    if view.of(account):
        return FirstRun((), ())
    favourite = favourite_of(charge.planned or charge.events, float(charge.delta), float(charge.limit))
    return FirstRun(charge.planned_as or (charge.run_id,), charge.planned, favourite)


def _as_planned(first: FirstRun, run_ids: Sequence[str], events: Sequence[PrivacyEvent]) -> bool:
    """Whether the first run is the only one, and nothing of it is beyond its plan."""
    return set(first.run_ids) >= set(run_ids) and bool(first.planned) and _steps(events) <= _steps(first.planned)


def _steps(events: Sequence[PrivacyEvent]) -> Counter[tuple[Partition, DecimalString, DecimalString]]:
    """Steps by partition, noise and rate."""
    steps: Counter[tuple[Partition, DecimalString, DecimalString]] = Counter()
    for event in events:
        steps[event.partition, event.noise_multiplier, event.sample_rate] += event.steps
    return steps


def check_open(view: LedgerView, account: AccountKey, charge: Charge) -> None:
    """Raises PlanRefused for what forbids a charge before any accounting."""
    dataset, unit = account
    if dataset in view.withdrawn:
        raise PlanRefused(
            f"the data set {dataset} was withdrawn: nothing is trained on it any more, under no unit",
            reason="policy",
            next_step="leave the run, or declare other people's data under another name",
        )
    _check_unit(dataset, unit, view.units(dataset))
    pinned = view.delta(account)
    if pinned not in (None, charge.delta):
        raise PlanRefused(
            f"epsilon of {dataset} is counted at delta {pinned} since its first charge, and the policy now says "
            f"{charge.delta}: epsilons at two deltas cannot be compared with one limit; nothing was trained",
            reason="policy",
            next_step=f"set policy.delta back to {pinned}",
        )
    splits = view.splits.get(account)
    if charge.split is not None and splits and splits[-1][0] != charge.split.drawn:
        raise PlanRefused(
            f"the split of {dataset} into train and dev is not the one its budget was spent under",
            reason="policy",
            next_step="restore data.dev_fraction, data.test_fraction and the site's key; nothing was trained",
        )


def _check_unit(dataset: str, unit: str, charged: Sequence[str]) -> None:
    """A data set has one unit: what one unit was charged says nothing of the other's epsilon."""
    if len(charged) > 1:
        raise PlanRefused(
            f"{dataset} was charged under both units by an earlier version: no epsilon of either covers all that was "
            "released; nothing was trained",
            reason="policy",
            next_step="train on other people's data, declared under another name",
        )
    if charged and charged[0] != unit:
        raise PlanRefused(
            f"{dataset} was charged under unit {charged[0]}, and the policy now says {unit}: what was released for one "
            "unit is not counted for the other; nothing was trained",
            reason="policy",
            next_step=f"set policy.unit back to {charged[0]}",
        )
