# SPDX-License-Identifier: Apache-2.0
"""bench-hostile knows every attack's tests and keeps its form; what it measures is not repeated here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulations.benchmarks.attacks import ATTACKS

ROOT = Path(__file__).resolve().parents[3]


def test_every_attack_has_tests_and_each_of_them_is_there() -> None:
    assert len(ATTACKS) == 20
    for tests in dict(ATTACKS).values():
        assert tests
        for test in tests:
            path, _, name = test.partition("::")
            text = (ROOT / path).read_text()
            assert f"def {name}(" in text if name else "def test_" in text, test


@pytest.mark.slow
def test_the_quick_form_writes_the_rows_that_are_asked_for(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "simulations.benchmarks.hostile",
        "--quick",
        "--out",
        str(tmp_path),
        "--only",
        "noise",
        "pairs",
        "neighbours",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    report = json.loads((tmp_path / "bench-hostile.json").read_text())
    rows = {row["name"]: row for row in report["rows"]}
    assert report["quick"]
    assert rows["pair_distance_worst"]["value"] <= 1
    assert (rows["neighbour_plans_tried"]["value"], rows["neighbour_differences"]["value"]) == (100, 0)
    assert {"accuracy_std_medquad", "accuracy_std_banking77", "accuracy_std_mtsamples"} <= rows.keys()
