# SPDX-License-Identifier: Apache-2.0
"""`collab-sim`: rehearse a whole federation on one machine, with the code that real sites and coordinators run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from privacy.base.files import write_whole
from privacy.commandline import terminal
from simulations.leakage.command import leakage_command

app = terminal.new_app(
    "Rehearse a federation on one machine: many sites, one coordinator, the same code, log and checks as for real.",
    example="collab-sim run three-hospitals",
)

ScenarioName = Annotated[
    str, typer.Argument(help="A scenario's name (see `collab-sim list`), or the path of a TOML file.")
]
SimulationFolder = Annotated[
    Path | None, typer.Option(help="Folder for sites, coordinator and results. Default: out/NAME.")
]
Data = Annotated[
    Path | None, typer.Option(help="Folder with train.jsonl and test.jsonl, for scenarios that need rows.")
]
ScenarioSeed = Annotated[
    int | None, typer.Option(min=0, help="Another seed than the scenario's: other texts, keys and noise.")
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Remove an earlier simulation in the folder first.")]
PrintConfig = Annotated[bool, typer.Option("--print-config", help="Print the resolved settings as TOML, run nothing.")]


@app.command("run", epilog=terminal.example("collab-sim run three-hospitals --seed 2 --out out/second --json"))
def run_command(
    name: ScenarioName,
    out: SimulationFolder = None,
    data: Data = None,
    seed: ScenarioSeed = None,
    fresh: Fresh = False,
    as_json: terminal.AsJson = False,
    print_config: PrintConfig = False,
    debug: terminal.Debug = False,
) -> None:
    """Run a scenario to its end, verify its log, replay its rounds.

    An interrupted run goes on where it was when the same command is given again.
    """
    from simulations import scenario as scenarios

    scenario = scenarios.load(name)
    if seed is not None:
        scenario = scenario.model_copy(update={"seed": seed})
    if print_config:
        from privacy.commandline.settings_file import render

        print(render(scenario), end="")
        return
    from simulations.build import build
    from simulations.display import Display, print_outcome
    from simulations.federation import Federation, results_file

    folder = out if out is not None else Path("out") / Path(name).stem
    built = build(scenario, folder, data, fresh=fresh)
    progress = Display(sorted(built.sites), quiet=as_json)
    with progress.shown():
        outcome = Federation(built, progress.site_did).run(progress.logged)
    write_whole(results_file(folder), json.dumps(outcome.as_json(), indent=2).encode() + b"\n")
    if as_json:
        terminal.print_json(outcome.as_json())
    else:
        print_outcome(outcome)


@app.command("list", epilog=terminal.example("collab-sim list --json"))
def list_command(as_json: terminal.AsJson = False, debug: terminal.Debug = False) -> None:
    """The scenarios that come with collab."""
    from simulations import scenario as scenarios

    listed = [(name, scenarios.load(name)) for name in scenarios.names()]
    if as_json:
        terminal.print_json([{"name": name, "title": one.title} for name, one in listed])
        return
    terminal.print_table("Scenarios", ("name", "what it is"), [(name, one.title) for name, one in listed])


app.command("leakage", epilog=terminal.example("collab-sim leakage --plant noise"))(leakage_command)


def main() -> None:
    """Entry point."""
    terminal.end(terminal.run(app, "collab-sim"))
