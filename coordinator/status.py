# SPDX-License-Identifier: Apache-2.0
"""What a run is at, in sentences and tables for people: read from the log alone, also while a coordinator writes it.

Nothing is verified here: that is `collab-audit verify`, which needs no trust in this folder's owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from coordinator.phases import History
from privacy.audit.stored import read_log
from privacy.audit.uncertainty import UNKNOWN, Spread, Spreads, figure
from privacy.audit.values import Value
from privacy.audit.values import number as as_number
from privacy.base.identifiers import RunId
from privacy.protocol.entries import (
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
from privacy.protocol.messages import parse


def read_entries(folder: Path) -> list[AuditEntry]:
    """All entries of the log in `folder`, in order; none when there is no log yet. Writes nothing, waits for nobody."""
    path = folder / "log.sqlite"
    if not path.exists() and not path.is_symlink():
        return []
    return [parse(AuditEntry, row.leaf) for row in read_log(folder).rows]


class Teller:
    """Entries as sentences for a reader at a terminal. It follows a log, so that each figure is told with its noise."""

    def __init__(self, entries: Iterable[AuditEntry] = ()) -> None:
        self._spreads = Spreads(entries)

    def sentence(self, entry: AuditEntry) -> str:
        """The next entry of the log."""
        self._spreads.take(entry)
        if isinstance(entry.body, RoundEvaluated):
            return _evaluated(entry.server_round, entry.body, self._spreads.of(entry.run_id, entry.server_round))
        return sentence(entry)


def sentence(entry: AuditEntry) -> str:
    """One entry by itself; a `Teller` knows the noise of a figure too."""
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
            return _evaluated(number, body, UNKNOWN)
        case RunClosed():
            return f"run {entry.run_id} {body.outcome}: {body.rounds_aggregated} rounds, model {body.final_model[:12]}"


def told(value: Value, deviation: Value) -> str | None:
    """A figure of a summary with its noise, for people; None where nothing was evaluated yet."""
    if not isinstance(value, int | float):
        return None
    return figure(float(value), deviation if isinstance(deviation, int | float) else None)


def runs(entries: Iterable[AuditEntry]) -> dict[RunId, list[AuditEntry]]:
    """The entries by run, in the order in which the runs were opened."""
    found: dict[RunId, list[AuditEntry]] = {}
    for entry in entries:
        found.setdefault(entry.run_id, []).append(entry)
    return found


def summary(run_id: RunId, entries: Sequence[AuditEntry]) -> dict[str, Value]:
    """Where one run stands, as values. Figures are of noised counts, each with its deviation from the noise."""
    history = History.read(entries)
    evaluated = max(history.evaluated) if history.evaluated else None
    last = history.evaluated[evaluated] if evaluated is not None else None
    spread = Spreads(entries).of(run_id, evaluated) if evaluated is not None else UNKNOWN
    return {
        "run_id": run_id,
        "state": history.closed.outcome if history.closed else "open",
        "rounds_planned": history.opened.planned_rounds if history.opened else 0,
        "rounds_aggregated": len(history.aggregated),
        "rounds_aborted": len(history.aborted),
        "entries": len(entries),
        "last_entry_at": datetime.fromtimestamp(entries[-1].recorded_at / 1000, UTC).isoformat(timespec="seconds"),
        "evaluated_round": evaluated,
        "accuracy": as_number(last.accuracy) if last else None,
        "accuracy_std": spread.accuracy,
        "macro_f1": as_number(last.macro_f1) if last else None,
        "macro_f1_std": spread.macro_f1,
        "simulated": history.opened.simulated if history.opened else False,
        "sites": [_site(history, site) for site in sorted(history.opened.roster)] if history.opened else [],
    }


def _site(history: History, site: str) -> dict[str, Value]:
    rounds = [number for number, updates in history.updates.items() if site in updates]
    last = history.updates[max(rounds)][site] if rounds else None
    return {
        "site": site,
        "ready": site in history.ready,
        "left": site in history.gone,
        "updates": len(rounds),
        "refusals": sum(site in sites for sites in history.refused.values()),
        "epsilon_of_run": as_number(last.spent.epsilon) if last and last.spent else None,
        "delta": as_number(last.spent.delta) if last and last.spent else None,
        "unit": last.spent.unit if last and last.spent else None,
    }


def _spent(body: UpdateReceived) -> str:
    spent = body.update.spent
    return f", epsilon {spent.epsilon} of this run spent (unit: {spent.unit})" if spent else ""


def _evaluated(number: int, body: RoundEvaluated, spread: Spread) -> str:
    macro_f1 = f", macro-F1 {figure(body.macro_f1, spread.macro_f1)}" if body.macro_f1 is not None else ""
    noise = " (+/-: one standard deviation of the counts' noise)" if spread.accuracy else ""
    return f"round {number}: accuracy {figure(body.accuracy, spread.accuracy)}{macro_f1}{noise}"
