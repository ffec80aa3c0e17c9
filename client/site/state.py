# SPDX-License-Identifier: Apache-2.0
"""What a site remembers between messages: the last checkpoint of each log, the runs that were opened, its attempts at
rounds, its replies, each run's self-check, and why and how often it said no in a run.

One plan digest gets one stored reply, re-sent byte for byte: training twice for one plan would be a second release. All
is fsynced before it is relied on. Replies hold noised updates only; the file is nevertheless the owner's alone (0600):
with the site's key an attempt's nonce takes the noise off. The newest input models lie beside it, for `replay`.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from privacy.base.canonical import canonical_bytes
from privacy.base.files import write_whole
from privacy.base.identifiers import Digest, RunId, sha256
from privacy.protocol.anonymization_check import SelfCheck
from privacy.protocol.checkpoint import Checkpoint
from privacy.protocol.entries import RunOpened
from privacy.protocol.messages import Envelope, SignedMessage

if TYPE_CHECKING:  # it loads torch, and `collab-client seen` would wait for it
    from client.site.attempts import Attempt

SCHEMA = """
create table if not exists seen (origin text primary key, tree_size integer not null, root_hash text not null) strict;
create table if not exists runs (run_id text primary key, opened blob not null) strict;
create table if not exists self_checks (run_id text primary key, figures blob not null) strict;
create table if not exists attempts (
  number integer primary key, run_id text not null, server_round integer not null, plan_digest text not null,
  attempt blob not null
) strict;
create table if not exists evaluations (
  run_id text not null, plan_digest text not null, primary key (run_id, plan_digest)
) strict;
create table if not exists refusals (run_id text primary key, number integer not null) strict;
create table if not exists left_runs (run_id text primary key, reason text not null) strict;
create table if not exists replies (
  plan_digest text not null, phase text not null, envelope blob not null, body blob not null, payload_digest text,
  primary key (plan_digest, phase)
) strict;
"""


class SiteState:
    """The site's memory in one SQLite file (WAL, synchronous=FULL), with large payloads as files beside it."""

    def __init__(self, path: Path) -> None:
        self._payloads, self._models = path.with_suffix("") / "payloads", path.with_suffix("") / "models"
        for folder in (self._payloads, self._models):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript("pragma journal_mode=wal; pragma synchronous=full;" + SCHEMA)

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("begin immediate")
        try:
            yield self._db
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    def seen(self, origin: str) -> Checkpoint | None:
        """The last checkpoint seen of the log `origin`; None before the first."""
        row = self._db.execute("select tree_size, root_hash from seen where origin = ?", (origin,)).fetchone()
        return Checkpoint(origin, *row) if row else None

    def remember_seen(self, checkpoint: Checkpoint) -> None:
        """Persist a checkpoint. The caller has checked that it continues the last one."""
        with self._writing() as db:
            row = (checkpoint.origin, checkpoint.size, checkpoint.root)
            db.execute("insert or replace into seen values (?, ?, ?)", row)

    def run(self, run_id: RunId) -> RunOpened | None:
        """The opening of a run, as this site accepted it."""
        row = self._db.execute("select opened from runs where run_id = ?", (run_id,)).fetchone()
        return RunOpened.model_validate_json(row[0]) if row else None

    def remember_run(self, run_id: RunId, opened: RunOpened) -> None:
        """Persist an accepted opening. A run is opened once: the first one stays."""
        with self._writing() as db:
            db.execute("insert or ignore into runs values (?, ?)", (run_id, canonical_bytes(opened)))

    def take_evaluation(self, run_id: RunId, plan_digest: Digest) -> int:
        """Count an evaluation that a run asks for, once; how many other ones it asked for before."""
        with self._writing() as db:
            db.execute("insert or ignore into evaluations values (?, ?)", (run_id, plan_digest))
            others = "select count(*) from evaluations where run_id = ? and plan_digest != ?"
            return int(db.execute(others, (run_id, plan_digest)).fetchone()[0])

    def take_refusal(self, run_id: RunId) -> int:
        """Count a refusal before it is signed; how many there were in the run before."""
        with self._writing() as db:
            db.execute(
                "insert into refusals values (?, 1) on conflict (run_id) do update set number = number + 1", (run_id,)
            )
            return int(db.execute("select number from refusals where run_id = ?", (run_id,)).fetchone()[0]) - 1

    def leave_run(self, run_id: RunId, reason: str) -> None:
        """From now on every plan of the run gets this reason code. The first reason stays."""
        with self._writing() as db:
            db.execute("insert or ignore into left_runs values (?, ?)", (run_id, reason))

    def rejoin_run(self, run_id: RunId) -> None:
        """Take part in a run after all: its people say so, or it fits now that it opens."""
        with self._writing() as db:
            db.execute("delete from left_runs where run_id = ?", (run_id,))

    def left_run(self, run_id: RunId) -> str | None:
        """The reason code for which this site has no part in a run any more; None: it has."""
        row = self._db.execute("select reason from left_runs where run_id = ?", (run_id,)).fetchone()
        return str(row[0]) if row else None

    def self_check(self, run_id: RunId) -> SelfCheck | None:
        """The run's self-check as it was last measured here; None before it was."""
        row = self._db.execute("select figures from self_checks where run_id = ?", (run_id,)).fetchone()
        return SelfCheck.model_validate_json(row[0]) if row else None

    def remember_self_check(self, run_id: RunId, check: SelfCheck) -> None:
        """Persist what was measured, before it is relied on. Another engine's figures take the place of the last."""
        with self._writing() as db:
            db.execute("insert or replace into self_checks values (?, ?)", (run_id, canonical_bytes(check)))

    def keep_model(self, digest: Digest, data: bytes, *, most: int) -> None:
        """Keep a round's input model, whose digest was checked; of all of them the `most` that came last."""
        if most > 0:
            write_whole(self._models / digest, data)  # again, if it is there: it came last
        models = sorted(self._models.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for path in models[: max(0, len(models) - most)]:
            path.unlink()

    def model(self, digest: Digest) -> bytes | None:
        """An input model that is still kept, unchecked; None if it is not."""
        path = self._models / digest
        return path.read_bytes() if path.exists() else None

    def remember_attempt(self, plan_digest: Digest, attempt: Attempt) -> None:
        """Persist what an attempt starts from, before it trains."""
        plan = attempt.plan
        with self._writing() as db:
            db.execute(
                "insert into attempts (run_id, server_round, plan_digest, attempt) values (?, ?, ?, ?)",
                (plan.run_id, plan.server_round, plan_digest, canonical_bytes(attempt)),
            )

    def attempts(self, run_id: RunId, server_round: int) -> list[tuple[Digest, bytes]]:
        """The plan's digest and the written attempt (`Attempt`) of each attempt at a round, in order."""
        return self._db.execute(
            "select plan_digest, attempt from attempts where run_id = ? and server_round = ? order by number",
            (run_id, server_round),
        ).fetchall()

    def last_trained(self, run_id: RunId) -> tuple[int, Digest] | None:
        """The round that was answered last with an update, and the model that it started from; None before one was."""
        row = self._db.execute(
            "select server_round, attempt from attempts join replies using (plan_digest) "
            "where run_id = ? and phase = 'update' order by number desc limit 1",
            (run_id,),
        ).fetchone()
        return None if row is None else (int(row[0]), str(json.loads(row[1])["plan"]["model_digest"]))

    def reply(self, plan_digest: Digest, phase: str) -> SignedMessage | None:
        """The reply that was made to this plan, byte for byte; None before there is one."""
        row = self._db.execute(
            "select envelope, body, payload_digest from replies where plan_digest = ? and phase = ?",
            (plan_digest, phase),
        ).fetchone()
        if row is None:
            return None
        payload = (self._payloads / row[2]).read_bytes() if row[2] else b""
        return SignedMessage(Envelope.model_validate_json(row[0]), row[1], payload)

    def charged_plans(self) -> set[Digest]:
        """The plans whose stored answer says that it was charged: the ledger must know every one of them."""
        rows = self._db.execute("select plan_digest, body from replies where phase in ('update', 'evaluate')")
        return {digest for digest, body in rows if json.loads(body).get("spent") is not None}

    def remember_reply(self, plan_digest: Digest, phase: str, message: SignedMessage) -> None:
        """Persist a reply before it is sent: the payload first, then the row that names it."""
        name = sha256(message.payload) if message.payload else None
        if name is not None:
            write_whole(self._payloads / name, message.payload)
        row = (plan_digest, phase, canonical_bytes(message.envelope), message.body, name)
        with self._writing() as db:
            db.execute("insert into replies values (?, ?, ?, ?, ?)", row)
