# SPDX-License-Identifier: Apache-2.0
"""collab-client decline: a site's people stay away from a run. The software never decides that for them.

Whoever looks at the data and then decides says something by it, so it is to be decided before a run, or when its
opening says what is wrong with the data; to decide by what a plan asks is what ADR 30 keeps the software from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from client.commands.site_option import site_of
from privacy.base.errors import SettingsError
from privacy.commandline.terminal import example, say

if TYPE_CHECKING:
    from privacy.base.identifiers import RunId


def register(app: typer.Typer) -> None:
    """Add the command to collab-client's app."""
    app.command(epilog=example("collab-client --site hospital_a decline --run run-2"))(decline)


def decline(
    context: typer.Context,
    run: Annotated[str, typer.Option(help="The run, by its run_id.", show_default=False)],
    undo: Annotated[bool, typer.Option("--undo", help="Take part after all.")] = False,
) -> None:
    """Stay away from a run: everything that it asks is answered `declined`; nothing is read, trained or charged."""
    from client.site.state import SiteState

    folder, run_id = site_of(context), _run_id(run)
    folder.create()
    state = SiteState(folder.state)
    try:
        if undo:
            state.rejoin_run(run_id)
        else:
            state.leave_run(run_id, "declined")
        reason = state.left_run(run_id)
    finally:
        state.close()
    if reason is None:
        say(f"{folder.name} takes part in {run_id} when it is asked. To stay away: decline --run {run_id}")
    elif reason == "declined":
        back = f"decline --run {run_id} --undo"
        say(f"{folder.name} stays away from {run_id}: it answers `declined`. To take part: {back}")
    else:
        say(f"{folder.name} has no part in {run_id} already: it refused it by {reason}.")


def _run_id(text: str) -> RunId:
    from pydantic import TypeAdapter, ValidationError

    from privacy.base.identifiers import RunId

    try:
        return TypeAdapter(RunId).validate_python(text)
    except ValidationError:
        raise SettingsError(
            "this is no run's name", next_step="it has lower-case letters, digits, _ and -, at most 64"
        ) from None
