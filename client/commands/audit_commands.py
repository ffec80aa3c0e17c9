# SPDX-License-Identifier: Apache-2.0
"""collab-client seen and replay: what a site adds to an audit, the log as it saw it and a round trained again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from client.commands.progress import progress_line
from client.commands.site_option import site_of
from privacy.commandline.terminal import AsJson, example, print_json, say


def register(app: typer.Typer) -> None:
    """Add the commands to collab-client's app."""
    app.command(epilog=example("collab-client --site hospital_a seen > hospital_a.seen"))(seen)
    app.command(epilog=example("collab-client --site hospital_a replay --run run-1 --round 1"))(replay)


def seen(context: typer.Context) -> None:
    """Print the last checkpoint of the log that this site saw, for `collab-audit verify --seen`. It is no secret."""
    from client.enrolment import stored_kit
    from client.site.state import SiteState
    from privacy.base.errors import Unreachable

    folder = site_of(context)
    origin = stored_kit(folder, now=datetime.now(UTC)).log_origin
    checkpoint = SiteState(folder.state).seen(origin) if folder.state.exists() else None
    if checkpoint is None:
        raise Unreachable(
            f"{folder.name} has seen no checkpoint of {origin} yet", next_step=f"collab-client --site {folder.name}"
        )
    print(checkpoint.text(), end="")


def replay(
    context: typer.Context,
    run: Annotated[str, typer.Option(help="The run.", show_default=False)],
    server_round: Annotated[int, typer.Option("--round", min=1, help="The round.", show_default=False)],
    model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The round's input model, where the site keeps it no more.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a past round again and compare its digest with what was sent. Costs no epsilon; nothing leaves.

    Exit code 0: the same. 1: it differs, so the record or the data changed. 2: it cannot be compared, and why.
    """
    from client.site.replay import Replay

    replayed = Replay(site_of(context), progress_line(quiet=as_json)).round(run, server_round, model)
    if as_json:
        print_json(replayed.as_json())
    else:
        say(replayed.sentence)
        for why in replayed.why:
            say(f"  {why}")
    raise typer.Exit(replayed.exit_code)
