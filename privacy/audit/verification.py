# SPDX-License-Identifier: Apache-2.0
"""Is this log what was written, and does what was written keep the law? All of it is checked; every finding names its
place.

1. every leaf is canonical, parses strictly, stands at its index and has its hash;
2. every stored checkpoint is signed by the log's key, its root is that of the leaves, each continues the one before,
and the
   last covers all entries; a checkpoint that somebody kept elsewhere (`seen`) is continued too;
3. every run keeps the law of its kinds of entries (privacy/protocol/kinds/): signatures, order, weights, epsilons;
4. every blob that the log names and that is here has the digest of its name.

What is only missing (an open run, a blob kept elsewhere) is incomplete, not wrong. Replaying sums and models is
privacy/audit/recomputation.py. Without torch. Threats and limits: docs/audit-log.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from privacy.audit.blobs import BlobReader
from privacy.audit.findings import AuditFinding, exit_code
from privacy.audit.runs import CheckedRun, check_runs
from privacy.audit.stored import StoredLog, read_log
from privacy.base.errors import CollabError, ContractError, IntegrityError, Unreachable
from privacy.base.identifiers import Digest, RunId
from privacy.log.keys import VerifyKey
from privacy.log.merkle import Tree, leaf_hash, verify_consistency
from privacy.log.note import NoteKey
from privacy.protocol.checkpoint import Checkpoint, open_checkpoint
from privacy.protocol.entries import AuditEntry
from privacy.protocol.messages import parse
from privacy.protocol.run import Run

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)

WAL_MISSING: Final = (
    "; or the WAL is missing: if log.sqlite was copied while a coordinator had it open, copy the folder again with "
    "collab-audit copy DIR TO, and verify that"
)


class RunSummary(BaseModel):
    """One run, as its entries tell it."""

    model_config = STRICT
    run_id: RunId
    simulated: bool
    planned_rounds: int
    rounds_aggregated: int
    rounds_aborted: int
    closed: bool


class VerifyReport(BaseModel):
    """What was checked and what was found.

    `key_fingerprint` is that of the log's own key, `key_expected` that of the key that was given from outside, if one
    was; `key_pinned`: they are the same key. `seen_held`: how many of the checkpoints that were kept elsewhere this
    log continues.
    """

    model_config = STRICT
    origin: str
    entries: int
    checkpoints: int
    root: Digest
    key_fingerprint: str
    key_expected: str | None
    key_pinned: bool
    seen_held: int
    runs: tuple[RunSummary, ...]
    epsilons_checked: int
    blobs_checked: int
    findings: tuple[AuditFinding, ...]
    incomplete: tuple[AuditFinding, ...]

    @property
    def exit_code(self) -> int:
        return exit_code(self.findings, self.incomplete)


ExpectedKey = VerifyKey | NoteKey | None
"""A key from elsewhere; as a NoteKey with the log's name too."""


def verify(folder: Path, *, expected_key: ExpectedKey, seen: Sequence[str] = ()) -> VerifyReport:
    """Check the log in `folder`. `seen`: checkpoints that others kept, such as a site's last one, signed or not.

    Without `expected_key` the key is taken from log.vkey, and the log proves only that it agrees with itself: compare
    the fingerprint. With it log.vkey is not needed. Raises SettingsError when there is no log, IntegrityError when the
    files cannot be read at all, Unreachable when they lack what a write-ahead log held.
    """
    stored = read_log(folder, expected_key)
    return verify_stored(stored, BlobReader(folder / "blobs"), expected_key=expected_key, seen=seen)


