# SPDX-License-Identifier: Apache-2.0
"""collab-client: a site from its keys to its rounds. Without a command it connects and works until it is interrupted.

Only what a command line needs is imported here: settings, the protocol and the heavy rooms (torch, presidio, flwr) by
the command that works with them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from client.commands import (
    audit_commands,
    budget_command,
    check_command,
    decline_command,
    describe_command,
    enrolment_command,
    ledger_command,
    report_command,
    review_command,
    search_command,
    text_commands,
)
from client.commands.site_option import open_site, site_first, site_of
from privacy.commandline.terminal import Debug, end, new_app, say_text
from privacy.commandline.terminal import run as run_command_line

app = new_app(
    "Take part in a federation with your own texts. They stay here: only noised, signed updates and counts leave.",
    example="collab-client --site hospital_a",
)


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    site: Annotated[str, typer.Option(help="The site's name: its settings are sites/NAME.toml.")] = "",
    sites_folder: Annotated[Path, typer.Option(help="Where the sites' settings lie.")] = Path("sites"),
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the site's resolved settings, explained.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Options that stand before a command."""
    context.obj = lambda: open_site(site, sites_folder)
    if print_config:
        from privacy.commandline.settings_file import render

        say_text(render(site_of(context).settings).rstrip())
        raise typer.Exit(0)
    if context.invoked_subcommand is None:
        if not site:
            say_text(context.get_help())
            raise typer.Exit(2)
        from client.commands import serve

        serve.work(site_of(context), now=datetime.now(UTC))


enrolment_command.register(app)
describe_command.register(app)
check_command.register(app)
report_command.register(app)
audit_commands.register(app)
ledger_command.register(app)
budget_command.register(app)
decline_command.register(app)
text_commands.register(app)
review_command.register(app)
search_command.register(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point. Without `arguments` they are this process's own, and it ends here."""
    given = site_first(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        os.umask(0o077)  # whatever our commands write is its owner's alone, whoever set the umask to what
    code = run_command_line(app, "collab-client", given)
    return end(code) if arguments is None else code


if __name__ == "__main__":
    sys.exit(main())
