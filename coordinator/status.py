# SPDX-License-Identifier: Apache-2.0
"""What a run is at, in sentences and tables for people: read from the log alone, also while a coordinator writes it.

Nothing is verified here: that is `collab-audit verify`, which needs no trust in this folder's owner.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from privacy.audit.stored import read_log
from privacy.audit.values import Plain
from privacy.audit.values import number as as_number
from privacy.protocol.entries import AuditEntry
from privacy.protocol.messages import parse
from privacy.protocol.run import Round, Run, runs
from privacy.protocol.uncertainty import figure


def read_entries(folder: Path) -> list[AuditEntry]:
    """All entries of the log in `folder`, in order; none when there is no log yet. Writes nothing, waits for nobody."""
    path = folder / "log.sqlite"
    if not path.exists() and not path.is_symlink():
        return []
    return [parse(AuditEntry, row.leaf) for row in read_log(folder).rows]


class Teller:
    """Entries as sentences for a reader at a terminal. It follows a log, so that each figure is told with its noise."""

    def __init__(self, entries: Iterable[AuditEntry] = ()) -> None:
        self._runs = runs(entries)

    def sentence(self, entry: AuditEntry) -> str:
        """The next entry of the log."""
        run = self._runs.setdefault(entry.run_id, Run(entry.run_id))
        run.take(entry)
        return entry.body.sentence(run, entry)


def sentence(entry: AuditEntry) -> str:
    """One entry by itself; a `Teller` knows the noise of a figure too."""
    return entry.body.sentence(Run(entry.run_id), entry)


def told(value: Plain, deviation: Plain) -> str | None:
    """A figure of a summary with its noise, for people; None where nothing was evaluated yet."""
    if not isinstance(value, int | float):
        return None
    return figure(float(value), deviation if isinstance(deviation, int | float) else None)


def summary(run: Run) -> dict[str, Plain]:
    """Where one run stands, as values. Figures are of noised counts, each with its deviation from the noise."""
    opened = run.opened
    evaluated = max((number for number, each in run.rounds.items() if each.evaluated), default=None)
    last = run.rounds[evaluated] if evaluated is not None else Round(0)
    return {
        "run_id": run.run_id,
        "state": run.outcome,
        "rounds_planned": opened.planned_rounds if opened else 0,
        "rounds_aggregated": run.rounds_aggregated,
        "rounds_aborted": run.rounds_aborted,
        "entries": run.entries,
        "last_entry_at": datetime.fromtimestamp(run.last_entry_at / 1000, UTC).isoformat(timespec="seconds"),
        "evaluated_round": evaluated,
        "accuracy": as_number(last.evaluated.accuracy) if last.evaluated else None,
        "accuracy_std": last.spread.accuracy,
        "macro_f1": as_number(last.evaluated.macro_f1) if last.evaluated else None,
        "macro_f1_std": last.spread.macro_f1,
        "simulated": opened.simulated if opened else False,
        "sites": [_site(run, site) for site in sorted(run.roster)],
    }


def _site(run: Run, site: str) -> dict[str, Plain]:
    updates = [each.updates[site] for _, each in sorted(run.rounds.items()) if site in each.updates]
    spent = updates[-1].spent if updates else None
    return {
        "site": site,
        "ready": site in run.ready,
        "left": site in run.gone,
        "updates": len(updates),
        "refusals": sum(each.refusals_of(site) for each in run.rounds.values()),
        "epsilon_of_run": as_number(spent.epsilon) if spent else None,
        "delta": as_number(spent.delta) if spent else None,
        "unit": spent.unit if spent else None,
    }
