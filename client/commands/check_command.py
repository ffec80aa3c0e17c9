# SPDX-License-Identifier: Apache-2.0
"""collab-client check: what the site would take part with, shown to its own people before anybody asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.commands.progress import progress_line
from client.commands.site_option import site_of
from privacy.commandline.terminal import AsJson, example, print_facts, print_json, say


def register(app: typer.Typer) -> None:
    """Add the command to collab-client's app."""
    app.command(epilog=example("collab-client check --site hospital_a --task lung/model/task.json"))(check)


def check(
    context: typer.Context,
    task: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A task, model/task.json: what would a run on it refuse or drop?"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read and anonymize the data and show what the site would train with. Nothing leaves.

    Exit code 3: no row is left, or a run on the task would be refused.
    """
    from privacy.protocol.model_request import read_request

    folder = site_of(context)
    folder.check_files()
    request = None if task is None else read_request(task)
    from client import enrolment  # what is wrong with settings or task is said before all that loads
    from client.commands import preflight

    wanted = None if task is None or request is None else preflight.Wanted(request, task.with_name("model.json"))
    sections = preflight.examine(folder, enrolment.site_key_if_any(folder), progress_line(quiet=as_json), wanted)
    if as_json:
        print_json(sections.sections)
    else:
        for title, facts in sections.sections.items():
            print_facts(title.capitalize(), facts)
        if not folder.keys.exists() or not any(folder.keys.iterdir()):
            say(f"The split will be another one once keys are made. Next: collab-client --site {folder.name} enroll")
    if not sections.would_train:
        raise typer.Exit(3)
