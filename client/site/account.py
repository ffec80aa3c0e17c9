# SPDX-License-Identifier: Apache-2.0
"""A site's privacy account as its people read it: spent and left, by run and in total, and how far the rest reaches.

Everything is recomputed from the ledger's whole history. A forecast says how many more rounds of one kind the budget
allows: found with the fast accountant, then confirmed with the one that charges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from client.settings.site_settings import SiteFolder
from privacy.base.canonical import decimal_string
from privacy.dp.composition import as_one_sequence
from privacy.dp.ledger import Ledger, Reservation
from privacy.dp.params import PrivacyEvent, Unit, epsilon_string
from privacy.dp.reservations import FirstRun

MOST_ROUNDS: Final = 10_000


@dataclass(frozen=True)
class RunSpent:
    """What one run was charged; its epsilon is of that run alone, and those of several runs do not add up."""

    run_id: str
    releases: int
    epsilon: str


@dataclass(frozen=True)
class Forecast:
    """`rounds` more of `event` keep within the limit; MOST_ROUNDS stands for at least so many."""

    event: PrivacyEvent
    rounds: int

    def sentence(self) -> str:
        """In words."""
        many = f"at least {self.rounds:,}" if self.rounds >= MOST_ROUNDS else f"{self.rounds:,}"
        noise, rate = self.event.noise_multiplier, self.event.sample_rate
        return (
            f"the budget allows {many} more round{'s' * (self.rounds != 1)} of {self.event.steps} steps at noise "
            f"multiplier {noise} and rate {rate}"
        )


@dataclass(frozen=True)
class Account:
    """One data set under one unit. `epsilon_limit` and what follows from it only where the settings name it now.

    `epsilon_spent` is the larger of PRV and PLD where they differ, by `accountant`; `epsilon_filter` holds whatever
    later runs choose by earlier outputs. `binds` says which of them the limit holds for the last run, of which
    `epsilon_left` is left; `epsilon_left_next` is what is left for a run that was not charged yet, by the filter.
    """

    dataset: str
    unit: Unit
    delta: str
    withdrawn: bool
    closed: bool
    in_sequence: bool
    releases: int
    unsettled: int
    epsilon_spent: str
    epsilon_prv: str
    epsilon_pld: str
    accountant: str
    epsilon_filter: str
    binds: str
    epsilon_limit: str | None
    epsilon_left: str | None
    epsilon_left_next: str | None
    runs: tuple[RunSpent, ...]
    history: tuple[Reservation, ...]
    first_run: FirstRun


def accounts(folder: SiteFolder) -> list[Account]:
    """Every account of the site's ledger, sorted; none without a ledger."""
    if not folder.ledger.exists():
        return []
    ledger = Ledger(folder.ledger)
    return [_account(folder, ledger, dataset, unit) for dataset, unit in ledger.accounts()]


def _account(folder: SiteFolder, ledger: Ledger, dataset: str, unit: Unit) -> Account:
    from privacy.dp.accountant_crosscheck import bounds

    policy, history = folder.settings.policy, ledger.history(dataset, unit)
    delta = ledger.delta(dataset, unit) or decimal_string(policy.delta)
    sequence = ledger.in_sequence(dataset, unit)
    events = [event for row in history for event in row.events]
    spending = bounds(as_one_sequence(events) if sequence else events, float(delta))
    current = (dataset, unit) == (folder.settings.data.dataset, policy.unit)
    spent, limit = epsilon_string(spending.shown), decimal_string(policy.epsilon_limit) if current else None
    bound = decimal_string(policy.epsilon_limit)
    last, new = (ledger.standing(dataset, unit, bound, run_id) for run_id in (history[-1].run_id, ""))
    binding, binding_next = (max(one.binding[0], spent, key=float) for one in (last, new))
    return Account(
        dataset=dataset,
        unit=unit,
        delta=delta,
        withdrawn=ledger.withdrawn(dataset),
        closed=_is_closed(ledger, dataset),
        in_sequence=sequence,
        releases=len(history),
        unsettled=len(ledger.unsettled(dataset, unit)),
        epsilon_spent=spent,
        epsilon_prv=epsilon_string(spending.prv),
        epsilon_pld=epsilon_string(spending.pld),
        accountant=spending.accountant,
        epsilon_filter=new.by_filter,
        binds="filter" if float(binding) > float(spent) else spending.accountant,
        epsilon_limit=limit,
        epsilon_left=_left_of(limit, binding),
        epsilon_left_next=_left_of(limit, binding_next),
        runs=_runs(ledger, history, delta),
        history=history,
        first_run=ledger.first_run(dataset) or FirstRun((), ()),
    )


