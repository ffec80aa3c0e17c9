# SPDX-License-Identifier: Apache-2.0
"""collab-coordinator: a federation's folder from its making to the end of a run.

Each command imports what it needs when it runs, and `run` alone the rounds and flwr: `--help` waits for none of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacy.base.errors import Unreachable
from privacy.base.files import write_whole
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

if TYPE_CHECKING:
    from coordinator.folder import FederationFolder

app = new_app(
    "Coordinate a federation: make its folder, admit sites, run the rounds. The coordinator never sees a text.",
    example="collab-coordinator init lung --host fl.example.org",
)

Dir = Annotated[Path, typer.Argument(metavar="DIR", help="The federation's folder.", show_default=False)]


def opened(folder: Path) -> FederationFolder:
    """The federation in `folder`, its settings read when they are asked for."""
    from coordinator.folder import FederationFolder

    return FederationFolder(folder)


def now() -> datetime:
    """The time, for certificates."""
    return datetime.now(UTC)


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    print_config: Annotated[
        Path | None,
        typer.Option("--print-config", metavar="DIR", help="Print the resolved federation.toml of DIR, explained."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Options that stand before a command."""
    if print_config is not None:
        from privacy.commandline.settings_file import render

        say_text(render(opened(print_config).settings).rstrip())
    elif context.invoked_subcommand is None:
        say_text(context.get_help())
        raise typer.Exit(2)


@app.command(epilog=example("collab-coordinator init lung --host fl.example.org --host 192.0.2.7 --port 9443"))
def init(
    folder: Dir,
    host: Annotated[
        list[str], typer.Option(help="Name or address by which sites reach this machine; the first goes into kits.")
    ],
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="TCP port, TLS only. Default: that of the settings, 9443.")
    ] = None,
    name: Annotated[str, typer.Option(help="The federation's name, for good. Default: that of the folder.")] = "",
    settings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Start from this federation.toml instead of the defaults.")
    ] = None,
) -> None:
    """Make a federation's folder: a private CA, a server certificate, signing keys and an explained federation.toml."""
    from coordinator import provision
    from coordinator.settings import FederationSettings
    from privacy.commandline.settings_file import load_toml

    chosen = provision.settings_for(
        name or folder.resolve().name.lower(),
        host,
        port=port,
        base=load_toml(settings, FederationSettings) if settings else FederationSettings(),
    )
    made = provision.init(folder, hosts=host, now=now(), settings=chosen)
    say(f"Made {folder}: keys/ and pki/ are secret; back them up, and let nobody else read them.")
    say(f"Fingerprint of {made.name}'s coordinator: {made.coordinator_key().verify_key().fingerprint()}")
    say(f"Next: write {folder}/federation.toml, then collab-coordinator task {folder}, then admit the sites.")


@app.command(epilog=example("collab-coordinator task lung"))
def task(folder: Dir) -> None:
    """Write model/task.json: which first model federation.toml asks for. `collab-client describe` makes that model."""
    from privacy.base.randomness import PublicSeed
    from privacy.protocol.model_request import ModelRequest, write_request

    federation = opened(folder)
    settings = federation.settings
    seed = PublicSeed.from_integer(settings.run.public_seed)
    unit = None if settings.privacy.mode == "none" else settings.privacy.unit
    request = ModelRequest(
        task=settings.task_plan(), training=settings.training.plan(), public_seed=seed.hex(), unit=unit
    )
    path = federation.contract.with_name("task.json")
    path.parent.mkdir(exist_ok=True)
    write_request(path, request)
    say(f"Wrote {folder}/model/task.json. Next: collab-client describe --task {folder}/model/task.json")


