# SPDX-License-Identifier: Apache-2.0
"""Figures of the docs: take a bench's report into docs/figures, write the tables, or say where pages differ.

    python -m simulations.benchmarks.figures [--take out/bench-NAME.json ...] [--write]

Without `--write` nothing is changed but what is taken; it exits with 1 and names each page and table that differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from simulations.benchmarks.figures.files import load, take
from simulations.benchmarks.figures.pages import differences, problems
from simulations.benchmarks.report import ROOT


def main(arguments: Sequence[str] | None = None) -> int:
    """Take, write, and tell what is left."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--take", nargs="+", type=Path, default=[], metavar="FILE", help="a report of a whole run")
    doing = parser.add_mutually_exclusive_group()
    doing.add_argument("--write", action="store_true", help="write tables and pages of figures anew")
    doing.add_argument("--check", action="store_true", help="only say what differs (so it is without --write)")
    given = parser.parse_args(arguments)
    try:
        for report in given.take:
            print(f"taken: {take(report).relative_to(ROOT)}")
        if given.write:
            _write()
        differing = problems()
    except (KeyError, ValueError) as error:  # a table names a figure that is gone, a file is not in its form
        differing = [str(error.args[0])]
    for problem in differing:
        print(problem, file=sys.stderr)
    return 1 if differing else 0


def _write() -> None:
    for path, text, what in list(differences(load())):
        path.write_text(text, encoding="utf-8") if text else path.unlink()
        print(f"{path.relative_to(ROOT)}: {what}")


if __name__ == "__main__":
    sys.exit(main())
