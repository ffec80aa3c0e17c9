# SPDX-License-Identifier: Apache-2.0
"""A log for people: runs, rounds and what each site did, with digests short and every epsilon with its unit and
accountant.

What is shown is what the entries say. Whether it is true is the business of privacy/audit/verify.py and
privacy/audit/replay.py. Rows are plain values, so that the same can be printed as a table or as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from privacy.audit import facts
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
from privacy.dp.params import PrivacySpent
from privacy.errors import SettingsError
from privacy.exchange.messages import parse
from privacy.identifiers import Digest, RunId, SiteId
from privacy.leakage.verdict import MEANING
from privacy.terminal import print_facts, print_table, say

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class SiteRow(BaseModel):
    """What one site did in one phase of one round. `epsilon` is of the run so far, at the plan's delta."""

    model_config = STRICT
    site: SiteId
    phase: str
    outcome: str
    weight: int | None = None
    num_steps: int | None = None
    payload: Digest | None = None
    epsilon: str | None = None
    delta: str | None = None
    unit: str | None = None
    accountant: str | None = None


class RoundRow(BaseModel):
    """One round. Round 0 is the evaluation of the initial model."""

    model_config = STRICT
    server_round: int
    outcome: str
    cohort: int = 0
    included: int = 0
    total_weight: int | None = None
    model_out: Digest | None = None
    accuracy: str | None = None
    macro_f1: str | None = None
    plan: dict[str, str] = {}
    sites: tuple[SiteRow, ...] = ()


class RunTable(BaseModel):
    """One run with its rounds. The last `self_checks` and `mechanism_checks` of each site; it repeats them."""

    model_config = STRICT
    run_id: RunId
    simulated: bool
    planned_rounds: int
    outcome: str
    final_model: Digest | None
    recipe: dict[str, str]
    machines: dict[SiteId, dict[str, str]]
    self_checks: dict[SiteId, dict[str, str]]
    mechanism_checks: dict[SiteId, dict[str, str]]
    rounds: tuple[RoundRow, ...]


def tables(folder: Path) -> list[RunTable]:
    """All runs of the log in `folder`.

    Raises SettingsError when there is no log, IntegrityError or ContractError when damaged.
    """
    by_run: dict[RunId, list[AuditEntry]] = {}
    for row in read_log(folder).rows:
        entry = parse(AuditEntry, row.leaf)
        by_run.setdefault(entry.run_id, []).append(entry)
    return [_run_table(run_id, entries) for run_id, entries in by_run.items()]


def chosen(folder: Path, run_id: str = "", server_round: int | None = None) -> list[RunTable]:
    """All runs or the one named, with all rounds or the one named. Raises SettingsError when there is no such."""
    runs = [run for run in tables(folder) if run_id in ("", run.run_id)]
    if run_id and not runs:
        raise SettingsError("the log holds no run of that name", next_step="collab-audit show DIR lists the runs")
    if server_round is None:
        return runs
    if not any(row.server_round == server_round for run in runs for row in run.rounds):
        raise SettingsError(
            f"the log holds no round {server_round}", next_step="collab-audit show DIR lists the rounds"
        )
    return [
        run.model_copy(update={"rounds": tuple(row for row in run.rounds if row.server_round == server_round)})
        for run in runs
    ]


def show(folder: Path, run_id: str = "", server_round: int | None = None) -> None:
    """Print every run of the log or the one named; of a round that is named, its plan and its sites alone.

    Raises SettingsError when there is no such run or round.
    """
    for run in chosen(folder, run_id, server_round):
        origin = "simulated" if run.simulated else "real"
        say(f"run {run.run_id} ({origin}): {run.outcome}, {run.planned_rounds} rounds planned")
        if server_round is None:
            print_facts("what the run was opened with", run.recipe)
            columns = ("site", "device", "threads", "deterministic", "size bucket", "software")
            print_table("what the sites run on", columns, [(site, *of.values()) for site, of in run.machines.items()])
            _print_self_checks(run)
            _print_mechanism_checks(run)
            _print_rounds(run)
        for row in run.rounds:
            _print_sites(row)


def _print_self_checks(run: RunTable) -> None:
    columns = ("site", "engine", "notes", "recall by identifier")
    rows = [(site, *of.values()) for site, of in run.self_checks.items()]
    if rows:
        print_table("self-check of anonymization (invented notes, no data of the sites)", columns, rows)


def _print_mechanism_checks(run: RunTable) -> None:
    columns = ("site", "noise of a step", "draws", "sampling", "tests passed")
    rows = [(site, *of.values()) for site, of in run.mechanism_checks.items()]
    if rows:
        print_table("mechanism check (noise and sampling without data, each site's word)", columns, rows)
        for name in ("noise", "sampling"):
            say(f"{name}: shows {MEANING[name].shows}; cannot show {MEANING[name].cannot_show}")


def _print_rounds(run: RunTable) -> None:
    columns = ("round", "outcome", "included", "weight", "model", "accuracy", "macro-F1")
    rows = [
        (
            row.server_round,
            row.outcome,
            f"{row.included} of {row.cohort}" if row.cohort else None,
            row.total_weight,
            _short(row.model_out),
            row.accuracy,
            row.macro_f1,
        )
        for row in run.rounds
    ]
    print_table(f"rounds of {run.run_id} (accuracy and macro-F1 from noised counts)", columns, rows)


