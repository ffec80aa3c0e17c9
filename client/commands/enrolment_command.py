# SPDX-License-Identifier: Apache-2.0
"""collab-client enroll and join: the site's keys, what goes to the coordinator, and the start kit that comes back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client.commands.site_option import site_of
from privacy.commandline.terminal import Pinned, Yes, confirm_fingerprint, example, say

if TYPE_CHECKING:
    from client.settings.site_settings import SiteFolder


def register(app: typer.Typer) -> None:
    """Add the commands to collab-client's app."""
    app.command(epilog=example("collab-client --site hospital_a enroll"))(enroll)
    app.command(epilog=example("collab-client --site hospital_a join hospital_a.json"))(join)


def enroll(context: typer.Context) -> None:
    """Make the site's keys, and the enrolment file for the coordinator. To enroll again keeps the keys."""
    from client import enrolment
    from privacy.protocol.enrolment import fingerprint_of

    folder = site_of(context)
    was_simulated = enrolment.keys_are_known(folder)
    had_keys = folder.keys.exists() and any(folder.keys.iterdir())
    made = enrolment.enroll(folder)
    if was_simulated:
        say(f"{folder.name} was simulated: its known keys, cache, state and reports now lie in simulated-before-*/.")
        say("Its ledger stays: what was spent is spent. New keys were made.")
    else:
        say(
            "Kept the keys that were there."
            if had_keys
            else f"Made keys in {_shown(folder)}/keys: back them up, secretly."
        )
    say(f"Fingerprint of {folder.name}: {fingerprint_of(made.keys.signing)}")
    if (advice := enrolment.bucket_advice(made.size_bucket)) is not None:
        say(advice)
    say(f"Next: send {_shown(folder)}/enrolment.json to the coordinator; nothing in it is secret.")


def _shown(folder: SiteFolder) -> str:
    return f"{folder.home.parent.name}/{folder.name}"


def join(
    context: typer.Context,
    kit: Annotated[Path, typer.Argument(metavar="KIT", help="The start kit.", show_default=False)],
    fingerprint: Pinned = "",
    yes: Yes = False,
) -> None:
    """Join the federation of a start kit, after its fingerprint was compared with the coordinator's by telephone."""
    from client import enrolment
    from privacy.protocol.enrolment import fingerprint_of, read_start_kit

    folder, now = site_of(context), datetime.now(UTC)
    read = read_start_kit(kit, now=now)
    enrolment.check_joinable(folder, read, now=now)
    whose = f"{read.federation}'s coordinator at {read.address}"
    confirm_fingerprint(whose, fingerprint_of(read.coordinator_key), pinned=fingerprint, yes=yes)
    enrolment.join(folder, read, now=now)
    say(f"Joined {read.federation}: {', '.join(read.roster)}. Next: collab-client --site {folder.name}")
