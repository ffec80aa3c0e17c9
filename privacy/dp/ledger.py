# SPDX-License-Identifier: Apache-2.0
"""What a site has spent, for good: reserve (on disk) -> train or count -> settle. A crash in between stays charged.

The entries lie in one hash chain with a head beside it (privacy.dp.ledger_chain). Epsilon is recomputed from the whole
history of a declared data set and unit, across rounds, restarts, runs and coordinators, at the delta of its first
charge; epsilons are never added up. Settling gives nothing back; a withdrawal closes a data set. No entry holds a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from privacy.canonical import DecimalString
from privacy.dp.composition import Accounted
from privacy.dp.ledger_chain import LOCK_SECONDS, Chain
from privacy.dp.params import PrivacyEvent, PrivacySpent, Unit, epsilon_string
from privacy.dp.reservations import Account, Book, Reservation
from privacy.errors import BudgetExceeded, ContractError, IntegrityError, PlanRefused
from privacy.identifiers import Digest, RunId, SiteId

__all__ = ["LOCK_SECONDS", "Account", "Ledger", "Reservation"]

Accounting = Callable[[Sequence[PrivacyEvent], float], Accounted]
"""The epsilon of events at a delta and whose it is, as privacy.dp.accounting.account gives it."""

ACCOUNTANT_ERROR = 0.03
"""How far two sound answers may lie apart (PRV's own error, PLD beyond 5000 steps): less is a contradiction."""


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
    ) -> Reservation:
        """Charge `events` and return when that is on disk; only then may the release be computed.

        `seen` is origin and size of the last signed checkpoint. Raises BudgetExceeded, with the figures and before
        anything is written, if the whole history with `events` would cost more than `epsilon_limit` at `delta`;
        PlanRefused for a withdrawn data set and for another delta than that of the first charge; ContractError when the
        accountant contradicts itself; IntegrityError for a nonce that was used before.
        """
        if not events or len(nonce) != 32:
            raise ValueError("a reservation has events and a nonce of 32 bytes")
        with self._chain.transaction() as page:
            book, account = Book(page.entries), (dataset, unit)
            _check_open(book, account, delta, nonce)
            reported = self._after(book.of(account), delta, events)
            if float(reported) > float(epsilon_limit):
                raise BudgetExceeded(
                    site=site,
                    server_round=server_round,
                    epsilon_after=float(reported),
                    epsilon_limit=float(epsilon_limit),
                    unit=unit,
                )
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
                reported,
                *seen,
            )
            page.append("reservation", reservation.body())
        return reservation

    def _after(
        self, rows: Sequence[Reservation], delta: DecimalString, events: Sequence[PrivacyEvent]
    ) -> DecimalString:
        """Epsilon with `events`, rounded up; never below what the last reservation came to at the same delta."""
        after = epsilon_string(self._account([*(e for row in rows for e in row.events), *events], float(delta)).epsilon)
        before = next((row.epsilon_after for row in reversed(rows) if row.delta == delta), "0")
        if float(after) < float(before) - ACCOUNTANT_ERROR:
            raise ContractError(
                f"the accountant contradicts itself: more releases cost epsilon {after}, fewer cost {before}; "
                "nothing was trained",
                next_step="keep the ledger as it is, and report the plan's noise, sample rate and steps as a bug",
            )
        return max(after, before, key=float)

    def pin_split(self, dataset: str, unit: Unit, split: Digest) -> None:
        """Hold the data set to the first `split` (of its units into train and dev) that it was charged under.

        Epsilon is the maximum over partitions, which is true only while no unit moves from one to another. Raises
        PlanRefused for any other split; nothing is trained then.
        """
        with self._chain.transaction() as page:
            pinned = Book(page.entries).splits.get((dataset, unit))
            if pinned is None:
                page.append("split", {"dataset": dataset, "unit": unit, "digest": split})
        if pinned not in (None, split):
            raise PlanRefused(
                f"the split of {dataset} into train and dev is not the one its budget was spent under",
                reason="policy",
                next_step="restore data.dev_fraction, data.test_fraction and the site's key; nothing was trained",
            )

    def settle(self, reservation: Reservation) -> None:
        """Note that the release was made. It changes nothing about the charge; a second call changes nothing at all."""
        with self._chain.transaction() as page:
            if reservation.number not in Book(page.entries).settled:
                page.append("settlement", {"reservation": reservation.number})

    def withdraw(self, dataset: str, unit: Unit) -> None:
        """Close the data set under the unit for good; its history stays. A second call changes nothing."""
        with self._chain.transaction() as page:
            if (dataset, unit) not in Book(page.entries).withdrawn:
                page.append("withdrawal", {"dataset": dataset, "unit": unit})

    def withdrawn(self, dataset: str, unit: Unit) -> bool:
        """Whether the data set was closed under the unit."""
        return (dataset, unit) in self._book().withdrawn

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
        rows = self.history(dataset, unit)
        events = tuple(event for row in rows if run_id in (None, row.run_id) for event in row.events)
        found = self._account(events, float(delta)) if events else Accounted(0.0, "prv")
        return PrivacySpent(
            epsilon=epsilon_string(found.epsilon), delta=delta, unit=unit, accountant=found.accountant, events=events
        )

    def _book(self) -> Book:
        with self._chain.transaction() as page:
            return Book(page.entries)


def _check_open(book: Book, account: Account, delta: DecimalString, nonce: bytes) -> None:
    """Raises what forbids a reservation before any accounting."""
    dataset, unit = account
    if account in book.withdrawn:
        raise PlanRefused(
            f"the data set {dataset} was withdrawn (unit: {unit}): nothing is trained on it any more",
            reason="policy",
            next_step="leave the run, or declare other people's data under another name",
        )
    pinned = book.delta(account)
    if pinned not in (None, delta):
        raise PlanRefused(
            f"epsilon of {dataset} is counted at delta {pinned} since its first charge, and the policy now says "
            f"{delta}: epsilons at two deltas cannot be compared with one limit; nothing was trained",
            reason="policy",
            next_step=f"set policy.delta back to {pinned}",
        )
    if any(row.nonce == nonce for row in book.reservations):
        raise IntegrityError(
            "a nonce was used before: two attempts would share their noise",
            next_step="draw a fresh nonce from the operating system; nothing was trained",
        )


def _default(events: Sequence[PrivacyEvent], delta: float) -> Accounted:
    from privacy.dp.accounting import account

    return account(events, delta)
