# SPDX-License-Identifier: Apache-2.0
"""A command that takes its options as one value looks to Typer like one that takes them one by one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from client.commands.options import takes


@dataclass(frozen=True)
class Tried:
    file: Annotated[Path, typer.Option(metavar="FILE", help="What is read.")]
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 3
    import_: Annotated[str | None, typer.Option("--import", help="What comes in.")] = None
    loud: Annotated[bool, typer.Option("--loud", help="Say it.")] = False


TAKEN: list[Tried] = []
APP = typer.Typer()


@APP.command()
@takes(Tried)
def attempt(context: typer.Context, options: Tried) -> None:
    """Try it."""
    assert context.command.name == "attempt"
    TAKEN.append(options)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--file", "a"], Tried(Path("a"))),
        (["--file", "a", "--count", "5", "--import", "b", "--loud"], Tried(Path("a"), 5, "b", True)),
    ],
)
def test_options_arrive_as_one_value_with_their_defaults(words: list[str], options: Tried) -> None:
    TAKEN.clear()
    assert CliRunner().invoke(APP, words).exit_code == 0
    assert [options] == TAKEN


@pytest.mark.parametrize("words", [[], ["--file", "a", "--count", "0"], ["--file", "a", "--other"]])
def test_what_is_missing_too_small_or_unknown_is_refused(words: list[str]) -> None:
    assert CliRunner().invoke(APP, words).exit_code == 2


def test_name_help_and_metavars_are_the_commands_and_the_fields() -> None:
    shown = CliRunner().invoke(APP, ["--help"]).output
    for word in ("Try it.", "FILE", "What is read.", "How many.", "--import", "[required]", "[default: 3]"):
        assert word in shown
