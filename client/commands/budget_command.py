# SPDX-License-Identifier: Apache-2.0
"""collab-client budget: what a whole planned run would cost this site, before anybody says yes to it.

Registered on collab-client's own app, which imports this file; accountants are imported when the command runs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from client.commands.site_option import site_of
from privacy.base.errors import ContractError, PlanRefused
from privacy.base.files import read_bounded
from privacy.commandline.terminal import AsJson, example, print_facts, print_json, say

if TYPE_CHECKING:
    from client.settings.site_settings import SiteFolder
    from privacy.dp.params import Unit
    from privacy.protocol.outline import RunOutline

MAX_FILE_BYTES: Final = 4 << 20

NO: Final = 3
"""The exit code for a run that does not fit, as for a plan that is refused."""


@dataclass(frozen=True)
class RunForecast:
    """Epsilon now, after the whole run, and left then, of the limit. `by_*`: whose figure the limit holds.

    All are for `unit` of `dataset` at `delta`. `releases` are what the run still plans here.
    """

    site: str
    dataset: str
    unit: str
    delta: str
    run_id: str
    rounds: int
    evaluations: int
    epsilon_now: str
    by_now: str
    epsilon_after: str
    by_after: str
    epsilon_accountant: str
    accountant: str
    epsilon_filter: str
    epsilon_limit: str
    epsilon_left: str
    fits: bool
    simulated: bool


def register(app: typer.Typer) -> None:
    """Add the command to collab-client's app."""
    app.command(epilog=example("collab-client --site hospital_a budget --plan lung/model/plan.json"))(budget)


def budget(
    context: typer.Context,
    plan: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="model/plan.json of the federation's folder, or a run_opened entry of a log."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Say what a whole planned run would cost the site's data, and whether that fits. Nothing is charged.

    Exit code 0: it fits. 3: it does not, and nothing of it would be charged.
    """
    folder = site_of(context)
    run_id, outline = read_plan(plan)
    run_forecast = forecast(folder, run_id, outline)
    if as_json:
        print_json(asdict(run_forecast))
    else:
        print_facts(f"What the run would cost {folder.name}", _facts(run_forecast))
        say(_sentence(run_forecast))
    if not run_forecast.fits:
        raise typer.Exit(NO)


def read_plan(file: Path) -> tuple[str, RunOutline]:
    """Run id ("" where the file names none) and outline. Raises SettingsError, ContractError."""
    from privacy.protocol.entries import AuditEntry, RunOpened
    from privacy.protocol.messages import parse
    from privacy.protocol.outline import RunOutline

    data = read_bounded(file, MAX_FILE_BYTES).removesuffix(b"\n")
    try:
        return "", parse(RunOutline, data)
    except ContractError:
        pass
    try:
        entry = parse(AuditEntry, data)
    except ContractError:
        entry = None
    if entry is None or not isinstance(entry.body, RunOpened) or entry.body.outline is None:
        raise ContractError(
            f"{file.name} is no plan of a whole run",
            next_step="ask the coordinator for model/plan.json (collab-coordinator task DIR writes it)",
        )
    return entry.run_id, entry.body.outline


def forecast(folder: SiteFolder, run_id: str, outline: RunOutline) -> RunForecast:
    """The forecast. Raises PlanRefused where no charge would pass at all: another unit, a withdrawn data set."""
    from client import enrolment
    from client.data.naming import split_of_site
    from client.site.account import left
    from client.site.budget import cost_of_run
    from privacy.base.canonical import decimal_string
    from privacy.dp.ledger import Ledger

    settings = folder.settings
    policy, dataset = settings.policy, settings.data.dataset
    _check_unit(outline, policy.unit)
    key = enrolment.site_key_if_any(folder)
    folder.create()
    ledger, limit = Ledger(folder.ledger), decimal_string(policy.epsilon_limit)
    now, by_now = ledger.standing(dataset, policy.unit, limit, run_id).binding
    after = cost_of_run(ledger, settings, None if key is None else split_of_site(settings, key), run_id, outline)
    epsilon, by = after.binding
    return RunForecast(
        site=folder.name,
        dataset=dataset,
        unit=policy.unit,
        delta=ledger.delta(dataset, policy.unit) or decimal_string(policy.delta),
        run_id=run_id,
        rounds=outline.planned_rounds,
        evaluations=outline.evaluations,
        epsilon_now=now,
        by_now=by_now,
        epsilon_after=epsilon,
        by_after=by,
        epsilon_accountant=after.epsilon,
        accountant=after.accountant,
        epsilon_filter=after.by_filter,
        epsilon_limit=limit,
        epsilon_left=left(epsilon, limit),
        fits=float(epsilon) <= float(limit),
        simulated=folder.simulated,
    )


def _check_unit(outline: RunOutline, unit: Unit) -> None:
    if outline.privacy is not None and outline.unit != unit:
        raise PlanRefused(
            f"the run protects a {outline.unit}, this site's unit is the {unit}",
            reason="policy",
            next_step="ask the coordinator for a run of the other unit; a data set keeps the one it was charged under",
        )


def _facts(costs: RunForecast) -> dict[str, object]:
    return {
        "run": costs.run_id or "(not opened yet)",
        "rounds, evaluations": f"{costs.rounds}, {costs.evaluations}",
        "data set": f"{costs.dataset} (unit: {costs.unit}, delta {costs.delta})",
        "epsilon now": f"{costs.epsilon_now} (by {costs.by_now})",
        "epsilon after the run": f"{costs.epsilon_after} (by {costs.by_after})",
        f"by {costs.accountant} / by the filter": f"{costs.epsilon_accountant} / {costs.epsilon_filter}",
        "limit": costs.epsilon_limit,
        "left then": costs.epsilon_left,
    }


def _sentence(costs: RunForecast) -> str:
    simulated = " The keys of this site follow a known seed: its epsilon protects nobody." if costs.simulated else ""
    if costs.fits:
        return f"YES: the whole run fits, by {costs.by_after}. Nothing was charged.{simulated}"
    return (
        f"NO: the whole run would bring epsilon to {costs.epsilon_after} of {costs.epsilon_limit}, by {costs.by_after}."
        f" This site would refuse it when it opens, and charge nothing.{simulated}"
    )
