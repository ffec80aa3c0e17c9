# SPDX-License-Identifier: Apache-2.0
"""A log for people: runs, rounds and what each site did, with digests short, every epsilon with its unit and
accountant, and every noised figure with its noise.

What is shown is what the entries say. Whether it is true is the business of privacy/audit/verification.py and
privacy/audit/recomputation.py. The same as JSON: privacy/audit/values.py.
"""

from __future__ import annotations

from pathlib import Path

from privacy.audit import facts, values
from privacy.audit.stored import read_log
from privacy.base.errors import SettingsError
from privacy.base.identifiers import Digest, SiteId
from privacy.commandline.terminal import print_facts, print_table, say
from privacy.dp.params import PrivacySpent
from privacy.leakage.verdict import MEANING
from privacy.protocol.entries import AuditEntry, EntryBody, MetricsReceived, ReplyRefused, UpdateReceived
from privacy.protocol.messages import parse
from privacy.protocol.run import Round, Run, runs
from privacy.protocol.uncertainty import figure


def chosen(folder: Path, run_id: str = "", server_round: int | None = None) -> list[Run]:
    """All runs of the log in `folder` or the one named, with all rounds or the one named.

    Raises SettingsError when there is no log, run or round, IntegrityError or ContractError when it is damaged.
    """
    by_name = runs(parse(AuditEntry, row.leaf) for row in read_log(folder).rows)
    of_name = [run for run in by_name.values() if run_id in ("", run.run_id)]
    if run_id and not of_name:
        raise SettingsError("the log holds no run of that name", next_step="collab-audit show DIR lists the runs")
    return of_name if server_round is None else _of_round(of_name, server_round)


def _of_round(of_name: list[Run], number: int) -> list[Run]:
    """The same runs with that round alone."""
    if not any(number in run.rounds for run in of_name):
        raise SettingsError(f"the log holds no round {number}", next_step="collab-audit show DIR lists the rounds")
    for run in of_name:
        run.rounds = {number: run.rounds[number]} if number in run.rounds else {}
    return of_name


def show(folder: Path, run_id: str = "", server_round: int | None = None) -> None:
    """Print every run of the log or the one named; of a round that is named, its plan and its sites alone.

    Raises SettingsError when there is no such run or round.
    """
    for run in chosen(folder, run_id, server_round):
        opened = run.opened
        origin = "simulated" if opened and opened.simulated else "real"
        say(f"run {run.run_id} ({origin}): {run.outcome}, {opened.planned_rounds if opened else 0} rounds planned")
        if server_round is None:
            _print_run(run)
        printed: facts.Facts = {}
        for _, of_round in sorted(run.rounds.items()):
            printed = _print_plan(of_round, printed)
            _print_sites(of_round)
            _print_others(run, of_round)


def _print_run(run: Run) -> None:
    if run.opened is not None:
        print_facts("what the run was opened with", facts.of_run(run.opened))
    machines = {site: facts.of_site(hello) for site, hello in run.hellos.items()}
    _print_sites_table("what the sites run on", "device threads deterministic size_bucket software", machines)
    checks = {site: facts.of_self_check(check) for site, check in run.self_checks.latest.items()}
    if checks:
        title = "self-check of anonymization (invented notes, no data of the sites)"
        _print_sites_table(title, "engine notes recall_by_identifier", checks)
    tested = {site: facts.of_mechanism_check(check) for site, check in run.self_checks.mechanism.items()}
    if tested:
        title = "mechanism check (noise and sampling without data, each site's word)"
        _print_sites_table(title, "noise_of_a_step draws sampling tests_passed", tested)
        for name in ("noise", "sampling"):
            say(f"{name}: shows {MEANING[name].shows}; cannot show {MEANING[name].cannot_show}")
    _print_rounds(run)


def _print_sites_table(title: str, columns: str, of_sites: dict[SiteId, facts.Facts]) -> None:
    named = ["site", *(column.replace("_", " ") for column in columns.split())]
    print_table(title, named, [(site, *cells.values()) for site, cells in of_sites.items()])


def _print_rounds(run: Run) -> None:
    columns = ("round", "outcome", "included", "weight", "model", "accuracy", "macro-F1")
    rows = [_round_row(number, of) for number, of in sorted(run.rounds.items())]
    print_table(f"rounds of {run.run_id} (+/-: one standard deviation of the counts' noise alone)", columns, rows)


def _round_row(number: int, of: Round) -> tuple[object, ...]:
    scored, aggregated, spread = of.evaluated, of.aggregated, of.spread
    included = len(aggregated.included) if aggregated else 0
    return (
        number,
        of.outcome,
        f"{included} of {len(of.plan.cohort)}" if of.plan else None,
        aggregated.total_weight if aggregated else None,
        _short(aggregated.model_out if aggregated else None),
        figure(scored.accuracy, spread.accuracy) if scored and scored.accuracy else None,
        figure(scored.macro_f1, spread.macro_f1) if scored and scored.macro_f1 else None,
    )


def _print_plan(of: Round, printed: facts.Facts) -> facts.Facts:
    """What of the plan is other than in the round before; returns all of it."""
    plan = facts.of_round(of.plan) if of.plan else {}
    plan |= facts.of_evaluation(of.evaluation) if of.evaluation else {}
    changed = {name: value for name, value in plan.items() if printed.get(name) != value}
    if changed:
        print_facts(f"plan of round {of.number}{', where it differs' if printed else ''}", changed)
    return printed | plan


def _print_sites(of: Round) -> None:
    columns = ("site", "phase", "outcome", "weight", "steps", "update", "epsilon of the run so far")
    rows = [row for _, body in of.entries if (row := _site_row(of, body)) is not None]
    print_table(f"round {of.number}", columns, rows)


def _print_others(run: Run, of: Round) -> None:
    """What is logged of the round beside what the tables hold: an entry's own sentence."""
    for at, body in values.others(of):
        entry = AuditEntry.model_construct(
            run_id=run.run_id, server_round=of.number, recorded_at=at, index=0, body=body
        )
        say(body.sentence(run, entry))


def _site_row(of: Round, body: EntryBody) -> tuple[object, ...] | None:
    match body:
        case UpdateReceived(site=site, update=update):
            weight = of.plan.cohort[site].weight if of.plan and site in of.plan.cohort else None
            digest = _short(update.payload_digest)
            return site, "update", "received", weight, update.num_steps, digest, _epsilon(update.spent)
        case MetricsReceived(site=site, metrics=metrics):
            noise = float(metrics.noise_std)
            counted = f"counts, each +/- {noise:.3g}" if noise else "exact counts"
            return site, "evaluate", counted, None, None, None, _epsilon(metrics.spent)
        case ReplyRefused(site=site):
            return site, body.phase, f"refused by {body.by}: {body.reason}", None, None, None, None
    return None


def _short(digest: Digest | None) -> str | None:
    return digest[:12] if digest else None


def _epsilon(spent: PrivacySpent | None) -> str | None:
    if spent is None:
        return None
    return f"{spent.epsilon} at delta {spent.delta}, unit {spent.unit} ({spent.accountant})"
