# SPDX-License-Identifier: Apache-2.0
"""From the ledger's first version (three tables, a chain over reservations alone) to entries of the second.

The same file gives the same entries, so that a crash in between is repeated to the same head. What the first version
did not chain (splits, settlements) is taken as it stands; its last digest is kept in the entry `migration`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Literal

from privacy.base.canonical import Json, digest_of
from privacy.base.errors import IntegrityError
from privacy.base.identifiers import Digest

_TABLES = ("reservation", "settlement", "split")
_COLUMNS = (
    "number", "dataset", "unit", "delta", "events", "site", "run_id", "server_round", "purpose", "plan_digest",
    "nonce", "epsilon_limit", "epsilon_after",
)  # fmt: skip

_NO_PREDECESSOR = "0" * 64

MigratedEntry = tuple[Literal["migration", "reservation", "settlement", "split"], Json]


def is_first_version(db: sqlite3.Connection) -> bool:
    """Whether the file is a ledger of the first version."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return {"reservation", "settlement"} <= tables and "entry" not in tables


def rows_of_first_version(db: sqlite3.Connection) -> list[MigratedEntry]:
    """Its history as entries, in order; its tables are dropped. Raises IntegrityError if a reservation was altered."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    rows: list[MigratedEntry] = []
    if "split" in tables:  # the very first files had none
        for dataset, unit, digest in db.execute("SELECT dataset, unit, digest FROM split ORDER BY dataset, unit"):
            rows.append(("split", {"dataset": dataset, "unit": unit, "digest": digest}))
    settled = {number for (number,) in db.execute("SELECT reservation FROM settlement")}
    last_digest = _NO_PREDECESSOR
    for body, digest in _reservations(db):
        last_digest = digest
        rows.append(("reservation", body))
        if body["number"] in settled:
            rows.append(("settlement", {"reservation": body["number"]}))
    rows.append(("migration", {"from_version": 1, "last_row_digest": last_digest}))
    for table in [name for name in _TABLES if name in tables]:
        db.execute(f"DROP TABLE {table}")
    return rows


def _reservations(db: sqlite3.Connection) -> Iterator[tuple[dict[str, Json], Digest]]:
    """Each reservation with its digest, once it was found to follow the one before."""
    previous = _NO_PREDECESSOR
    for *values, digest in db.execute(f"SELECT {', '.join(_COLUMNS)}, row_digest FROM reservation ORDER BY number"):
        if digest_of({"previous": previous, "row": values}) != digest:
            raise IntegrityError(
                f"entry {values[0]} of the privacy ledger was altered or removed; nothing was trained",
                next_step="restore the ledger from before the change; until then nothing may be trained on this data",
            )
        body = dict(zip(_COLUMNS, values, strict=True))
        yield body | {"events": json.loads(body["events"])}, digest
        previous = digest
