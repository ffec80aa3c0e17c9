# SPDX-License-Identifier: Apache-2.0
"""The check of a GPU's step against the CPU's: it says so where there is none, and it can fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from simulations.benchmarks import gpu_check

ROOT = Path(__file__).resolve().parents[3]
CHECK = ("-m", "simulations.benchmarks.gpu_check")


def run(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )


def test_without_cuda_it_is_skipped_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_check.main([]) == 0
    assert capsys.readouterr().out.strip() == "skipped: no CUDA here"


@pytest.mark.slow
def test_the_cpu_against_itself_is_within_every_tolerance_bf16_included() -> None:
    done = run(*CHECK, "--device", "cpu")
    assert done.returncode == 0, done.stdout
    assert len(done.stdout.splitlines()) == 6
    assert "cpu fp32 clipped_sum: 0 of" in done.stdout


@pytest.mark.slow
def test_a_step_without_its_clipping_is_too_far() -> None:
    """The check can fail: gradients that one of the two does not scale."""
    program = (
        "import torch; from simulations.benchmarks import gpu_check; from privacy.dp import clipping\n"
        "right, calls = clipping.clip_factors, []\n"
        "def wrong(norms, bound):\n"
        "    calls.append(1)\n"
        "    return right(norms, bound) if len(calls) == 1 else right(norms, bound) * 1.01\n"
        "import privacy.dp.clipping.bookkeeping as bookkeeping\n"
        "bookkeeping.clip_factors = wrong\n"
        "print(gpu_check.compare(torch.device('cpu')))"
    )
    done = run("-c", program)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
    assert "fp32 clipped_sum" in next(line for line in done.stdout.splitlines() if "TOO FAR" in line)
