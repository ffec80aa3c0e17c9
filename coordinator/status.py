# SPDX-License-Identifier: Apache-2.0
"""What a run is at, in sentences and tables for people: read from the log alone, also while a coordinator writes it.

Nothing is verified here: that is `collab-audit verify`, which needs no trust in this folder's owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from coordinator.phases import History
from privacy.audit.entries import (
    AuditEntry,
    EvaluationPlanned,
    MetricsReceived,
    ReplyRefused,
    RoundAborted,
    RoundAggregated,
    RoundEvaluated,
    RoundPlanned,
    RunClosed,
    RunOpened,
    SiteReady,
    UpdateReceived,
)
from privacy.audit.stored import read_log
from privacy.canonical import Json
from privacy.exchange.messages import parse
from privacy.identifiers import RunId


def read_entries(folder: Path) -> list[AuditEntry]:
    """All entries of the log in `folder`, in order; none when there is no log yet. Writes nothing, waits for nobody."""
    path = folder / "log.sqlite"
    if not path.exists() and not path.is_symlink():
        return []
    return [parse(AuditEntry, row.leaf) for row in read_log(folder).rows]


def sentence(entry: AuditEntry) -> str:
    """One entry for a reader at a terminal."""
    body, number = entry.body, entry.server_round
    match body:
        case RunOpened():
            noise = f"noise multiplier {body.noise_multiplier}" if body.noise_multiplier else "NOT private"
            return f"run {entry.run_id} opened: {len(body.roster)} sites, {body.planned_rounds} rounds, {noise}"
        case SiteReady():
            return f"{body.site} is ready ({body.hello.role}, {body.hello.device})"
        case RoundPlanned():
            return f"round {number} of {body.plan.planned_rounds}: asked {len(body.plan.cohort)} sites to train"
        case UpdateReceived():
            return f"round {number}: {body.site} sent an update{_spent(body)}"
        case ReplyRefused():
            who = "refused" if body.by == "site" else "was refused"
            return f"round {number}: {body.site} {who} ({body.phase}: {body.reason})"
        case RoundAggregated():
            return f"round {number}: new model from {len(body.included)} sites, {body.model_out[:12]}"
        case RoundAborted():
            return f"round {number} aborted: {body.received} of at least {body.min_sites} updates; the model stays"
        case EvaluationPlanned():
            return f"round {number}: asked {len(body.plan.sites)} sites to evaluate"
        case MetricsReceived():
            return f"round {number}: {body.site} sent noised counts"
        case RoundEvaluated():
            return f"round {number}: accuracy {_figure(body.accuracy)}, macro-F1 {_figure(body.macro_f1)}"
        case RunClosed():
            return f"run {entry.run_id} {body.outcome}: {body.rounds_aggregated} rounds, model {body.final_model[:12]}"


def runs(entries: Iterable[AuditEntry]) -> dict[RunId, list[AuditEntry]]:
    """The entries by run, in the order in which the runs were opened."""
    found: dict[RunId, list[AuditEntry]] = {}
    for entry in entries:
        found.setdefault(entry.run_id, []).append(entry)
    return found


def summary(run_id: RunId, entries: Sequence[AuditEntry]) -> dict[str, Json]:
    """Where one run stands. Figures are those of the log: noised counts make accuracy and macro-F1."""
    history = History.read(entries)
    last = history.evaluated[max(history.evaluated)] if history.evaluated else None
    return {
        "run_id": run_id,
        "state": history.closed.outcome if history.closed else "open",
        "rounds_planned": history.opened.planned_rounds if history.opened else 0,
        "rounds_aggregated": len(history.aggregated),
        "rounds_aborted": len(history.aborted),
        "entries": len(entries),
        "last_entry_at": datetime.fromtimestamp(entries[-1].recorded_at / 1000, UTC).isoformat(timespec="seconds"),
        "accuracy": last.accuracy if last else None,
        "macro_f1": last.macro_f1 if last else None,
        "simulated": history.opened.simulated if history.opened else False,
        "sites": [_site(history, site) for site in sorted(history.opened.roster)] if history.opened else [],
    }


def _site(history: History, site: str) -> dict[str, Json]:
    rounds = [number for number, updates in history.updates.items() if site in updates]
    last = history.updates[max(rounds)][site] if rounds else None
    return {
        "site": site,
        "ready": site in history.ready,
        "left": site in history.gone,
        "updates": len(rounds),
        "refusals": sum(site in sites for sites in history.refused.values()),
        "epsilon_of_run": last.spent.epsilon if last and last.spent else None,
        "unit": last.spent.unit if last and last.spent else None,
    }


def _spent(body: UpdateReceived) -> str:
    spent = body.update.spent
    return f", epsilon {spent.epsilon} of this run spent (unit: {spent.unit})" if spent else ""


def _figure(value: str | None) -> str:
    return "unknown" if value is None else value