@app.command(epilog=example("collab-coordinator plan lung"))
def plan(folder: Dir, as_json: AsJson = False) -> None:
    """Write model/plan.json: the whole run as it would be opened, for `collab-client budget --plan` at each site.

    Calibrates the noise as `run` does, and charges nobody.
    """
    from coordinator.app import outline_of
    from privacy.base.canonical import canonical_bytes

    federation = opened(folder)
    outline = outline_of(federation)
    write_whole(federation.contract.with_name("plan.json"), canonical_bytes(outline) + b"\n")
    private = outline.privacy
    facts: dict[str, object] = {
        "rounds": outline.planned_rounds,
        "steps a round": outline.num_steps,
        "sample rate": outline.sample_rate,
        "noise multiplier": private.noise_multiplier if private else None,
        "target": f"epsilon {private.target_epsilon} at delta {private.target_delta}, unit {private.unit}, by PRV"
        if private
        else "NOT private",
        "evaluations": outline.evaluations,
        "their noise multiplier": outline.evaluation_noise_multiplier,
    }
    if as_json:
        print_json(outline.model_dump(mode="json"))
        return
    print_facts(f"Wrote {folder}/model/plan.json", facts)
    say("Next: send it to the sites, who see what it costs them: collab-client --site NAME budget --plan FILE")


@app.command(epilog=example("collab-coordinator admit lung enrolment.json"))
def admit(
    folder: Dir,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The site's enrolment.json.", show_default=False)],
    fingerprint: Pinned = "",
    yes: Yes = False,
) -> None:
    """Admit a site whose fingerprint was compared by telephone, and write the signed start kits."""
    from coordinator import provision
    from privacy.protocol.enrolment import fingerprint_of, read_enrolment

    federation = opened(folder)
    enrolment = read_enrolment(file)
    confirm_fingerprint(enrolment.site, fingerprint_of(enrolment.keys.signing), pinned=fingerprint, yes=yes)
    kit = provision.admit(federation, enrolment, now=now())
    say(
        f"Admitted {enrolment.site} ({enrolment.role}, size bucket {enrolment.size_bucket}); "
        f"sites now: {', '.join(kit.roster)}."
    )
    say(f"Next: send {folder}/kits/{enrolment.site}.json to the site; nothing in it is secret.")


@app.command(epilog=example("collab-coordinator renew lung"))
def renew(
    folder: Dir,
    host: Annotated[list[str] | None, typer.Option(help="New names and addresses; the old ones if not given.")] = None,
) -> None:
    """Renew the server certificate, and those of sites that were away too long to renew their own.

    A site that is connected needs nothing new, unless the first host changes; one whose certificate ended joins again
    with its new start kit.
    """
    from coordinator import certificates, provision

    federation = opened(folder)
    certificates.renew_server(federation.pki, host or (), now=now())
    end = certificates.check(federation.pki, now=now())
    provision.write_kits(federation, now=now())
    say(
        f"The server certificate is for {', '.join(certificates.hosts(federation.pki))} and valid until {end:%Y-%m-%d}."
    )


@app.command("certificates", epilog=example("collab-coordinator certificates lung"))
def show_certificates(folder: Dir, as_json: AsJson = False) -> None:
    """List the certificates that open the door, until when, and those that were revoked."""
    from coordinator import admissions, provision

    federation = opened(folder)
    rows = [
        {"site": one.holder.site, "role": one.holder.role, "serial": f"{one.holder.serial:x}"}
        | {"valid_until": f"{one.holder.valid_until:%Y-%m-%d %H:%M}", "state": provision.state_of(one, now=now())}
        for site in provision.roster(federation)
        for one in admissions.issued(federation.door, site)
    ]
    rows += [
        {
            "site": one["site"],
            "role": "",
            "serial": one["serial"],
            "valid_until": "",
            "state": f"revoked {one['revoked']}",
        }
        for one in admissions.revoked(federation.pki)
    ]
    if as_json:
        print_json(rows)
    elif rows:
        print_table("Client certificates", tuple(rows[0]), [tuple(row.values()) for row in rows])
    else:
        say(f"No site was admitted yet. Next: collab-coordinator admit {folder} ENROLMENT")


