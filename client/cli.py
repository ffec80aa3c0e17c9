# SPDX-License-Identifier: Apache-2.0
"""collab-client: a site from its keys to its rounds. Without a command it connects and works until it is interrupted.

Heavy rooms (torch, presidio, flwr) are imported by the commands that need them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, cast

import typer

from client.commands import (
    budget_command,
    decline_command,
    ledger_command,
    review_command,
    search_command,
    text_commands,
)
from client.commands import serve as working
from client.settings.site_settings import SiteFolder
from privacy.base.errors import SettingsError, Unreachable
from privacy.base.files import write_whole
from privacy.commandline.settings_file import render
from privacy.commandline.terminal import (
    AsJson,
    Debug,
    Pinned,
    Yes,
    confirm_fingerprint,
    end,
    example,
    new_app,
    print_facts,
    print_json,
    print_table,
    say,
    say_text,
)
from privacy.commandline.terminal import run as run_command_line
from privacy.protocol.enrolment import fingerprint_of, read_start_kit
from privacy.protocol.model_request import read_request

app = new_app(
    "Take part in a federation with your own texts. They stay here: only noised, signed updates and counts leave.",
    example="collab-client --site hospital_a",
)


_OF_THE_SITE: Final = ("--site", "--sites-folder")


def now() -> datetime:
    """The time, for certificates."""
    return datetime.now(UTC)


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
    context.obj = lambda: _open(site, sites_folder)
    if print_config:
        say_text(render(_site(context).settings).rstrip())
        raise typer.Exit(0)
    if context.invoked_subcommand is None:
        if not site:
            say_text(context.get_help())
            raise typer.Exit(2)
        working.work(_site(context), now=now())


def _open(site: str, sites_folder: Path) -> SiteFolder:
    if not site:
        raise SettingsError("which site?", next_step="add --site NAME")
    if re.fullmatch(r"[a-z][a-z0-9_]{0,31}", site) is None:
        raise SettingsError("a site's name has lower-case letters, digits and underscores, at most 32")
    return SiteFolder(sites_folder / f"{site}.toml")


def _site(context: typer.Context) -> SiteFolder:
    return cast(Callable[[], SiteFolder], context.obj)()


@app.command(epilog=example("collab-client --site hospital_a enroll"))
def enroll(context: typer.Context) -> None:
    """Make the site's keys, and the enrolment file for the coordinator. To enroll again keeps the keys."""
    from client import enrolment

    folder = _site(context)
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


@app.command(epilog=example("collab-client --site hospital_a join hospital_a.json"))
def join(
    context: typer.Context,
    kit: Annotated[Path, typer.Argument(metavar="KIT", help="The start kit.", show_default=False)],
    fingerprint: Pinned = "",
    yes: Yes = False,
) -> None:
    """Join the federation of a start kit, after its fingerprint was compared with the coordinator's by telephone."""
    from client import enrolment

    folder = _site(context)
    read = read_start_kit(kit, now=now())
    enrolment.check_joinable(folder, read, now=now())
    whose = f"{read.federation}'s coordinator at {read.address}"
    confirm_fingerprint(whose, fingerprint_of(read.coordinator_key), pinned=fingerprint, yes=yes)
    enrolment.join(folder, read, now=now())
    say(f"Joined {read.federation}: {', '.join(read.roster)}. Next: collab-client --site {folder.name}")


@app.command(epilog=example("collab-client describe --task lung/model/task.json"))
def describe(
    task: Annotated[Path, typer.Option(metavar="FILE", help="model/task.json of the federation's folder.")],
    pretrained: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of a BERT; the packaged all-MiniLM-L6-v2 if not given."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to write; beside FILE if not given.")] = None,
) -> None:
    """Write model.json and initial.safetensors for a task, so that every site can check them bit for bit."""
    from client.learning.model.pretrained import packaged_folder
    from client.learning.training.contract import describe as describe_model
    from privacy.base.canonical import canonical_bytes, digest_of
    from privacy.base.identifiers import sha256
    from privacy.base.randomness import PublicSeed

    request = read_request(task)
    seed = PublicSeed.from_hex(request.public_seed)
    contract, initial = describe_model(request.task, request.training, pretrained or packaged_folder(), seed)
    folder = out or task.parent
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "initial.safetensors", initial)
    write_whole(folder / "model.json", canonical_bytes(contract))
    facts: dict[str, object] = {
        "task": contract.task.name,
        "labels": len(contract.task.labels),
        "trained values": f"{contract.size:,}",
        "pretrained digest": contract.pretrained_digest,
        "tokenizer digest": contract.tokenizer_digest,
        "contract digest": digest_of(contract),
        "initial model": sha256(initial),
    }
    print_facts(f"Wrote {folder}/model.json and initial.safetensors", facts)