def verify_stored(
    stored: StoredLog, blobs: BlobReader, *, expected_key: ExpectedKey, seen: Sequence[str] = ()
) -> VerifyReport:
    """The same for a log that was read already."""
    check = LogCheck(stored)
    expected = expected_key.key if isinstance(expected_key, NoteKey) else expected_key
    check.key(expected_key)
    check.leaves()
    check.checkpoints()
    for note in seen:
        check.seen(note)
    checked = check_runs(check.entries, stored.log_key.vkey())
    blobs_checked, wrong, missing = _check_blobs(blobs, check.entries)
    of_runs = tuple(finding for each in checked for finding in each.findings)
    return VerifyReport(
        origin=stored.log_key.name,
        entries=len(stored.rows),
        checkpoints=len(stored.checkpoints),
        root=check.tree.root().hex(),
        key_fingerprint=stored.log_key.key.fingerprint(),
        key_expected=expected.fingerprint() if expected is not None else None,
        key_pinned=expected is not None and expected.raw() == stored.log_key.key.raw(),
        seen_held=check.seen_held,
        runs=tuple(_summary(each.run) for each in checked),
        epsilons_checked=sum(each.run.spending.checked for each in checked),
        blobs_checked=blobs_checked,
        findings=(*check.findings, *sorted(of_runs, key=lambda finding: finding.index or 0), *wrong),
        incomplete=(*check.incomplete, *_not_closed(checked), *missing),
    )


def _not_closed(checked: Sequence[CheckedRun]) -> list[AuditFinding]:
    """Runs that go on; that there is none at all."""
    runs = [each.run for each in checked if each.run.closed is None]
    still_open = [AuditFinding(index=run.opened_index, message=f"run {run.run_id} is not closed") for run in runs]
    return still_open if checked else [AuditFinding(message="the log holds no run")]


class LogCheck:
    """Leaves and checkpoints. `entries` are those before the first that is not sound: only they are read further."""

    def __init__(self, stored: StoredLog) -> None:
        self.stored = stored
        self.tree = Tree()
        self.entries: list[AuditEntry] = []
        self.findings: list[AuditFinding] = []
        self.incomplete: list[AuditFinding] = []
        self.seen_held = 0

    def key(self, expected: ExpectedKey) -> None:
        """The log's key, and where it was given its name, are what was expected."""
        if expected is None:
            return
        own, given = self.stored.log_key, expected.key if isinstance(expected, NoteKey) else expected
        if given.raw() != own.key.raw():
            fingerprints = f"found {own.key.fingerprint()}, given {given.fingerprint()}"
            self.findings.append(
                AuditFinding(message=f"the log is signed with another key than the one given: {fingerprints}")
            )
        elif isinstance(expected, NoteKey) and expected.name != own.name:
            self.findings.append(
                AuditFinding(message=f"this is the log of {own.name}, the key given is of {expected.name}")
            )

    def leaves(self) -> None:
        """Every leaf, in order. The first gap ends the reading: what stands after it has no place in the tree."""
        sound = True
        for index, row in enumerate(self.stored.rows):
            if row.position != index:
                self._find(index, f"this entry is missing; the next one stored is {row.position}")
                return
            self.tree.append(row.leaf)
            entry = self._entry(index, row.leaf, row.leaf_hash)
            sound = sound and entry is not None
            if sound and entry is not None:
                self.entries.append(entry)

    def _entry(self, index: int, leaf: bytes, stored_hash: bytes) -> AuditEntry | None:
        if leaf_hash(leaf) != stored_hash:
            self._find(index, "the entry's bytes are not those that its stored hash was made of")
            return None
        try:
            entry = parse(AuditEntry, leaf)
        except ContractError as error:
            self._find(index, error.message)
            return None
        if entry.index != index:
            self._find(index, f"the entry that stands here was written as number {entry.index}")
            return None
        return entry

    def checkpoints(self) -> None:
        """Every checkpoint, from the smallest. Where a root differs, the fault is after the last one that held."""
        last = Checkpoint(self.stored.log_key.name, 0, Tree().root().hex())
        for size, note in self.stored.checkpoints:
            try:
                checkpoint = open_checkpoint(note, self.stored.log_key)
            except CollabError as error:
                self.findings.append(AuditFinding(checkpoint=size, message=error.message))
                continue
            if checkpoint.size != size:
                self.findings.append(AuditFinding(checkpoint=size, message=f"its note is of size {checkpoint.size}"))
                continue
            if not self._continues(last, checkpoint):
                self.entries = self.entries[: last.size]
                return
            last = checkpoint
        if not self.stored.checkpoints and not self.stored.rows and self.stored.wal_may_be_missing:
            self.incomplete.append(AuditFinding(message=f"there is no signed checkpoint{WAL_MISSING}"))
        elif not self.stored.checkpoints:
            self.findings.append(AuditFinding(message=f"there is no signed checkpoint{self._unless_copied()}"))
        if last.size < len(self.stored.rows):
            self._find(last.size, f"no checkpoint signs this entry and what follows{self._unless_copied()}")
            self.entries = self.entries[: last.size]

    def _continues(self, old: Checkpoint, new: Checkpoint) -> bool:
        if new.size > self.tree.size:
            if not any(finding.index is not None for finding in self.findings):
                missing = f"{new.size} were signed, {self.tree.size} are stored{self._unless_copied()}"
                self._find(self.tree.size, f"this entry is missing: {missing}")
            return False
        if self.tree.root(new.size).hex() != new.root:
            place = (
                f"one of the entries {old.size} to {new.size - 1} is" if new.size > old.size + 1 else "this entry is"
            )
            self._find(old.size, f"{place} not what the checkpoint of size {new.size} signed", new.size)
            return False
        if old.size:
            proof = self.tree.consistency_proof(old.size, new.size)
            verify_consistency(old.size, new.size, old.root_bytes(), new.root_bytes(), proof)
        return True

    def seen(self, note: str) -> None:
        """A checkpoint that somebody kept must be continued; without a signature it is the reader's own word."""
        try:
            signed = "\n\n" in note
            checkpoint = open_checkpoint(note, self.stored.log_key) if signed else Checkpoint.parse(note)
        except IntegrityError as error:
            self.findings.append(AuditFinding(message=f"the checkpoint that was kept elsewhere: {error.message}"))
            return
        size = checkpoint.size
        if checkpoint.origin != self.stored.log_key.name:
            self.findings.append(AuditFinding(message="the checkpoint that was kept elsewhere is of another log"))
        elif size > self.tree.size:
            cut = f"the log was cut here: somebody saw {size} signed entries"
            self._find(self.tree.size, f"{cut}{self._unless_copied()}", size)
        elif self.tree.root(size).hex() != checkpoint.root:
            message = f"the log was rewritten: its first {size} entries are not those that somebody saw signed"
            self.findings.append(AuditFinding(checkpoint=size, message=message))
        else:
            self.seen_held += 1

    def _unless_copied(self) -> str:
        """The innocent explanation, where there is one: a person decides, the exit code stays."""
        return WAL_MISSING if self.stored.wal_may_be_missing else ""

    def _find(self, index: int, message: str, checkpoint: int | None = None) -> None:
        self.findings.append(AuditFinding(index=index, checkpoint=checkpoint, message=message))


