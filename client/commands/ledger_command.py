# SPDX-License-Identifier: Apache-2.0
"""collab-client ledger and withdraw: what was spent for good, how far the rest reaches, and the end of a data set.

Registered on collab-client's own app, which imports this file; accountants are imported when a command runs.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client.commands.site_option import site_of
from privacy.base.errors import SettingsError
from privacy.commandline.terminal import AsJson, example, print_json, print_table, say

if TYPE_CHECKING:
    from client.settings.site_settings import SiteFolder
    from client.site.account import Account, Forecast
    from privacy.dp.params import PrivacyEvent
    from privacy.dp.patient_epsilon import PatientEpsilon


def register(app: typer.Typer) -> None:
    """Add the commands to collab-client's app."""
    app.command(epilog=example("collab-client --site hospital_a ledger --plot ledger.svg"))(ledger)
    app.command(epilog=example("collab-client --site hospital_a withdraw"))(withdraw)


def ledger(
    context: typer.Context,
    noise_multiplier: Annotated[str, typer.Option(help="Forecast rounds with this noise, not the last round's.")] = "",
    sample_rate: Annotated[str, typer.Option(help="Forecast rounds at this rate, not the last round's.")] = "",
    steps: Annotated[int, typer.Option(min=0, help="Forecast rounds of so many steps; 0: of the last round's.")] = 0,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw epsilon over the releases, as SVG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what each declared data set has spent of its privacy budget, recomputed from the whole history, and how many
    more rounds the rest allows."""
    from client.site import account as accounting
    from client.site.patients import patient_epsilon_of

    folder = site_of(context)
    accounts = accounting.accounts(folder)
    current = (folder.settings.data.dataset, folder.settings.policy.unit)
    here = next((one for one in accounts if (one.dataset, one.unit) == current), None)
    event = _event(here, noise_multiplier, sample_rate, steps)
    ahead = None if here is None or event is None else accounting.forecast(here, event)
    report = LedgerReport(folder, accounts, here, ahead, patient_epsilon_of(folder))
    if plot is not None and here is not None:
        _draw(here, plot)
    if as_json:
        print_json(report.as_json())
        return
    report.tell()
    if plot is not None and here is not None:
        say(f"Drawn: {plot}")


@dataclass(frozen=True)
class LedgerReport:
    """What the ledger says of each account, of the one `here` now, and what lies `ahead` of it."""

    folder: SiteFolder
    accounts: list[Account]
    here: Account | None
    ahead: Forecast | None
    patient: PatientEpsilon | None

    def as_json(self) -> dict[str, object]:
        """All of it as one JSON object."""
        from client import enrolment

        patient = None if self.patient is None else vars(self.patient) | {"unit": "patient", "accountant": "pld"}
        rows = [_as_json(one, self.ahead if one is self.here else None) for one in self.accounts]
        simulated = enrolment.keys_are_known(self.folder)
        return {"site": self.folder.name, "simulated": simulated, "accounts": rows, "patient": patient}

    def tell(self) -> None:
        """All of it in tables and sentences."""
        from client import enrolment

        if not self.accounts:
            say("Nothing was spent yet.")
            return
        _print(self.folder.name, self.accounts)
        if self.ahead is not None and self.here is not None:
            say(f"{self.here.dataset}: {self.ahead.sentence()}.")
        if self.patient is not None:
            say(f"Mind the unit: {self.patient.sentence()}.")
        if enrolment.keys_are_known(self.folder):
            say(enrolment.SIMULATED_EPSILON)


def _event(here: Account | None, noise_multiplier: str, sample_rate: str, steps: int) -> PrivacyEvent | None:
    """The round to forecast: the last one that was trained, with what the options change of it."""
    from pydantic import ValidationError

    from client.site.account import last_round
    from privacy.dp.params import PrivacyEvent

    last = None if here is None else last_round(here)
    event = {"noise_multiplier": noise_multiplier, "sample_rate": sample_rate, "steps": steps}
    given = {name: value for name, value in event.items() if value}
    if last is None and len(given) < len(event):
        return None
    base = {} if last is None else last.model_dump()
    try:
        return PrivacyEvent.model_validate({**base, "partition": "train", **given})
    except ValidationError:
        raise SettingsError(
            "there is no such round to forecast",
            next_step="give --noise-multiplier above 0, --sample-rate in (0, 1] and --steps as plain numbers",
        ) from None


def _as_json(account: Account, ahead: Forecast | None) -> dict[str, object]:
    row = {name: value for name, value in asdict(account).items() if name not in ("history", "first_run")}
    forecast = None if ahead is None else {"rounds": ahead.rounds, **ahead.event.model_dump()}
    return {**row, "forecast": forecast}


def _print(site: str, accounts: list[Account]) -> None:
    columns = ("dataset", "unit", "releases", "unsettled", "epsilon spent", "by filter", "limit", "left", "delta")
    rows = [
        (
            one.dataset + (" (withdrawn)" if one.withdrawn else ""),
            one.unit,
            one.releases,
            one.unsettled,
            one.epsilon_spent,
            one.epsilon_filter,
            one.epsilon_limit,
            one.epsilon_left,
            one.delta,
        )
        for one in accounts
    ]
    print_table(f"Privacy ledger of {site}", columns, rows)
    by_run = [(one.dataset, one.unit, run.run_id, run.releases, run.epsilon) for one in accounts for run in one.runs]
    print_table("By run (each alone: they do not add up)", ("dataset", "unit", "run", "releases", "epsilon"), by_run)
    for one in accounts:
        if one.unsettled:
            say(f"{one.dataset}: {one.unsettled} attempts were charged and never answered; they stay charged.")
        if one.epsilon_spent != one.epsilon_prv:
            say(f"{one.dataset}: PRV says {one.epsilon_prv}, PLD says {one.epsilon_pld}; the larger one is shown.")
        say(f"{one.dataset}: {_which_binds(one)}.")
        if one.in_sequence:
            say(
                f"{one.dataset}: settings that name its units were changed: train and dev compose in sequence for good."
            )


def _which_binds(account: Account) -> str:
    """Whose figure is held against the limit."""
    by = account.accountant.upper()
    if account.binds == "filter":
        return (
            f"the filter binds ({account.epsilon_filter}; {by} says {account.epsilon_spent}): it holds whatever a run "
            "chooses by what came out of an earlier one"
        )
    if account.epsilon_left_next is None or not account.first_run.planned:
        return f"{by} binds"
    if float(account.epsilon_left_next) == 0:
        return (
            f"{by} binds for run {account.first_run.run_ids[0]}, whose plan was fixed before anything came out. It was "
            f"planned up to {account.epsilon_filter} by the filter: no other run may follow it, even if it ends early"
        )
    first = account.first_run.run_ids[0]
    return (
        f"{by} binds for run {first}, whose plan was fixed before anything came out; for another run the filter does, "
        f"with {account.epsilon_left_next} left"
    )


def _draw(account: Account, plot: Path) -> None:
    from client.site.account_plot import draw
    from privacy.base.files import write_private

    write_private(plot, draw(account).encode())


def withdraw(context: typer.Context, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Close the site's data set for good: nothing is trained or counted on it any more. Its history stays."""
    from privacy.dp.ledger import Ledger

    folder = site_of(context)
    dataset = folder.settings.data.dataset
    if not yes:
        if not sys.stdin.isatty():
            raise SettingsError("a withdrawal cannot be taken back and nobody is here to agree", next_step="add --yes")
        if not typer.confirm(f"Close {dataset} for good, under every unit?", default=False):
            say("Nothing was changed.")
            return
    folder.create()
    Ledger(folder.ledger).withdraw(dataset)
    say(f"{dataset} is closed for good. Models that learnt from it before stay as they are.")
