# SPDX-License-Identifier: Apache-2.0
"""`collab-sim`: one JSON object for machines, a resolved file for readers, and an exit code for each ending."""

from __future__ import annotations

from pathlib import Path

import pytest

from privacy.commandline import terminal
from privacy.commandline.settings_file import parse_toml
from simulations.cli import app
from simulations.scenario import Scenario


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["collab-sim", *arguments])
    return terminal.run(app, "collab-sim")


def test_the_list_names_every_scenario(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "list", "--json") == 0
    told = capsys.readouterr().out
    assert "three-hospitals" in told
    assert "by-source" in told


def test_the_resolved_settings_are_printed_and_nothing_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run(monkeypatch, "run", "three-hospitals", "--seed", "5", "--out", str(out), "--print-config") == 0
    printed = parse_toml(capsys.readouterr().out, Scenario, origin="printed.toml")
    assert printed.seed == 5
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [("run", "no-such"), ("run",), ("run", "three-hospitals", "--seed", "-1"), ("dance",), ("run", "by-source")],
)
def test_a_wrong_command_line_ends_with_two(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 2
