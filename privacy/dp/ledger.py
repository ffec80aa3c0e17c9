# SPDX-License-Identifier: Apache-2.0
"""What a site has spent, for good: reserve (on disk) -> train or count -> settle. A crash in between stays charged.

The entries lie in one hash chain with a head beside it (privacy.dp.ledger_chain). Epsilon is recomputed from the whole
history of a declared data set, across rounds, restarts, runs and coordinators, for its one unit and at the delta of its
first charge; epsilons are never added up. Whether one more charge fits is privacy.dp.admission's word. Settling gives
nothing back; a withdrawal closes a data set. No entry holds a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from privacy.base.canonical import DecimalString, Json
from privacy.base.errors import BudgetExceeded, IntegrityError, Overrun
from privacy.base.identifiers import RunId, SiteId
from privacy.dp.admission import Accounting, Charge, Cost, check_open, cost_of, first_run
from privacy.dp.composition import Accounted, as_one_sequence
from privacy.dp.ledger_chain import LOCK_SECONDS, Chain, Transaction
from privacy.dp.params import PrivacyEvent, PrivacySpent, Unit, epsilon_string
from privacy.dp.reservations import AccountKey, FirstRun, LedgerView, PinnedSplit, Release, Reservation

__all__ = ["LOCK_SECONDS", "AccountKey", "Charge", "Cost", "Ledger", "PinnedSplit", "Release", "Reservation"]


class Ledger:
    """The ledger at `path`, created when it is missing. Safe for several threads and processes.

    `accountant` is by default privacy.dp.accounting's, imported (with torch) at the first use. Every method raises
    IntegrityError for an altered file or an old copy, and StorageFailed when the machine fails.
    """

    def __init__(self, path: Path, *, accountant: Accounting | None = None) -> None:
        self._account = accountant or _default
        self._chain = Chain(path)

    def reserve(
        self,
        dataset: str,
        unit: Unit,
        charge: Charge,
        release: Release,
    ) -> Reservation:
        """Charge `charge.events` and return when that is on disk; only then may the release be computed.

        `charge.planned` counts at a data set's first charge alone. Another `split.named` than before makes all
        partitions one sequence, for good.

        Raises BudgetExceeded, with the figures and before anything is written, if the whole history with the events
        would cost more than `charge.limit` at `charge.delta`; PlanRefused for a withdrawn data set, another unit, delta
        or `split.drawn` than that of the first charge; ContractError when the accountant contradicts itself;
        IntegrityError for a nonce that was used before.
        """
        if not charge.events or len(release.nonce) != 32:
            raise ValueError("a reservation has events and a nonce of 32 bytes")
        account = (dataset, unit)
        with self._chain.transaction() as transaction:
            view = LedgerView(transaction.entries)
            _check_nonce(view, release.nonce)
            check_open(view, account, charge)
            cost = cost_of(view, account, charge, self._account)
            check_limit(cost, charge.limit, release.site, release.server_round, unit)
            _keep_what_is_new(transaction, view, account, charge)
            reservation = _reservation(len(view.reservations) + 1, account, charge, release, cost)
            transaction.append("reservation", reservation.body())
        return reservation

    def cost(self, dataset: str, unit: Unit, charge: Charge) -> Cost:
        """What `reserve` would bring the data set to; nothing is written. Raises as `reserve` does, but for the limit.

        Without events: what it has come to.
        """
        view, account = self._view(), (dataset, unit)
        check_open(view, account, charge)
        return cost_of(view, account, charge, self._account)

    def standing(self, dataset: str, unit: Unit, epsilon_limit: DecimalString, run_id: str = "") -> Cost:
        """What the data set has come to as a run finds it, `run_id` or any other; of a closed one as well."""
        view, account = self._view(), (dataset, unit)
        charge = Charge(run_id, (), epsilon_limit, view.delta(account) or "0.00001")
        return cost_of(view, account, charge, self._account)

    def first_run(self, dataset: str) -> FirstRun | None:
        """The data set's first run with its plan; None before a charge, and where the file is older than such plans."""
        return self._view().first_runs.get(dataset)

    def in_sequence(self, dataset: str, unit: Unit) -> bool:
        """Whether all partitions of the data set compose as one, because the names of its units were changed."""
        return self._view().in_sequence((dataset, unit))

    def settle(self, reservation: Reservation) -> None:
        """Note that the release was made. It changes nothing about the charge; a second call changes nothing at all."""
        with self._chain.transaction() as transaction:
            if reservation.number not in LedgerView(transaction.entries).settled:
                transaction.append("settlement", {"reservation": reservation.number})

    def withdraw(self, dataset: str) -> None:
        """Close the data set for good, for every unit; its history stays. A second call changes nothing."""
        with self._chain.transaction() as transaction:
            if dataset not in LedgerView(transaction.entries).withdrawn:
                transaction.append("withdrawal", {"dataset": dataset})

    def withdrawn(self, dataset: str) -> bool:
        """Whether the data set was closed."""
        return dataset in self._view().withdrawn

    def accounts(self) -> list[AccountKey]:
        """The data sets and units that were ever charged, sorted."""
        return sorted({row.account for row in self._view().reservations})

    def delta(self, dataset: str, unit: Unit) -> DecimalString | None:
        """The delta that the first charge fixed; None before it."""
        return self._view().delta((dataset, unit))

    def history(self, dataset: str, unit: Unit) -> tuple[Reservation, ...]:
        """Every reservation of the data set under the unit, oldest first. Raises IntegrityError if one was altered."""
        return tuple(self._view().of((dataset, unit)))

    def reservations(self) -> tuple[Reservation, ...]:
        """Every reservation of every data set, oldest first."""
        return tuple(self._view().reservations)

    def unsettled(self, dataset: str, unit: Unit) -> tuple[Reservation, ...]:
        """Reservations whose release was never noted: crashed or interrupted attempts, charged all the same."""
        view = self._view()
        return tuple(row for row in view.of((dataset, unit)) if row.number not in view.settled)

    def spent(self, dataset: str, unit: Unit, delta: DecimalString, *, run_id: RunId | None = None) -> PrivacySpent:
        """What the whole history cost at `delta`; with `run_id`, what that run alone cost."""
        view, account = self._view(), (dataset, unit)
        events = tuple(event for row in view.of(account) if run_id in (None, row.run_id) for event in row.events)
        composed = as_one_sequence(events) if view.in_sequence(account) else events
        accounted = self._account(composed, float(delta)) if events else Accounted(0.0, "prv")
        return PrivacySpent(
            epsilon=epsilon_string(accounted.epsilon),
            delta=delta,
            unit=unit,
            accountant=accounted.accountant,
            events=events,
        )

    def _view(self) -> LedgerView:
        with self._chain.transaction() as transaction:
            return LedgerView(transaction.entries)


