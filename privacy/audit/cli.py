# SPDX-License-Identifier: Apache-2.0
"""collab-audit: check a coordinator's log without trusting the coordinator. Reads one folder, writes nothing.

The folder needs log.sqlite, log.vkey and blobs/ only: a copy on another machine is as good, and better. Exit codes: 0
all holds, 2 wrong usage, 4 something does not hold, 5 something is missing (an open run, blobs kept elsewhere).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from privacy.audit import replay as replaying
from privacy.audit import report as reporting
from privacy.audit import verify as verifying
from privacy.audit.findings import Finding
from privacy.audit.keys import VerifyKey
from privacy.audit.note import NoteKey
from privacy.errors import SettingsError
from privacy.terminal import AsJson, Debug, example, new_app, print_json, run, say

NAME = "collab-audit"

app = new_app(
    "Check a coordinator's audit log: who said what, in which order, at what privacy cost, and with which result.",
    example="collab-audit verify federation --key coordinator.vkey && collab-audit replay federation",
)

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="A coordinator's folder, or a copy of its log.", show_default=False)
]


@app.command(epilog=example("collab-audit verify federation --key coordinator.vkey --seen last_seen.note"))
def verify(
    folder: Folder,
    key: Annotated[
        str, typer.Option("--key", help="The log's key: a file with its vkey line, the line, or 64 hexadecimal digits.")
    ] = "",
    seen: Annotated[
        list[Path] | None,
        typer.Option("--seen", help="A file with a checkpoint that somebody kept, signed or not. May be given again."),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Check every hash, signature, proof, rule of order and claimed epsilon of
    the log.

    Each entry must be canonical, stand at its index and be covered by a
    signed checkpoint; each reply must be signed by the site that the roster
    admitted and answer the plan that was logged; each claimed epsilon is
    computed again with another accountant. A finding names the entry. Without
    --key the log's own key is believed: compare the printed fingerprint with
    the one in a site's start kit. With --seen, a checkpoint that a site kept,
    a log that was cut or rewritten is found too.
    """
    notes = [_text(path) for path in seen or []]
    report = verifying.verify(folder, expected_key=_key(key), seen=notes)
    if as_json:
        _print_report(report, report.exit_code)
        return report.exit_code
    say(f"log {report.origin}: {report.entries} entries, {report.checkpoints} checkpoints, root {report.root[:16]}")
    pinned = "as given" if report.key_pinned else "taken from the folder: compare it with a site's start kit"
    say(f"key {report.key_fingerprint} ({pinned})")
    for summary in report.runs:
        origin = "simulated" if summary.simulated else "real"
        rounds = f"{summary.rounds_aggregated} of {summary.planned_rounds} rounds aggregated"
        aborted = f", {summary.rounds_aborted} aborted" if summary.rounds_aborted else ""
        say(f"run {summary.run_id} ({origin}): {rounds}{aborted}, {'closed' if summary.closed else 'open'}")
    say(f"{report.epsilons_checked} claimed epsilons computed again, {report.blobs_checked} blobs hashed")
    _say_findings(report.findings, report.incomplete, "verified: everything holds")
    return report.exit_code


@app.command(epilog=example("collab-audit replay federation"))
def replay(folder: Folder, as_json: AsJson = False, debug: Debug = False) -> int:
    """Compute every sum and every model again from the stored payloads, and
    compare to the last bit.

    Each payload's length and l2 norm are checked in exact integers. Needs the
    blobs folder. What verify checks is not checked here: run both.
    """
    report = replaying.replay(folder)
    if as_json:
        _print_report(report, report.exit_code)
        return report.exit_code
    for run_id, digest in report.models.items():
        say(f"run {run_id}: last model {digest}")
    bounds = f"{report.updates_checked} updates within their clip norm"
    say(f"{report.rounds_replayed} of {report.rounds} rounds replayed bit for bit, {bounds}")
    _say_findings(report.findings, report.incomplete, "replayed: everything is equal")
    return report.exit_code


@app.command(epilog=example("collab-audit show federation --round 2"))
def show(
    folder: Folder,
    server_round: Annotated[
        int | None, typer.Option("--round", min=0, help="Only this round; 0 is the initial model's evaluation.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Show the log to people: runs, rounds, and what each site did at what
    epsilon.

    This prints what the entries say, unchecked: run verify and replay first.
    """
    if not as_json:
        reporting.show(folder, server_round)
        return 0
    runs = [run_table.model_dump(mode="json") for run_table in reporting.tables(folder)]
    for run_table in runs:
        run_table["rounds"] = [row for row in run_table["rounds"] if server_round in (None, row["server_round"])]
    print_json(runs)
    return 0


def _print_report(report: BaseModel, code: int) -> None:
    print_json({**report.model_dump(mode="json"), "exit_code": code})


def _say_findings(findings: Sequence[Finding], incomplete: Sequence[Finding], all_holds: str) -> None:
    for finding in findings:
        say(f"WRONG       {finding}")
    for finding in incomplete:
        say(f"INCOMPLETE  {finding}")
    if findings:
        say(f"not verified: {len(findings)} findings; keep this folder as evidence and ask the coordinator")
    elif incomplete:
        say(f"nothing wrong was found, but {len(incomplete)} things are missing")
    else:
        say(all_holds)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"the file {path.name} cannot be read", next_step="check its name") from None


def _key(given: str) -> VerifyKey | None:
    if not given:
        return None
    text = _text(Path(given)).strip() if Path(given).is_file() else given
    return NoteKey.parse(text).key if "+" in text else VerifyKey.from_hex(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point. Returns the exit code."""
    return run(app, NAME, arguments)
