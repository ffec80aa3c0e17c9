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
from privacy.base.errors import BudgetExceeded, IntegrityError
from privacy.base.identifiers import Digest, RunId, SiteId
from privacy.dp.admission import Accounting, Charge, Cost, check_open, cost_of, first_run
from privacy.dp.composition import Accounted, as_one_sequence
from privacy.dp.ledger_chain import LOCK_SECONDS, Chain, Transaction
from privacy.dp.params import PrivacyEvent, PrivacySpent, Unit, epsilon_string
from privacy.dp.reservations import Account, FirstRun, LedgerView, Reservation, Split

__all__ = ["LOCK_SECONDS", "Account", "Charge", "Cost", "Ledger", "Reservation", "Split"]


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
        delta: DecimalString,
        epsilon_limit: DecimalString,
        events: Sequence[PrivacyEvent],
        *,
        site: SiteId,
        run_id: RunId,
        server_round: int,
        purpose: str,
        plan_digest: Digest,
        nonce: bytes,
        seen: tuple[str, int] = ("", 0),
        split: Split | None = None,
        planned: Sequence[PrivacyEvent] = (),
        planned_as: Sequence[RunId] = (),
    ) -> Reservation:
        """Charge `events` and return when that is on disk; only then may the release be computed.

        `seen` is origin and size of the last signed checkpoint; `planned` all that the run (or all of `planned_as`)
        fixed at its opening, which counts at a data set's first charge alone. Another `split.named` than before makes
        all partitions one sequence, for good.

        Raises BudgetExceeded, with the figures and before anything is written, if the whole history with `events` would
        cost more than `epsilon_limit` at `delta`; PlanRefused for a withdrawn data set, another unit, delta or
        `split.drawn` than that of the first charge; ContractError when the accountant contradicts itself;
        IntegrityError for a nonce that was used before.
        """
        if not events or len(nonce) != 32:
            raise ValueError("a reservation has events and a nonce of 32 bytes")
        account = (dataset, unit)
        charge = Charge(run_id, tuple(events), epsilon_limit, delta, split, tuple(planned), tuple(planned_as))
        with self._chain.transaction() as page:
            book = LedgerView(page.entries)
            _check_nonce(book, nonce)
            check_open(book, account, charge)
            cost = cost_of(book, account, charge, self._account)
            check_limit(cost, epsilon_limit, site, server_round, unit)
            _keep_what_is_new(page, book, account, charge)
            reservation = Reservation(
                len(book.reservations) + 1,
                dataset,
                unit,
                delta,
                tuple(events),
                site,
                run_id,
                server_round,
                purpose,
                plan_digest,
                nonce,
                epsilon_limit,
                cost.epsilon,
                *seen,
                filter_after=cost.by_filter,
                binding=cost.binding[1],
            )
            page.append("reservation", reservation.body())
        return reservation

    def cost(self, dataset: str, unit: Unit, charge: Charge) -> Cost:
        """What `reserve` would bring the data set to; nothing is written. Raises as `reserve` does, but for the limit.

        Without events: what it has come to.
        """
        book, account = self._book(), (dataset, unit)
        check_open(book, account, charge)
        return cost_of(book, account, charge, self._account)

    def standing(self, dataset: str, unit: Unit, epsilon_limit: DecimalString, run_id: str = "") -> Cost:
        """What the data set has come to as a run finds it, `run_id` or any other; of a closed one as well."""
        book, account = self._book(), (dataset, unit)
        charge = Charge(run_id, (), epsilon_limit, book.delta(account) or "0.00001")
        return cost_of(book, account, charge, self._account)

    def first_run(self, dataset: str) -> FirstRun | None:
        """The data set's first run with its plan; None before a charge, and where the file is older than such plans."""
        return self._book().first_runs.get(dataset)

    def in_sequence(self, dataset: str, unit: Unit) -> bool:
        """Whether all partitions of the data set compose as one, because the names of its units were changed."""
        return self._book().in_sequence((dataset, unit))

    def settle(self, reservation: Reservation) -> None:
        """Note that the release was made. It changes nothing about the charge; a second call changes nothing at all."""
        with self._chain.transaction() as page:
            if reservation.number not in LedgerView(page.entries).settled:
                page.append("settlement", {"reservation": reservation.number})

    def withdraw(self, dataset: str) -> None:
        """Close the data set for good, for every unit; its history stays. A second call changes nothing."""
        with self._chain.transaction() as page:
            if dataset not in LedgerView(page.entries).withdrawn:
                page.append("withdrawal", {"dataset": dataset})

    def withdrawn(self, dataset: str) -> bool:
        """Whether the data set was closed."""
        return dataset in self._book().withdrawn

    def accounts(self) -> list[Account]:
        """The data sets and units that were ever charged, sorted."""
        return sorted({row.account for row in self._book().reservations})

    def delta(self, dataset: str, unit: Unit) -> DecimalString | None:
        """The delta that the first charge fixed; None before it."""
        return self._book().delta((dataset, unit))

    def history(self, dataset: str, unit: Unit) -> tuple[Reservation, ...]:
        """Every reservation of the data set under the unit, oldest first. Raises IntegrityError if one was altered."""
        return tuple(self._book().of((dataset, unit)))

    def reservations(self) -> tuple[Reservation, ...]:
        """Every reservation of every data set, oldest first."""
        return tuple(self._book().reservations)

    def unsettled(self, dataset: str, unit: Unit) -> tuple[Reservation, ...]:
        """Reservations whose release was never noted: crashed or interrupted attempts, charged all the same."""
        book = self._book()
        return tuple(row for row in book.of((dataset, unit)) if row.number not in book.settled)

    def events_of_run(self, dataset: str, unit: Unit, run_id: RunId) -> tuple[PrivacyEvent, ...]:
        """What one run was charged, oldest first."""
        return tuple(e for row in self.history(dataset, unit) if row.run_id == run_id for e in row.events)

    def spent(self, dataset: str, unit: Unit, delta: DecimalString, *, run_id: RunId | None = None) -> PrivacySpent:
        """What the whole history cost at `delta`; with `run_id`, what that run alone cost."""
        book, account = self._book(), (dataset, unit)
        events = tuple(event for row in book.of(account) if run_id in (None, row.run_id) for event in row.events)
        composed = as_one_sequence(events) if book.in_sequence(account) else events
        found = self._account(composed, float(delta)) if events else Accounted(0.0, "prv")
        return PrivacySpent(
            epsilon=epsilon_string(found.epsilon), delta=delta, unit=unit, accountant=found.accountant, events=events
        )

    def _book(self) -> LedgerView:
        with self._chain.transaction() as page:
            return LedgerView(page.entries)


