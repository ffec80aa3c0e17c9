# SPDX-License-Identifier: Apache-2.0
"""`collab-sim leakage`: run the checks, print what each shows and cannot show, write one report.

Exit code 0 where every check holds, 4 where one does not: with --plant that is what a person wants to see.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from privacy.base.errors import IntegrityError
from privacy.base.files import write_whole
from privacy.commandline import terminal

if TYPE_CHECKING:
    from privacy.leakage.verdict import Check
    from simulations.leakage.checks import Leakage
    from simulations.leakage.subject import Plant

DEFAULT_OUT: Final = Path("out/leakage.json")

Full = Annotated[bool, typer.Option("--full/--quick", help="More audits and rows (minutes), or a minute's worth.")]
Planted = Annotated[
    str | None,
    typer.Option(
        "--plant",
        metavar="noise|sampling|seed",
        help="Plant a bug and see it caught: a tenth of the noise, every unit in every step, a seed that is known.",
    ),
]
LeakageSeed = Annotated[
    int, typer.Option(min=0, help="Drives notes, canaries, coins and noise: another seed, another draw.")
]
ReportPath = Annotated[Path, typer.Option(help="Where the report goes, as JSON.")]


def leakage_command(
    full: Full = False,
    plant: Planted = None,
    seed: LeakageSeed = 1,
    out: ReportPath = DEFAULT_OUT,
    as_json: terminal.AsJson = False,
    debug: terminal.Debug = False,
) -> int:
    """Measure what leaks: noise and sampling, a lower bound of epsilon, inversion, a matched filter, membership.

    A check that passes proves no privacy: it failed to find a leak. Ends with 4 where one fails.
    """
    import torch

    from privacy.base.randomness import PublicSeed
    from simulations.leakage.checks import FULL, QUICK, Leakage

    torch.set_num_threads(1)
    began = time.monotonic()
    out.parent.mkdir(parents=True, exist_ok=True)
    leakage = Leakage(PublicSeed.from_integer(seed), FULL if full else QUICK, _plant(plant))
    tell = (lambda sentence: None) if as_json else terminal.warn
    checks = list(leakage.run(tell))
    report = as_report(leakage, seed, checks, time.monotonic() - began)
    write_whole(out, json.dumps(report, indent=2).encode() + b"\n")
    if as_json:
        terminal.print_json(report)
    else:
        _print(checks, plant, out)
    return 0 if report["passed"] else IntegrityError.exit_code


def _plant(name: str | None) -> Plant | None:
    match name:
        case None | "noise" | "sampling" | "seed":
            return name
    raise typer.BadParameter("choose noise, sampling or seed", param_hint="--plant")


def as_report(leakage: Leakage, seed: int, checks: list[Check], seconds: float) -> dict[str, object]:
    """The report: what was claimed, what was planted, and each check with what it shows and cannot show."""
    claim = leakage.claim
    return {
        "form": leakage.extent.name,
        "seed": seed,
        "planted": leakage.plant,
        "passed": all(check.passed for check in checks),
        "claim": {
            "epsilon": claim.epsilon,
            "delta": claim.delta,
            "noise_multiplier": claim.noise_multiplier,
            "sample_rate": claim.sample_rate,
            "steps": claim.steps,
        },
        "checks": [check.as_json() for check in checks],
        "seconds": round(seconds, 1),
        "python": sys.version.split()[0],
    }


def _print(checks: list[Check], plant: str | None, out: Path) -> None:
    from privacy.leakage.verdict import MEANING

    title = "What leaks, measured" if plant is None else f"What leaks, with a bug planted: {plant}"
    rows = [(check.name, "holds" if check.passed else "FAILS", check.verdict) for check in checks]
    terminal.print_table(title, ("check", "", "what was found"), rows)
    meanings = [(check.name, MEANING[check.name].shows, MEANING[check.name].cannot_show) for check in checks]
    terminal.print_table("What that means", ("check", "shows", "cannot show"), meanings)
    failed = [check.name for check in checks if not check.passed]
    if plant is not None:
        terminal.say(f"The planted bug was caught by: {', '.join(failed)}" if failed else "The planted bug was MISSED")
    terminal.say(f"Report: {out}")
