# SPDX-License-Identifier: Apache-2.0
"""The runs of a log held against their law, as an auditor does it: entry by entry, each finding at its place.

The law is that of the kinds of entries (privacy/protocol/kinds/): the same that a coordinator asks before it writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from privacy.audit.findings import AuditFinding
from privacy.base.identifiers import RunId
from privacy.protocol.entries import AuditEntry
from privacy.protocol.run import Run


@dataclass
class CheckedRun:
    """One run, and all that is wrong in it so far."""

    run: Run
    findings: list[AuditFinding] = field(default_factory=list)

    def take(self, entry: AuditEntry) -> None:
        """Check the next entry of the run, then let it count."""
        self.findings += [AuditFinding(index=entry.index, message=fault.sentence) for fault in self.run.faults(entry)]
        self.run.take(entry)


def check_run(run_id: RunId, entries: Iterable[AuditEntry], log_vkey: str | None = None) -> CheckedRun:
    """All entries of one run, in log order, held against the law. `log_vkey`: the log that they stand in."""
    checked = CheckedRun(Run(run_id, log_vkey))
    for entry in entries:
        checked.take(entry)
    return checked


def check_runs(entries: Iterable[AuditEntry], log_vkey: str) -> list[CheckedRun]:
    """All runs of a log, in the order in which they were opened."""
    by_run: dict[RunId, CheckedRun] = {}
    for entry in entries:
        by_run.setdefault(entry.run_id, CheckedRun(Run(entry.run_id, log_vkey))).take(entry)
    return list(by_run.values())