def check_limit(
    cost: Cost, epsilon_limit: DecimalString, site: SiteId, server_round: int, unit: Unit, what: str = ""
) -> None:
    """Raises BudgetExceeded if what binds is above the limit."""
    after, accountant = cost.binding
    if float(after) > float(epsilon_limit):
        also = f"{cost.accountant} says {cost.epsilon}" if accountant == "filter" else ""
        overrun = Overrun(float(after), float(epsilon_limit), unit, accountant, also)
        raise BudgetExceeded(overrun, site=site, server_round=server_round, what=what)


def _reservation(number: int, account: AccountKey, charge: Charge, release: Release, cost: Cost) -> Reservation:
    dataset, unit = account
    return Reservation(
        number=number,
        dataset=dataset,
        unit=unit,
        delta=charge.delta,
        events=charge.events,
        site=release.site,
        run_id=charge.run_id,
        server_round=release.server_round,
        purpose=release.purpose,
        plan_digest=release.plan_digest,
        nonce=release.nonce,
        epsilon_limit=charge.limit,
        epsilon_after=cost.epsilon,
        log_origin=release.seen[0],
        seen_tree_size=release.seen[1],
        filter_after=cost.by_filter,
        binding=cost.binding[1],
    )


def _keep_what_is_new(transaction: Transaction, view: LedgerView, account: AccountKey, charge: Charge) -> None:
    """With a charge: the data set's first run, and a split that was not the last one."""
    dataset, unit = account
    if not view.of(account):
        first = first_run(view, account, charge)
        planned: Json = [event.model_dump(mode="json") for event in first.planned]
        body: dict[str, Json] = {"dataset": dataset, "run_ids": list(first.run_ids), "planned": planned}
        transaction.append("first_run", body | {"favourite": first.favourite})
    split = charge.split
    if split is not None and view.splits.get(account, [None])[-1] != (split.drawn, split.named):
        transaction.append("split", {"dataset": dataset, "unit": unit, "digest": split.drawn, "named": split.named})


def _check_nonce(view: LedgerView, nonce: bytes) -> None:
    if any(row.nonce == nonce for row in view.reservations):
        raise IntegrityError(
            "a nonce was used before: two attempts would share their noise",
            next_step="draw a fresh nonce from the operating system; nothing was trained",
        )


def _default(events: Sequence[PrivacyEvent], delta: float) -> Accounted:
    from privacy.dp.accounting import account

    return account(events, delta)