def _is_closed(ledger: Ledger, dataset: str) -> bool:
    """Nothing more can be charged: it was withdrawn, or charged under two units."""
    return ledger.withdrawn(dataset) or sum(name == dataset for name, _ in ledger.accounts()) > 1


def _runs(ledger: Ledger, history: Sequence[Reservation], delta: str) -> tuple[RunSpent, ...]:
    runs = dict.fromkeys(row.run_id for row in history)
    dataset, unit = history[0].account
    return tuple(
        RunSpent(
            run_id,
            sum(row.run_id == run_id for row in history),
            ledger.spent(dataset, unit, delta, run_id=run_id).epsilon,
        )
        for run_id in runs
    )


def _left_of(limit: str | None, spent: str) -> str | None:
    return None if limit is None else left(spent, limit)


def left(spent: str, limit: str) -> str:
    """What may still be spent, as a decimal; never below 0."""
    return decimal_string(max(Decimal(0), Decimal(limit) - Decimal(spent)))


def balance(folder: SiteFolder) -> str:
    """Epsilon spent and left, as the ledger's last reservation has it: without accounting anew, so at once."""
    policy, dataset = folder.settings.policy, folder.settings.data.dataset
    history = Ledger(folder.ledger).history(dataset, policy.unit)
    limit = decimal_string(policy.epsilon_limit)
    spent, by = (history[-1].binding_epsilon, history[-1].binding) if history else ("0", "prv")
    whose = f"unit: {policy.unit}, by {by}"
    return f"ledger of {dataset}: epsilon {spent} of {limit} spent, {left(spent, limit)} left ({whose})"


def last_round(account: Account) -> PrivacyEvent | None:
    """The training that was charged last; None where nothing was ever trained."""
    trainings = [event for row in account.history for event in row.events if event.partition == "train"]
    return trainings[-1] if trainings else None


def forecast(account: Account, event: PrivacyEvent) -> Forecast:
    """How many more rounds like `event` the account allows to a run that was not charged yet, by the accountants and by
    the filter; 0 for an account that is closed or has no limit now."""
    from privacy.dp import accounting, pld
    from privacy.dp.filtering import epsilon_filter

    if account.epsilon_limit is None or account.closed:
        return Forecast(event, 0)
    limit, delta, first = float(account.epsilon_limit), float(account.delta), account.first_run
    composed = as_one_sequence if account.in_sequence else list[PrivacyEvent]
    spent = [one for row in account.history for one in row.events]
    if epsilon_filter(composed(first.planned), delta, first.favourite) > limit:
        return Forecast(event, 0)

    def fits(epsilon: Callable[[Sequence[PrivacyEvent], float], float], rounds: int) -> bool:
        more = composed([*spent, event.model_copy(update={"steps": event.steps * rounds})])
        larger = max(epsilon(more, delta), epsilon_filter(more, delta, first.favourite))
        return float(epsilon_string(larger)) <= limit

    nearly = _most(lambda rounds: fits(pld.epsilon_pld, rounds))
    return Forecast(event, _most_near(lambda rounds: fits(accounting.epsilon, rounds), nearly))


def _most(fits: Callable[[int], bool]) -> int:
    """The most rounds that fit, at most MOST_ROUNDS, by doubling and halving."""
    low, high = 0, 1
    while high <= MOST_ROUNDS and fits(high):
        low, high = high, high * 2
    high = min(high, MOST_ROUNDS + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _most_near(fits: Callable[[int], bool], rounds: int) -> int:
    """The most rounds that fit by a slower accountant, in single steps from what a faster one found."""
    while rounds > 0 and not fits(rounds):
        rounds -= 1
    while rounds < MOST_ROUNDS and fits(rounds + 1):
        rounds += 1
    return rounds
