# SPDX-License-Identifier: Apache-2.0
"""collab-client report: the site's own account of its rounds, in sentences or as it was written."""

from __future__ import annotations

from typing import Annotated

import typer

from client.commands.site_option import site_of
from privacy.commandline.terminal import AsJson, example, print_json, print_table, say


def register(app: typer.Typer) -> None:
    """Add the command to collab-client's app."""
    app.command(epilog=example("collab-client --site hospital_a report --run run-1"))(report)


def report(
    context: typer.Context,
    run: Annotated[str, typer.Option(help="Only this run.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show the site's own reports of its rounds: exact figures that never left."""
    from client.site.patients import patient_epsilon_of
    from client.site.reports import SiteReports

    folder = site_of(context)
    reports = SiteReports(folder.reports)
    events = {run_id: reports.events(run_id) for run_id in reports.runs() if run in ("", run_id)}
    if as_json:
        print_json({run_id: [event.as_json() for event in lines] for run_id, lines in events.items()})
    elif not events:
        say("There is no report yet.")
    else:
        for run_id, lines in events.items():
            rows = [(event.when, event.sentence) for event in lines]
            print_table(f"Run {run_id} at {folder.name}", ("when", "what"), rows)
        if (of_patient := patient_epsilon_of(folder)) is not None:
            say(f"Mind the unit: {of_patient.sentence()}.")
