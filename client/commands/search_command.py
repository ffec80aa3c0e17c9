# SPDX-License-Identifier: Apache-2.0
"""collab-client search: hyper-parameters tried on the site's own private data, after saying what that costs for good.

Registered on collab-client's own app, which imports this file; heavy rooms are imported when the command runs.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client.commands.options import takes
from client.commands.progress import progress_line
from client.commands.site_option import site_of
from privacy.base.errors import SettingsError
from privacy.commandline.terminal import AsJson, example, print_json, print_table, say

if TYPE_CHECKING:
    from client.settings.site_settings import SiteFolder
    from client.site.search import Price, Search, Trial, TrialResult


def register(app: typer.Typer) -> None:
    """Add the command to collab-client's app."""
    command = "collab-client --site hospital_a search --task lung/model/task.json --trials trials.toml"
    app.command(epilog=example(command))(search)


@dataclass(frozen=True)
class SearchOptions:
    """What `search` is told."""

    task: Annotated[Path, typer.Option(metavar="FILE", help="model/task.json of the federation's folder.")]
    trials: Annotated[Path, typer.Option(metavar="FILE", help="A TOML file with [search] and [[trials]].")]
    pretrained: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of a BERT; the packaged all-MiniLM-L6-v2 if not given."),
    ] = None
    yes: Annotated[bool, typer.Option("--yes", help="The price is known: do not ask.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would cost.")] = False
    as_json: AsJson = False


@takes(SearchOptions)
def search(context: typer.Context, options: SearchOptions) -> None:
    """Try hyper-parameters on the site's private data. Each trial is DP training: it spends epsilon, for good."""
    searching, trials = _prepare(site_of(context), options)
    price = searching.price(trials)
    if not options.as_json:
        _say_price(price)
    if options.dry_run:
        if options.as_json:
            print_json({"price": vars(price)})
    elif not _agreed(price, options):
        say("Nothing was trained, nothing was charged.")
    elif options.as_json:
        results = searching.run(trials, lambda result: None)
        print_json({"price": vars(price), "trials": [vars(result) for result in results]})
    else:
        _print(searching.run(trials, lambda result: say(_sentence(result))), price)


def _prepare(folder: SiteFolder, options: SearchOptions) -> tuple[Search, list[Trial]]:
    """The search and its trials. Nothing is read or charged yet."""
    from client import enrolment
    from client.learning.model import device
    from client.learning.model.pretrained import load_packaged, load_pretrained
    from client.site.budget import Budget
    from client.site.pipeline import SitePipeline
    from client.site.search import Search, SearchSettings
    from privacy.commandline.settings_file import load_toml
    from privacy.dp.ledger import Ledger
    from privacy.protocol.model_request import read_request

    settings = load_toml(options.trials, SearchSettings)
    identity = enrolment.load_identity(folder, now=datetime.now(UTC))
    pipeline = SitePipeline(folder, identity.site_key, progress_line(quiet=options.as_json))
    device.prepare(folder.settings.compute)
    searching = Search(folder, pipeline, Budget(Ledger(folder.ledger), folder.settings, identity, pipeline), settings)
    bert = load_packaged() if options.pretrained is None else load_pretrained(options.pretrained)
    return searching, searching.trials(read_request(options.task), bert)


def _say_price(price: Price) -> None:
    if not price.trials:
        say("All trials are done; nothing more is charged.")
        return
    say(
        f"This trains {price.trials} models on your private data (noise multiplier {price.noise_multiplier}) "
        "and counts each on your dev split."
    )
    say(
        f"It brings the data set's epsilon from {price.epsilon_before} to {price.epsilon_after} of "
        f"{price.epsilon_limit} (unit: {price.unit}, by {price.accountant}). Nothing of it comes back, whatever is "
        "found."
    )


def _agreed(price: Price, options: SearchOptions) -> bool:
    """Whether the price may be spent: it is nothing, it was agreed before, or somebody says yes now."""
    if not price.trials or options.yes:
        return True
    if options.as_json:
        raise SettingsError("with --json nobody is asked", next_step="add --yes once the price (--dry-run) is agreed")
    if not sys.stdin.isatty():
        raise SettingsError("a search spends epsilon and nobody is here to agree", next_step="add --yes")
    return typer.confirm("Spend it?", default=False)


def _sentence(result: TrialResult) -> str:
    return f"trial {result.trial}: accuracy {result.accuracy or '-'} on noised counts"


def _print(results: list[TrialResult], price: Price) -> None:
    rows = [(one.trial, one.accuracy or "-", one.macro_f1 or "-", one.counts_noise_std) for one in results]
    columns = ("trial", "accuracy", "macro-F1", "noise of a count (std)")
    print_table(f"Search: figures from noised counts on dev ({price.unit})", columns, rows)
    say("The figures carry that noise: differences within it say nothing. They stay in this site's reports/.")