@app.command(epilog=example("collab-coordinator revoke lung hospital_a"))
def revoke(
    folder: Dir,
    site: Annotated[str, typer.Argument(metavar="SITE", help="Whose certificates are taken back.", show_default=False)],
) -> None:
    """Take a site's certificates back: at once, on connections that are open too. `admit` gives it a new one."""
    from coordinator import admissions, provision

    federation = opened(folder)
    taken = admissions.revoke(federation.door, federation.pki, site, now=now())
    provision.write_kits(federation, now=now())
    say(f"Revoked {len(taken)} certificate(s) of {site}: {', '.join(f'{one.holder.serial:x}' for one in taken)}.")
    say(f"In a run that is open it counts as without an answer. Back in: collab-coordinator admit {folder} ENROLMENT")


@app.command(epilog=example("collab-coordinator check lung"))
def check(folder: Dir, as_json: AsJson = False) -> None:
    """Tell whether the folder is ready to run: settings, keys, certificates, roster, model, disk. Changes nothing."""
    from coordinator import readiness

    findings = readiness.examine(opened(folder), now=now())
    rows = [(finding.what, "ok" if finding.problem is None else "NOT READY", finding.detail) for finding in findings]
    if as_json:
        print_json([{"what": what, "ready": state == "ok", "detail": detail} for what, state, detail in rows])
    else:
        print_table("Readiness", ("what", "state", "detail"), rows)
    for finding in findings:
        if finding.problem is not None:
            raise finding.problem


@app.command(epilog=example("collab-coordinator run lung"))
def run(folder: Dir) -> None:
    """Run the rounds over the network, from wherever the log stands to the end. Start it again to go on."""
    from coordinator import readiness, status

    for finding in readiness.examine(opened(folder), now=now()):
        if finding.problem is not None:
            raise finding.problem
    from coordinator import app as rounds

    teller = status.Teller(status.read_entries(folder))
    closed = rounds.run(folder, lambda entry: _say_now(teller.sentence(entry)), on_event=_say_now)
    if closed.outcome == "early":
        say("The run ended early: the figures of its last evaluations rose no more (rounds.patience).")
    planned = opened(folder).settings.training.rounds
    if closed.outcome == "done" and closed.rounds_aggregated < planned:
        say(
            f"The run closed {planned - closed.rounds_aggregated} of its {planned} rounds short: they were aborted. "
            "They are not made up for: sites paid for them, and the noise was planned for no more."
        )
    if closed.outcome == "stopped":
        raise Unreachable("the run was stopped before its last round", next_step=f"collab-coordinator status {folder}")
    say(f"Next: collab-audit verify {folder}")


@app.command("status", epilog=example("collab-coordinator status lung --json"))
def show_status(folder: Dir, as_json: AsJson = False) -> None:
    """Show where each run stands, from the log alone; works while a run is going on."""
    from coordinator import status
    from privacy.protocol.run import runs

    of_log = runs(status.read_entries(opened(folder).root))
    summaries = [status.summary(run) for run in of_log.values()]
    if as_json:
        print_json(summaries)
        return
    if not summaries:
        say(f"No run was opened yet. Next: collab-coordinator run {folder}")
    for held in summaries:
        _print_summary(held)


def _print_summary(held: dict[str, Any]) -> None:
    """One run for people, each figure with its noise; then its sites."""
    from coordinator import status

    sites = held.pop("sites")
    for name in ("accuracy", "macro_f1"):
        held[name] = status.told(held[name], held.pop(f"{name}_std"))
    print_facts(f"Run {held['run_id']}", {name.replace("_", " "): value for name, value in held.items()})
    columns = ("site", "ready", "left", "updates", "refusals", "epsilon_of_run", "unit")
    rows = [[site[column] for column in columns] for site in sites]
    print_table("Sites", [column.replace("_", " ") for column in columns], rows)


def _say_now(sentence: str) -> None:
    say(f"{datetime.now().astimezone():%H:%M:%S}  {sentence}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point. Without `arguments` they are this process's own, and it ends here."""
    if arguments is None:
        os.umask(0o077)  # whatever our commands write is its owner's alone, whoever set the umask to what
    code = run_command_line(app, "collab-coordinator", arguments)
    return end(code) if arguments is None else code


if __name__ == "__main__":
    sys.exit(main())
