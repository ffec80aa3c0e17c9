# SPDX-License-Identifier: Apache-2.0
"""How the house is built: rooms, floors and arrows from the imports, long functions, doubled names, words, start times.

    python -m simulations.benchmarks.house [--quick] [--suite] [--commit COMMIT] [--out DIR]
    python -m simulations.benchmarks.house picture [PACKAGE] [--json] [--commit COMMIT]

`picture` prints each package's floors, the highest first, with what each room imports. With `--commit` an earlier tree
is measured, taken out of git into a temporary folder: the same rule before and after a move. `--suite` also times the
quick suite, and runs it ten times beside eight busy processes; what was measured is kept in the --out folder and not
measured again. tests/test_house.py holds the figures as law.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from simulations.benchmarks.code_size import CodeSize, code_size, docs_words
from simulations.benchmarks.floor_plan import PACKAGES, Plan, house_plan, package_plan
from simulations.benchmarks.report import ROOT, Row, of_repeats, write_report

COMMANDS = {
    "collab-client": "client.cli",
    "collab-coordinator": "coordinator.cli",
    "collab-audit": "privacy.audit.cli",
    "collab-sim": "simulations.cli",
}
REACH = {
    "client": {"rooms": "<= 12", "floors": "<= 7", "arrows": "<= 30", "arrows_back_up": "0"},
    "privacy": {"rooms": "<= 20", "floors": "<= 7", "arrows": "<= 60", "arrows_back_up": "0", "circles": "0"},
}
KIND_TEST = "tests/privacy/protocol/test_new_kind.py"
KEPT_TREE = ("client", "coordinator", "privacy", "simulations", "benchmarks", "docs")


@contextmanager
def tree_of(commit: str | None) -> Iterator[Path]:
    """The folder of the tree: this checkout, or `commit` in a folder that goes away."""
    if commit is None:
        yield ROOT
        return
    names = subprocess.run(
        ["git", "ls-tree", "--name-only", commit], cwd=ROOT, capture_output=True, text=True, check=True
    )
    folders = [name for name in KEPT_TREE if name in names.stdout.split()]
    archive = subprocess.run(["git", "archive", commit, *folders], cwd=ROOT, capture_output=True, check=True).stdout
    with tempfile.TemporaryDirectory() as temporary:
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            packed.extractall(temporary, filter="data")
        yield Path(temporary)


def plans(root: Path, packages: tuple[str, ...] = ("house", *PACKAGES)) -> list[Plan]:
    return [house_plan(root) if package == "house" else package_plan(root, package) for package in packages]


def plan_rows(plan: Plan) -> list[Row]:
    figures = {
        "rooms": plan.rooms,
        "floors": len(plan.floors),
        "arrows": len(plan.arrows),
        "arrows_back_up": len(plan.back_up),
        "circles": len(plan.circles),
    }
    reach = REACH.get(plan.package, {})
    return [
        Row(f"{plan.package}_{name}", figure, name.replace("_", " "), reach.get(name, ""))
        for name, figure in figures.items()
    ]


def code_rows(size: CodeSize) -> list[Row]:
    def row(name: str, places: Mapping[str, int], reach: str) -> Row:
        beside = {"percent": round(100 * len(places) / size.functions, 2), "worst": max(places.values(), default=0)}
        return Row(
            name, len(places), "functions", reach, beside=beside, note="; ".join(places if len(places) < 6 else [])
        )

    arguments_reach = f"<= {int(0.003 * size.functions)} (.3 %)"
    doubled = ", ".join(size.doubled) if len(size.doubled) < 9 else ""
    return [
        Row("functions", size.functions, "functions"),
        row("long_functions", size.long, "0"),
        row("functions_of_over_6_arguments", size.many_arguments, arguments_reach),
        row("complex_functions", size.complex, "<= 30, none over 15"),
        row("functions_of_complexity_over_15", size.too_complex, "0"),
        Row("functions_with_vague_locals", len(size.vague), "functions"),
        Row("type_names_with_two_meanings", len(size.doubled), "names", "0", note=doubled),
    ]


def words_row(root: Path) -> Row:
    written, generated = docs_words(root)
    note = "*.md under docs/; `generated`: tables that a command writes"
    return Row("docs_words", written, "words", "<= 20,000", beside={"generated": generated}, note=note)


def help_rows(root: Path, repeats: int) -> list[Row]:
    rows = []
    for command, module in COMMANDS.items():
        seconds = [help_cpu_seconds(root, command, module) for _ in range(repeats + 1)][1:]  # the first fills caches
        rows.append(of_repeats(f"help_{command}_cpu_seconds", seconds, "s", reach="<= .3"))
    return rows


def help_cpu_seconds(root: Path, command: str, module: str) -> float:
    """User and system seconds of a fresh process that prints the command's --help."""
    program = f"import sys; sys.argv[0] = {command!r}; from {module} import main; main()"
    environment = os.environ | {"PYTHONPATH": str(root), "COLUMNS": "120"}
    process = subprocess.Popen(
        [sys.executable, "-c", program, "--help"], stdout=subprocess.DEVNULL, cwd=root, env=environment
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command} --help ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def next_action_rows() -> list[Row]:
    """What the coordinator's next step costs after so many rounds, where the tree can measure it."""
    name = "simulations.benchmarks.next_action"
    if find_spec(name) is None:
        return [Row("next_action_1000_rounds_ms", None, "ms", "<= 1, flat", note="this tree has no measurement of it")]
    milliseconds = importlib.import_module(name).next_action_milliseconds
    beside = {"at_100_rounds": round(milliseconds(100), 4)}
    return [Row("next_action_1000_rounds_ms", round(milliseconds(1000), 4), "ms", "<= 1, flat", beside=beside)]