def _summary(run: Run) -> RunSummary:
    return RunSummary(
        run_id=run.run_id,
        simulated=run.opened.simulated if run.opened else False,
        planned_rounds=run.opened.planned_rounds if run.opened else 0,
        rounds_aggregated=run.rounds_aggregated,
        rounds_aborted=run.rounds_aborted,
        closed=run.closed is not None,
    )


def _named_blobs(entries: Iterable[AuditEntry]) -> dict[Digest, int]:
    """Every blob that the log names, with the first entry that does."""
    named: dict[Digest, int] = {}
    for entry in entries:
        for digest in entry.body.blobs():
            named.setdefault(digest, entry.index)
    return named


def _check_blobs(
    blobs: BlobReader, entries: Iterable[AuditEntry]
) -> tuple[int, tuple[AuditFinding, ...], tuple[AuditFinding, ...]]:
    checked, wrong, missing = 0, [], []
    for digest, index in _named_blobs(entries).items():
        try:
            blobs.check(digest)
            checked += 1
        except Unreachable:
            missing.append(AuditFinding(index=index, blob=digest, message="the blob that this entry names is not here"))
        except IntegrityError as error:
            checked += 1
            message = f"the blob {error.message.removeprefix(f'blob {digest[:12]} ')}"
            wrong.append(AuditFinding(index=index, blob=digest, message=message))
    return checked, tuple(wrong), tuple(missing)
