# SPDX-License-Identifier: Apache-2.0
"""The benchmark of private training keeps its form: a quick run has every named figure, measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
NAMED = {
    "full_t64_ratio",
    "full_t128_ratio",
    "full_memory_ratio",
    "lora_ratio",
    "top2_ratio",
    "to_ghost",
    "to_hooks",
    "noise_step_share",
}


@pytest.mark.slow
def test_a_quick_run_measures_every_named_figure(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "simulations.benchmarks.dp", "--quick", "--out", tmp_path]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    report = json.loads((tmp_path / "bench-dp.json").read_text())
    rows = {row["name"]: row for row in report["rows"]}
    assert report["quick"] is True
    assert set(rows) - {"full_t64_bf16_ratio"} == NAMED
    assert all(rows[name]["value"] > 0 for name in NAMED)
    bf16 = rows["full_t64_bf16_ratio"]
    assert bf16["value"] is not None or "bf16" in bf16["note"]