def check_limit(
    cost: Cost, epsilon_limit: DecimalString, site: SiteId, server_round: int, unit: Unit, what: str = ""
) -> None:
    """Raises BudgetExceeded if what binds is above the limit."""
    after, accountant = cost.binding
    if float(after) > float(epsilon_limit):
        raise BudgetExceeded(
            site=site,
            server_round=server_round,
            epsilon_after=float(after),
            epsilon_limit=float(epsilon_limit),
            unit=unit,
            accountant=accountant,
            also=f"{cost.accountant} says {cost.epsilon}" if accountant == "filter" else "",
            what=what,
        )


def _keep_what_is_new(page: Transaction, book: LedgerView, account: Account, charge: Charge) -> None:
    """With a charge: the data set's first run, and a split that was not the last one."""
    dataset, unit = account
    if not book.of(account):
        first = first_run(book, account, charge)
        planned: Json = [event.model_dump(mode="json") for event in first.planned]
        body: dict[str, Json] = {"dataset": dataset, "run_ids": list(first.run_ids), "planned": planned}
        page.append("first_run", body | {"favourite": first.favourite})
    split = charge.split
    if split is not None and book.splits.get(account, [None])[-1] != (split.drawn, split.named):
        page.append("split", {"dataset": dataset, "unit": unit, "digest": split.drawn, "named": split.named})


def _check_nonce(book: LedgerView, nonce: bytes) -> None:
    if any(row.nonce == nonce for row in book.reservations):
        raise IntegrityError(
            "a nonce was used before: two attempts would share their noise",
            next_step="draw a fresh nonce from the operating system; nothing was trained",
        )


def _default(events: Sequence[PrivacyEvent], delta: float) -> Accounted:
    from privacy.dp.accounting import account

    return account(events, delta)