def new_kind_row() -> Row:
    """One, where the test passes that adds an entry kind as one file in a temporary folder."""
    name, reach = "files_a_new_entry_kind_touches", "1 and its test"
    if not (ROOT / KIND_TEST).exists():
        return Row(name, None, "files", reach, note="no test adds a kind yet")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", KIND_TEST], cwd=ROOT, capture_output=True, check=False)
    note = f"{KIND_TEST} {'passes' if done.returncode == 0 else 'fails'}"
    return Row(name, 1 if done.returncode == 0 else None, "files", reach, note=note)


def picture(arguments: argparse.Namespace) -> None:
    with tree_of(arguments.commit) as root:
        drawn = plans(root, (arguments.package,) if arguments.package else ("house", *PACKAGES))
    if arguments.json:
        print(json.dumps([asdict(plan) for plan in drawn], indent=1))
    else:
        print("\n\n".join("\n".join(plan.lines()) for plan in drawn))


def measure(arguments: argparse.Namespace) -> None:
    start = time.perf_counter()
    with tree_of(arguments.commit) as root:
        rows = [row for plan in plans(root) for row in plan_rows(plan)]
        rows += [*code_rows(code_size(root)), words_row(root)]
        rows += help_rows(root, 1 if arguments.quick else 5)
    if arguments.commit is None:
        rows += [new_kind_row(), *next_action_rows()]
    if arguments.suite:
        from simulations.benchmarks.suite_time import suite_rows

        rows += suite_rows(arguments.out)
    name = "house" if arguments.commit is None else f"house-{arguments.commit}"
    write_report(name, rows, seconds=time.perf_counter() - start, quick=arguments.quick, out=arguments.out)


def main() -> None:
    parser = argparse.ArgumentParser(description="rooms, floors and arrows of the house, and the size of what is in it")
    parser.add_argument("--commit", help="measure this commit's tree instead of the checkout")
    parser.add_argument("--quick", action="store_true", help="each --help once")
    parser.add_argument(
        "--suite", action="store_true", help="time the quick suite, also ten times beside busy processes"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "out")
    parser.set_defaults(run=measure)
    picturing = parser.add_subparsers().add_parser("picture", help="print each floor with its rooms and arrows")
    picturing.add_argument("package", nargs="?", choices=("house", *PACKAGES))
    picturing.add_argument("--json", action="store_true")
    picturing.add_argument("--commit", default=argparse.SUPPRESS)
    picturing.set_defaults(run=picture)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