@app.command(epilog=example("collab-client check --site hospital_a --task lung/model/task.json"))
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
    folder = _site(context)
    folder.check_files()
    request = None if task is None else read_request(task)
    from client import enrolment
    from client.commands import preflight as checking

    wanted = None if task is None or request is None else checking.Wanted(request, task.with_name("model.json"))
    say_progress = working.progress_line() if not as_json else lambda what, done, total: None
    found = checking.examine(folder, enrolment.site_key_if_any(folder), say_progress, wanted)
    if as_json:
        print_json(found.sections)
    else:
        for title, facts in found.sections.items():
            print_facts(title.capitalize(), facts)
        if not folder.keys.exists() or not any(folder.keys.iterdir()):
            say(f"The split will be another one once keys are made. Next: collab-client --site {folder.name} enroll")
    if not found.would_train:
        raise typer.Exit(3)


@app.command(epilog=example("collab-client --site hospital_a report --run run-1"))
def report(
    context: typer.Context,
    run: Annotated[str, typer.Option(help="Only this run.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show the site's own reports of its rounds: exact figures that never left."""
    from client.commands import event_text as telling
    from client.site.patients import patient_epsilon_of
    from client.site.reports import SiteReports

    folder = _site(context)
    reports = SiteReports(folder.reports)
    events = {run_id: reports.events(run_id) for run_id in reports.runs() if run in ("", run_id)}
    if as_json:
        print_json(events)
    elif not events:
        say("There is no report yet.")
    else:
        for run_id, lines in events.items():
            rows = [(telling.when(event), telling.sentence(event)) for event in lines]
            print_table(f"Run {run_id} at {folder.name}", ("when", "what"), rows)
        if (of_patient := patient_epsilon_of(folder)) is not None:
            say(f"Mind the unit: {of_patient.sentence()}.")


@app.command(epilog=example("collab-client --site hospital_a seen > hospital_a.seen"))
def seen(context: typer.Context) -> None:
    """Print the last checkpoint of the log that this site saw, for `collab-audit verify --seen`. It is no secret."""
    from client.enrolment import stored_kit
    from client.site.state import SiteState

    folder = _site(context)
    origin = stored_kit(folder, now=now()).log_origin
    checkpoint = SiteState(folder.state).seen(origin) if folder.state.exists() else None
    if checkpoint is None:
        raise Unreachable(
            f"{folder.name} has seen no checkpoint of {origin} yet", next_step=f"collab-client --site {folder.name}"
        )
    print(checkpoint.text(), end="")


@app.command(epilog=example("collab-client --site hospital_a replay --run run-1 --round 1"))
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

    progress = working.progress_line() if not as_json else lambda what, done, total: None
    found = Replay(_site(context), progress).round(run, server_round, model)
    if as_json:
        print_json(found.as_json())
    else:
        say(found.sentence)
        for why in found.why:
            say(f"  {why}")
    raise typer.Exit(found.exit_code)


ledger_command.register(app)
budget_command.register(app)
decline_command.register(app)
text_commands.register(app)
review_command.register(app)
search_command.register(app)


def _shown(folder: SiteFolder) -> str:
    return f"{folder.home.parent.name}/{folder.name}"


def _site_first(arguments: Sequence[str]) -> list[str]:
    """The options that name the site, moved before the command: they may stand on either side of it."""
    first, rest, words = list[str](), list[str](), iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _OF_THE_SITE:
            first += [word, *([value] if (value := next(words, None)) is not None else [])]
        else:
            (first if word.startswith(tuple(f"{name}=" for name in _OF_THE_SITE)) else rest).append(word)
    return first + rest


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point. Without `arguments` they are this process's own, and it ends here."""
    given = _site_first(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        os.umask(0o077)  # whatever our commands write is its owner's alone, whoever set the umask to what
    code = run_command_line(app, "collab-client", given)
    return end(code) if arguments is None else code


if __name__ == "__main__":
    sys.exit(main())
