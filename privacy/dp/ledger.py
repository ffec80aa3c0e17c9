# SPDX-License-Identifier: Apache-2.0
"""What a site has spent, for good: reserve (on disk) -> train or count -> settle. A crash in between stays charged.

One SQLite file at the site, mode 0600, append-only: triggers refuse UPDATE and DELETE, a settlement is a row of its
own, and every reservation carries a hash over itself and its predecessor. Epsilon is recomputed from the whole
history of a declared data set and unit, across rounds, restarts and runs; epsilons are never added up. Settling gives
nothing back.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from privacy.canonical import DecimalString, digest_of
from privacy.dp.params import PrivacyEvent, PrivacySpent, Unit, epsilon_string
from privacy.errors import BudgetExceeded, IntegrityError, PlanRefused, StorageFailed
from privacy.identifiers import Digest, RunId, SiteId

Epsilon = Callable[[Sequence[PrivacyEvent], float], float]
"""The epsilon of events at a delta, as privacy.dp.accounting.epsilon gives it."""

LOCK_SECONDS = 300
"""How long a second process waits while the first one reserves (accounting included)."""

_NO_PREDECESSOR = "0" * 64
_EVENTS = TypeAdapter(tuple[PrivacyEvent, ...])
_SCHEMA = """
CREATE TABLE IF NOT EXISTS reservation (
    number INTEGER PRIMARY KEY, dataset TEXT NOT NULL, unit TEXT NOT NULL, delta TEXT NOT NULL, events TEXT NOT NULL,
    site TEXT NOT NULL, run_id TEXT NOT NULL, server_round INTEGER NOT NULL, purpose TEXT NOT NULL,
    plan_digest TEXT NOT NULL, nonce TEXT NOT NULL UNIQUE, epsilon_limit TEXT NOT NULL, epsilon_after TEXT NOT NULL,
    row_digest TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS settlement (
    reservation INTEGER PRIMARY KEY REFERENCES reservation (number)) STRICT;
CREATE TABLE IF NOT EXISTS split (
    dataset TEXT NOT NULL, unit TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (dataset, unit)) STRICT;
""" + "".join(
    f"CREATE TRIGGER IF NOT EXISTS {table}_{verb} BEFORE {verb} ON {table} "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;\n"
    for table in ("reservation", "settlement", "split")
    for verb in ("UPDATE", "DELETE")
)
_COLUMNS = (
    "number, dataset, unit, delta, events, site, run_id, server_round, purpose, plan_digest, nonce, epsilon_limit, "
    "epsilon_after"
)


@dataclass(frozen=True)
class Reservation:
    """A release that is paid for, whether or not it happened. `epsilon_after` is the whole history with this one."""

    number: int
    dataset: str
    unit: Unit
    delta: DecimalString
    events: tuple[PrivacyEvent, ...]
    site: SiteId
    run_id: RunId
    server_round: int
    purpose: str
    plan_digest: Digest
    nonce: bytes
    epsilon_limit: DecimalString
    epsilon_after: DecimalString


class Ledger:
    """The ledger at `path`, created when it is missing. Safe for several threads and processes.

    `epsilon` is the accountant; by default Opacus' PRV, imported (with torch) at the first use.
    """

    def __init__(self, path: Path, *, epsilon: Epsilon | None = None) -> None:
        self._path = path
        self._epsilon_of = epsilon or _prv
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        os.chmod(path, 0o600)
        with self._transaction() as db:
            for statement in _SCHEMA.split(";\n"):
                db.execute(statement)
        _fsync_folder(path.parent)

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
    ) -> Reservation:
        """Charge `events` and return when that is on disk; only then may the release be computed.

        Raises BudgetExceeded, with the figures and before anything is written, if the whole history with `events` would
        cost more than `epsilon_limit` at `delta`; IntegrityError for a nonce that was used before or a damaged ledger.
        """
        if not events or len(nonce) != 32:
            raise ValueError("a reservation has events and a nonce of 32 bytes")
        with self._transaction() as db:
            rows = _rows(db)
            if any(row.nonce == nonce for row in rows):
                raise IntegrityError(
                    "a nonce was used before: two attempts would share their noise",
                    next_step="draw a fresh nonce from the operating system; nothing was trained",
                )
            spent = [event for row in rows if (row.dataset, row.unit) == (dataset, unit) for event in row.events]
            after = self._epsilon_of([*spent, *events], float(delta))
            reported = epsilon_string(after)
            if after > float(epsilon_limit):
                raise BudgetExceeded(
                    site=site,
                    server_round=server_round,
                    epsilon_after=float(reported),
                    epsilon_limit=float(epsilon_limit),
                    unit=unit,
                )
            reservation = Reservation(
                len(rows) + 1,
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
            )
            _insert(db, reservation)
        return reservation

    def pin_split(self, dataset: str, unit: Unit, split: Digest) -> None:
        """Hold the data set to the first `split` (of its units into train and dev) that it was charged under.

        Epsilon is the maximum over partitions, which is true only while no unit moves from one to another. Raises
        PlanRefused for any other split; nothing is trained then.
        """
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO split VALUES (?, ?, ?)", (dataset, unit, split))
            row = db.execute("SELECT digest FROM split WHERE dataset = ? AND unit = ?", (dataset, unit)).fetchone()
        if row[0] != split:
            raise PlanRefused(
                f"the split of {dataset} into train and dev is not the one its budget was spent under",
                reason="policy",
                next_step="restore data.dev_fraction, data.test_fraction and the site's key; nothing was trained",
            )

    def settle(self, reservation: Reservation) -> None:
        """Note that the release was made. It changes nothing about the charge; a second call changes nothing at all."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO settlement (reservation) VALUES (?)", (reservation.number,))

    def history(self, dataset: str, unit: Unit) -> tuple[Reservation, ...]:
        """Every reservation of the data set under the unit, oldest first. Raises IntegrityError if one was altered."""
        with self._transaction() as db:
            return tuple(row for row in _rows(db) if (row.dataset, row.unit) == (dataset, unit))

    def unsettled(self, dataset: str, unit: Unit) -> tuple[Reservation, ...]:
        """Reservations whose release was never noted: crashed or interrupted attempts, charged all the same."""
        with self._transaction() as db:
            settled = {number for (number,) in db.execute("SELECT reservation FROM settlement")}
        return tuple(row for row in self.history(dataset, unit) if row.number not in settled)

    def events_of_run(self, dataset: str, unit: Unit, run_id: RunId) -> tuple[PrivacyEvent, ...]:
        """What one run was charged, oldest first."""
        return tuple(e for row in self.history(dataset, unit) if row.run_id == run_id for e in row.events)

    def spent(self, dataset: str, unit: Unit, delta: DecimalString, *, run_id: RunId | None = None) -> PrivacySpent:
        """What the whole history cost at `delta`; with `run_id`, what that run alone cost."""
        rows = self.history(dataset, unit)
        events = tuple(event for row in rows if run_id in (None, row.run_id) for event in row.events)
        epsilon = self._epsilon_of(events, float(delta)) if events else 0.0
        return PrivacySpent(epsilon=epsilon_string(epsilon), delta=delta, unit=unit, accountant="prv", events=events)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One exclusive transaction, on disk when the block is left, undone when it raises."""
        db = sqlite3.connect(self._path, timeout=LOCK_SECONDS, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA foreign_keys=ON")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        except sqlite3.DatabaseError as error:
            raise StorageFailed(
                f"the privacy ledger could not be read or written ({error}); nothing was trained",
                next_step="free disk space and check that the file is this site's ledger, then start again",
            ) from error
        finally:
            db.close()


def _rows(db: sqlite3.Connection) -> list[Reservation]:
    """All reservations, after a check that each is the successor of the one before."""
    rows: list[Reservation] = []
    previous = _NO_PREDECESSOR
    for *columns, row_digest in db.execute(f"SELECT {_COLUMNS}, row_digest FROM reservation ORDER BY number"):
        if columns[0] != len(rows) + 1 or _row_digest(previous, columns) != row_digest:
            raise IntegrityError(
                f"entry {len(rows) + 1} of the privacy ledger was altered or removed",
                next_step="restore the ledger from before the change; until then nothing may be trained on this data",
            )
        number, dataset, unit, delta, events, site, run_id, server_round, purpose, plan, nonce, limit, after = columns
        rows.append(
            Reservation(
                number,
                dataset,
                unit,
                delta,
                _EVENTS.validate_json(events),
                site,
                run_id,
                server_round,
                purpose,
                plan,
                bytes.fromhex(nonce),
                limit,
                after,
            )
        )
        previous = row_digest
    return rows


def _insert(db: sqlite3.Connection, row: Reservation) -> None:
    last = db.execute("SELECT row_digest FROM reservation ORDER BY number DESC LIMIT 1").fetchone()
    columns: list[int | str] = [
        row.number,
        row.dataset,
        row.unit,
        row.delta,
        _EVENTS.dump_json(row.events).decode(),
        row.site,
        row.run_id,
        row.server_round,
        row.purpose,
        row.plan_digest,
        row.nonce.hex(),
        row.epsilon_limit,
        row.epsilon_after,
    ]
    values = [*columns, _row_digest(last[0] if last else _NO_PREDECESSOR, columns)]
    db.execute(f"INSERT INTO reservation ({_COLUMNS}, row_digest) VALUES ({', '.join('?' * len(values))})", values)


def _row_digest(previous: Digest, columns: Sequence[int | str]) -> Digest:
    return digest_of({"previous": previous, "row": list(columns)})


def _prv(events: Sequence[PrivacyEvent], delta: float) -> float:
    from privacy.dp.accounting import epsilon

    return epsilon(events, delta)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
