# SPDX-License-Identifier: Apache-2.0
"""Our list of faults is in step with the code, and the tests find the ten that CI makes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulations.benchmarks.mutations import load

ROOT = Path(__file__).resolve().parents[3]


ALL = list(load())


def test_there_are_a_hundred_faults_of_all_that_must_hold() -> None:
    assert len(ALL) >= 100
    assert len({mutation.label for mutation in ALL}) == len(ALL)
    assert {mutation.package for mutation in ALL} >= {"dp", "audit", "guard", "budget", "replies"}
    assert sum(mutation.quick for mutation in ALL) >= 10


@pytest.mark.parametrize("mutation", ALL, ids=lambda mutation: mutation.label)
def test_each_fault_has_its_place_once_and_tests_that_are_there(mutation: Any) -> None:
    text = (ROOT / mutation.file).read_text(encoding="utf-8")
    compile(mutation.applied(text), mutation.file, "exec")
    assert mutation.tests
    for test in mutation.tests:
        name, *inside = test.split("::")
        assert name.startswith("tests/")
        source = (ROOT / name).read_text(encoding="utf-8")
        assert all(f"def {part.split('[')[0]}(" in source for part in inside), test
    named = "".join((ROOT / test.split("::")[0]).read_text(encoding="utf-8") for test in mutation.tests)
    asked = set(mutation.select.split()) - {"and", "or", "not"}
    assert all(re.search(rf"def test_\w*{word}", named) for word in asked), mutation.select


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_ten_of_ci_are_found_and_the_tree_is_left_as_it_was(tmp_path: Path) -> None:
    before = {path: path.read_bytes() for mutation in ALL for path in [ROOT / mutation.file]}
    command = [sys.executable, "-m", "simulations.benchmarks.mutants", "--quick", "--out", tmp_path]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    report = json.loads((tmp_path / "bench-mutants.json").read_text())
    rows = {row["name"]: row for row in report["rows"]}
    assert report["quick"] is True
    assert rows["mutations_tried"]["value"] == sum(mutation.quick for mutation in ALL) >= 10
    assert rows["mutations_killed"]["value"] == 1
    assert {path: path.read_bytes() for path in before} == before
    again = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert again.returncode == 0
    assert " of " not in again.stdout.split("bench-mutants")[0], "what was kept was tried again"
