# SPDX-License-Identifier: Apache-2.0
"""`collab-sim leakage`: one report with what each check shows and cannot show, and an exit code that tells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from privacy.commandline import terminal
from privacy.leakage.verdict import MEANING, Check
from simulations.cli import app
from simulations.leakage import checks

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["collab-sim", "leakage", *arguments])
        return terminal.run(app, "collab-sim")

    return command


def only_the_first(leakage: checks.Leakage, tell: checks.Tell) -> Iterator[Check]:
    yield leakage.noise()
    yield leakage.sampling()
    yield leakage.audit()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks that take seconds: noise, sampling and the audit."""
    monkeypatch.setattr(checks.Leakage, "run", only_the_first)
    monkeypatch.setattr(checks, "ORDINARY", 32)


@pytest.mark.usefixtures("short")
def test_an_honest_loop_ends_with_0_and_a_report(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "leakage.json").read_text())
    assert (printed["passed"], printed["planted"], printed["form"]) == (True, None, "quick")
    for check in printed["checks"]:
        assert check["shows"] == MEANING[check["check"]].shows
        assert check["cannot_show"]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("plant", "caught"),
    [
        ("noise", "noise, audit"),
        pytest.param("sampling", "sampling, audit", marks=pytest.mark.slow),  # caught: test_canary_audit.py
        pytest.param("seed", "audit", marks=pytest.mark.slow),
    ],
)
def test_a_planted_bug_ends_with_4_and_names_who_caught_it(
    run: Run, capsys: pytest.CaptureFixture[str], plant: str, caught: str
) -> None:
    assert run("--plant", plant) == 4
    told = capsys.readouterr().out
    assert f"The planted bug was caught by: {caught}" in told
    assert "cannot show" in told


@pytest.mark.parametrize("arguments", [("--plant", "dropout"), ("--seed", "-1"), ("--medium",)])
def test_a_wrong_command_line_ends_with_two(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments) == 2


@pytest.mark.slow
def test_the_quick_form_measures_everything(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json", "--seed", "2") == 0
    report = json.loads(capsys.readouterr().out)
    figures = {check["check"]: check["figures"] for check in report["checks"]}
    assert list(figures) == ["noise", "sampling", "audit", "inversion", "matching", "membership"]
    assert abs(figures["noise"]["sigma_error"]) <= 1e-3
    assert figures["audit"]["epsilon_lower"] <= figures["audit"]["epsilon_claimed"]
    assert figures["inversion"]["clipped_only_recovered"] >= 0.9
    assert figures["inversion"]["noised_recovered"] < 0.05
    assert figures["matching"]["head_0.0000001_rate"] == 1
    assert figures["matching"]["head_0.3_rate"] > 0.4 > 0.2 > figures["matching"]["head_1.5_rate"]
    assert figures["membership"]["plain_shadows_tpr"] > 0.03 > figures["membership"]["private_shadows_low"]
    assert figures["membership"]["plain_train_accuracy"] == 1.0
