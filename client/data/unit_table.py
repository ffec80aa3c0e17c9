# SPDX-License-Identifier: Apache-2.0
"""Where each privacy unit of a data set was when it was first used: train, dev or test, and it stays there.

The keyed hash draws the same part for the same name, so this table agrees with it; should the two ever differ (another
version of this code), the table is right, and the site's people are told how many units it held. It is kept for each
split as the ledger pins it (key and fractions), so that fractions can be chosen until something is charged. A name is
kept as its HMAC under a key of this site: no id is in the file (`units.sqlite`, 0600). One transaction holds all that a
corpus adds (fsynced): a crash leaves all of it or none.
"""

from __future__ import annotations

import hmac
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from client.data.naming import split_of_site
from client.data.splits import SPLITS, Split
from client.settings.site_settings import SiteFolder
from privacy.base.errors import IntegrityError, StorageFailed
from privacy.base.identifiers import Digest
from privacy.base.randomness import SecretSeed

_SCHEMA = "create table if not exists units (split blob not null, unit blob not null, part integer not null, "
_SCHEMA += "primary key (split, unit)) strict, without rowid"


@dataclass(frozen=True)
class PinnedUnits:
    """The part of each unit, and how many of them would have moved and were held."""

    parts: Mapping[str, Split]
    held: int


class UnitTable:
    """The table of one split of one declared data set, in the file at `path`. `key`: 32 bytes of this site alone."""

    def __init__(self, path: Path, key: bytes, dataset: str, drawn: Digest) -> None:
        self._path, self._key = path, key
        self._split = self._keyed(f"split/{drawn}/{dataset}")

    def pin(self, drawn: Mapping[str, Split]) -> PinnedUnits:
        """Keep what is new of `drawn`, and say where all of it is. Raises StorageFailed, IntegrityError."""
        names = {unit: self._keyed(f"unit/{unit}") for unit in drawn}
        with self._writing() as db:
            known = dict(db.execute("select unit, part from units where split = ?", (self._split,)))
            new = ((self._split, names[u], _number(part)) for u, part in drawn.items() if names[u] not in known)
            db.executemany("insert into units values (?, ?, ?)", new)
        parts = {unit: SPLITS[known[names[unit]]] if names[unit] in known else part for unit, part in drawn.items()}
        return PinnedUnits(parts, sum(parts[unit] != part for unit, part in drawn.items()))

    def _keyed(self, name: str) -> bytes:
        return hmac.digest(self._key, name.encode("utf-8", "surrogatepass"), "sha256")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            os.chmod(self._path, 0o600)
            db = sqlite3.connect(self._path, isolation_level=None, timeout=60)
            try:
                db.execute("pragma synchronous=full")
                db.execute("begin immediate")
                db.execute(_SCHEMA)
                yield db
                db.execute("commit")
            finally:
                db.close()
        except sqlite3.OperationalError as error:
            raise StorageFailed(
                f"the table of units (units.sqlite) could not be read or written ({error}); nothing was trained",
                next_step="free disk space and check that this user may write the site's folder, then start again",
            ) from error
        except sqlite3.DatabaseError:
            raise IntegrityError(
                "the table of units (units.sqlite) is damaged; nothing was trained",
                next_step="bring it back from a backup; without one, move it away: the keyed hash makes it anew",
            ) from None


def _number(part: Split) -> int:
    return SPLITS.index(part)


def unit_table(folder: SiteFolder, site_key: SecretSeed) -> UnitTable | None:
    """The site's table; None for an evaluator, whose rows are all test."""
    if folder.settings.site.role == "evaluator":
        return None
    key = site_key.derive("units").expose("table of units")
    split = split_of_site(folder.settings, site_key)
    return UnitTable(folder.home / "units.sqlite", key, folder.settings.data.dataset, split.drawn)