def _print_sites(row: RoundRow) -> None:
    if row.plan:
        print_facts(f"plan of round {row.server_round}", row.plan)
    columns = ("site", "phase", "outcome", "weight", "steps", "update", "epsilon of the run so far")
    rows = [
        (site.site, site.phase, site.outcome, site.weight, site.num_steps, _short(site.payload), _epsilon(site))
        for site in row.sites
    ]
    print_table(f"round {row.server_round}", columns, rows)


def _short(digest: Digest | None) -> str | None:
    return digest[:12] if digest else None


def _epsilon(site: SiteRow) -> str | None:
    if site.epsilon is None:
        return None
    return f"{site.epsilon} at delta {site.delta}, unit {site.unit} ({site.accountant})"


def _run_table(run_id: RunId, entries: Iterable[AuditEntry]) -> RunTable:
    simulated, planned, outcome, final = False, 0, "open", None
    recipe: dict[str, str] = {}
    machines: dict[SiteId, dict[str, str]] = {}
    self_checks: dict[SiteId, dict[str, str]] = {}
    mechanism_checks: dict[SiteId, dict[str, str]] = {}
    by_round: dict[int, list[AuditEntry]] = {}
    for entry in entries:
        if isinstance(entry.body, UpdateReceived) and (check := entry.body.update.self_check):
            self_checks[entry.body.site] = facts.of_self_check(check)
        if isinstance(entry.body, UpdateReceived) and (tested := entry.body.update.mechanism_check):
            mechanism_checks[entry.body.site] = facts.of_mechanism_check(tested)
        match entry.body:
            case RunOpened() as opened:
                simulated, planned, recipe = opened.simulated, opened.planned_rounds, facts.of_run(opened)
            case SiteReady() as ready:
                machines[ready.site] = facts.of_site(ready.hello)
            case RunClosed() as closed:
                outcome, final = closed.outcome, closed.final_model
            case _:
                by_round.setdefault(entry.server_round, []).append(entry)
    rounds = tuple(_round_row(number, of_round) for number, of_round in sorted(by_round.items()))
    return RunTable(
        run_id=run_id,
        simulated=simulated,
        planned_rounds=planned,
        outcome=outcome,
        final_model=final,
        recipe=recipe,
        machines=machines,
        self_checks=self_checks,
        mechanism_checks=mechanism_checks,
        rounds=rounds,
    )


def _round_row(number: int, entries: Iterable[AuditEntry]) -> RoundRow:
    row = RoundRow(server_round=number, outcome="initial model" if number == 0 else "open")
    weights: dict[SiteId, int] = {}
    sites: list[SiteRow] = []
    for entry in entries:
        match entry.body:
            case RoundPlanned(plan=plan):
                weights = {site: member.weight for site, member in plan.cohort.items()}
                row = row.model_copy(update={"cohort": len(weights), "plan": row.plan | facts.of_round(plan)})
            case EvaluationPlanned(plan=evaluation):
                row = row.model_copy(update={"plan": row.plan | facts.of_evaluation(evaluation)})
            case UpdateReceived() as received:
                sites.append(_update_row(received, weights.get(received.site)))
            case MetricsReceived() as received_metrics:
                counted = "exact counts" if received_metrics.metrics.noise_std == "0" else "noised counts"
                sites.append(_site_row(received_metrics.site, "evaluate", counted, received_metrics.metrics.spent))
            case ReplyRefused() as refused:
                sites.append(_site_row(refused.site, refused.phase, f"refused by {refused.by}: {refused.reason}", None))
            case RoundAggregated() as aggregated:
                figures = {"included": len(aggregated.included), "total_weight": aggregated.total_weight}
                row = row.model_copy(update={"outcome": "aggregated", "model_out": aggregated.model_out, **figures})
            case RoundAborted() as aborted:
                reason = f"aborted: {aborted.received} of at least {aborted.min_sites} updates"
                row = row.model_copy(update={"outcome": reason})
            case RoundEvaluated() as evaluated:
                figures_of = {"accuracy": evaluated.accuracy, "macro_f1": evaluated.macro_f1}
                row = row.model_copy(update=figures_of)
    return row.model_copy(update={"sites": tuple(sites)})


def _update_row(received: UpdateReceived, weight: int | None) -> SiteRow:
    update = received.update
    row = _site_row(received.site, "update", "received", update.spent)
    return row.model_copy(update={"weight": weight, "num_steps": update.num_steps, "payload": update.payload_digest})


def _site_row(site: SiteId, phase: str, outcome: str, spent: PrivacySpent | None) -> SiteRow:
    if spent is None:
        return SiteRow(site=site, phase=phase, outcome=outcome)
    return SiteRow(
        site=site,
        phase=phase,
        outcome=outcome,
        epsilon=spent.epsilon,
        delta=spent.delta,
        unit=spent.unit,
        accountant=spent.accountant,
    )
