# SPDX-License-Identifier: Apache-2.0
"""collab-audit: check a coordinator's log without trusting the coordinator. Reads one folder, writes nothing into it.

The folder needs log.sqlite, log.vkey and blobs/ only: a copy on another machine is as good, and better. Exit codes: 0
all holds, 2 wrong usage, 4 something does not hold, 5 something is missing (an open run, blobs kept elsewhere).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from privacy.base.errors import SettingsError
from privacy.base.files import read_bounded
from privacy.commandline.terminal import AsJson, Debug, example, new_app, print_json, run, say

if TYPE_CHECKING:  # each command imports what it needs when it runs: `--help` waits for none of it
    from pydantic import BaseModel

    from privacy.audit.findings import AuditFinding
    from privacy.audit.verification import VerifyReport
    from privacy.log.keys import VerifyKey
    from privacy.log.note import NoteKey

NAME = "collab-audit"

_DIGITS: Final = re.compile(r"[0-9a-fA-F]{64}")
_VKEY: Final = re.compile(r"[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+")

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
    from privacy.audit import verification

    notes = [_read_text(path) for path in seen or []]
    report = verification.verify(folder, expected_key=_key(key), seen=notes)
    if as_json:
        _print_report(report, report.exit_code)
        return report.exit_code
    _say_verified(report)
    _say_findings(report.findings, report.incomplete, "verified: everything holds")
    return report.exit_code


def _say_verified(report: VerifyReport) -> None:
    """What was checked: the log, its key, its runs, and how much was computed again."""
    held = f"{counted(report.entries, 'entry', 'entries')}, {counted(report.checkpoints, 'checkpoint')}"
    say(f"log {report.origin}: {held}, root {report.root[:16]}")
    _say_key(report)
    if report.seen_held:
        say(f"{counted(report.seen_held, 'checkpoint')} kept elsewhere: continued by this log")
    for summary in report.runs:
        origin = "simulated" if summary.simulated else "real"
        rounds = f"{summary.rounds_aggregated} of {summary.planned_rounds} rounds aggregated"
        aborted = f", {summary.rounds_aborted} aborted" if summary.rounds_aborted else ""
        say(f"run {summary.run_id} ({origin}): {rounds}{aborted}, {'closed' if summary.closed else 'open'}")
    computed = f"{counted(report.epsilons_checked, 'claimed epsilon')} computed again"
    say(f"{computed}, {counted(report.blobs_checked, 'blob')} hashed")


@app.command(epilog=example("collab-audit replay federation"))
def replay(folder: Folder, as_json: AsJson = False, debug: Debug = False) -> int:
    """Compute every sum and every model again from the stored payloads, and
    compare to the last bit.

    Each payload's length and l2 norm are checked in exact integers. Needs the
    blobs folder. What verify checks is not checked here: run both.
    """
    from privacy.audit import recomputation

    report = recomputation.replay(folder)
    if as_json:
        _print_report(report, report.exit_code)
        return report.exit_code
    for run_id, digest in report.models.items():
        say(f"run {run_id}: last model {digest}")
    bounds = f"{report.updates_checked} updates within their clip norm"
    say(f"{report.rounds_replayed} of {report.rounds} rounds replayed bit for bit, {bounds}")
    _say_findings(report.findings, report.incomplete, "replayed: everything is equal")
    return report.exit_code


@app.command(epilog=example("collab-audit copy federation evidence"))
def copy(
    folder: Folder,
    to: Annotated[Path, typer.Argument(metavar="TO", help="The new folder. It must not be there.", show_default=False)],
    no_blobs: Annotated[bool, typer.Option("--no-blobs", help="Leave the blobs out: replay then needs them.")] = False,
    link_blobs: Annotated[
        bool, typer.Option("--link-blobs", help="Link the blobs instead of copying them: same disk, no room needed.")
    ] = False,
) -> None:
    """Copy a log so that the copy verifies, also while a coordinator writes.

    The copy is of one moment, whole or absent, and readable by you alone. It
    is not judged: run verify on it.
    """
    from privacy.audit.copying import copy_log

    if no_blobs and link_blobs:
        raise SettingsError("--no-blobs and --link-blobs exclude each other", next_step="give one of them")
    copied = copy_log(folder, to, "none" if no_blobs else "link" if link_blobs else "copy")
    held = f"{counted(len(copied.log.rows), 'entry', 'entries')}, {counted(len(copied.log.checkpoints), 'checkpoint')}"
    say(f"copied {held}, {counted(copied.blobs, 'blob')}")
    say(f"Next: collab-audit verify {to}")


@app.command(epilog=example("collab-audit show federation --run run-1 --round 2"))
def show(
    folder: Folder,
    run_id: Annotated[str, typer.Option("--run", help="Only this run.")] = "",
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
    from privacy.audit import report as reporting
    from privacy.audit import values

    if not as_json:
        reporting.show(folder, run_id, server_round)
        return 0
    print_json([values.of_run(run) for run in reporting.chosen(folder, run_id, server_round)])
    return 0


def _print_report(report: BaseModel, code: int) -> None:
    print_json({**report.model_dump(mode="json"), "exit_code": code})


def _say_findings(findings: Sequence[AuditFinding], incomplete: Sequence[AuditFinding], all_holds: str) -> None:
    for finding in findings:
        say(f"WRONG       {finding}")
    for finding in incomplete:
        say(f"INCOMPLETE  {finding}")
    if findings:
        how_many = counted(len(findings), "finding")
        say(f"not verified: {how_many}; keep this folder as evidence and ask the coordinator")
    elif incomplete:
        verb = "is" if len(incomplete) == 1 else "are"
        say(f"nothing wrong was found, but {counted(len(incomplete), 'thing')} {verb} missing")
    else:
        say(all_holds)


def _say_key(report: VerifyReport) -> None:
    """The log's own key, and the given one where it is another."""
    if report.key_expected is None:
        say(f"key {report.key_fingerprint} (taken from the folder: compare it with a site's start kit)")
    elif report.key_pinned:
        say(f"key {report.key_fingerprint} (as given)")
    else:
        say(f"key {report.key_fingerprint} (found: NOT the one that was given)")
        say(f"key {report.key_expected} (given)")


def counted(number: int, one: str, many: str = "") -> str:
    """`number` of things, in words that fit it."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def _read_text(path: Path) -> str:
    """A short file that its reader named. Read to a bound: a pipe is welcome, and may never end."""
    from privacy.log.note import MAX_NOTE_CHARACTERS

    try:
        return read_bounded(path, MAX_NOTE_CHARACTERS).decode()
    except UnicodeDecodeError:
        raise SettingsError(f"the file {path.name} is no text", next_step="check its name") from None


def _key(given: str) -> VerifyKey | NoteKey | None:
    """A vkey line, 64 hexadecimal digits, or a file that holds one of both."""
    from privacy.log.keys import VerifyKey
    from privacy.log.note import NoteKey

    if not given:
        return None
    if _DIGITS.fullmatch(given) is not None or _VKEY.fullmatch(given) is not None:
        text = given
    elif not Path(given).exists():
        raise SettingsError(
            f"there is no file {Path(given).name}, and it is no key itself",
            next_step="give a file with the log's vkey line, the line, or 64 hexadecimal digits",
        )
    else:
        text = _read_text(Path(given)).strip()
    return NoteKey.parse(text) if "+" in text else VerifyKey.from_hex(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point. Returns the exit code."""
    return run(app, NAME, arguments)
