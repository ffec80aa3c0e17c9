# SPDX-License-Identifier: Apache-2.0
"""docs/audit-log.md shows how to check a log alone: what it shows runs, on a true log, and finds a changed one."""

from __future__ import annotations

import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from privacy.audit.cli import main

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE = (DOCS / "audit-log.md").read_text(encoding="utf-8")
PROGRAM = DOCS / "examples" / "check_log.py"


def run_the_program(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", PROGRAM], cwd=folder, capture_output=True, text=True, check=False)


def test_the_program_of_the_page_checks_a_log_with_the_standard_library_alone(true_log: Path) -> None:
    assert "(examples/check_log.py)" in PAGE
    imports = re.findall(r"^(?:import|from) (.*)$", PROGRAM.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name for line in imports for name in line.split(", ")} <= sys.stdlib_module_names
    result = run_the_program(true_log)
    assert (result.returncode, result.stdout) == (0, "28 entries as signed by collab/woods\n")
    with closing(sqlite3.connect(true_log / "log.sqlite")) as database, database:
        database.execute("UPDATE entries SET leaf = CAST(leaf || ' ' AS BLOB) WHERE position = 12")
    result = run_the_program(true_log)
    assert result.returncode == 1
    assert "the checkpoint of 13 entries does not hold" in result.stderr


def test_the_commands_on_the_page_run(true_log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    commands = [shlex.split(line) for line in block.splitlines()]
    assert [command[1] for command in commands] == ["copy", "verify", "replay", "show"]
    folders = {"DIR": str(true_log), "TO": str(true_log.parent / "evidence")}
    for _, *arguments in commands:
        assert main([folders.get(word, word) for word in arguments]) == 0
    assert main(["verify", folders["TO"]]) == 0
    assert capsys.readouterr().out
