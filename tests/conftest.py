# SPDX-License-Identifier: Apache-2.0
"""What holds for every test: one torch thread a process, and no skipping for want of data that is there.

By default each process takes a thread a core, and threads that wait for each other spin: with two workers on two cores,
a test of 2 seconds took a minute. What is computed does not change: a site sets its threads by `compute.threads` (1
unless it says otherwise), and a test that is about threads sets them itself. Set here, before anything imports torch.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from simulations.tiny_bert import WORDS, write_tiny_bert

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

SHARED = Path(__file__).resolve().parents[1] / ".." / "shared"


def skipped_in_vain(reason: str) -> bool:
    """Whether a test was skipped because "the shared ..." is missing, while that folder is beside the checkout."""
    return "the shared " in reason and SHARED.is_dir()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and skipped_in_vain(report.longrepr[2]):
        report.outcome, report.longrepr = "failed", f"../shared is there, but {report.longrepr[2]}"
    return report


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("pretrained") / "tiny")


@pytest.fixture(scope="session")
def tiny_words() -> tuple[str, ...]:
    """Words that are one piece each of the tiny BERT's tokenizer."""
    return WORDS
