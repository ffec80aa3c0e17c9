# SPDX-License-Identifier: Apache-2.0
"""`.ci/run` takes every step, ends at the first that fails, and its two suites leave no test out."""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / ".ci" / "run"
CHECKS = {"ruff check .", "ruff format --check .", "mypy", "lint-imports"}
ALLOWED = {
    "-q",
    "-n",
    "2",
    "--dist",
    "loadfile",
    "worksteal",
    "-m",
    "-ra",
    "--import-mode=importlib",
    "--strict-markers",
}
"""Words after `pytest` that leave no test out and hide neither a failure nor a reason for skipping."""


def recipe(target: str) -> list[str]:
    """The commands of a target of the Makefile."""
    (lines,) = re.findall(rf"^{target}:[^\n]*\n((?:\t[^\n]*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return [line.strip().removeprefix("$(BIN)/") for line in str(lines).splitlines()]


def test_every_step_is_taken_and_the_first_that_fails_is_the_last() -> None:
    lines = [line for line in RUN.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "set -euo pipefail"
    assert lines[-4:] == ["make setup", "make check", "make test", "make test-slow"]
    assert os.access(RUN, os.X_OK)


def test_the_checks_are_lint_form_types_and_import_contract() -> None:
    assert set(recipe("check")) == CHECKS


def test_the_two_suites_are_all_tests_and_tell_what_they_skip() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    suites = [shlex.split(command) for target in ("test", "test-slow") for command in recipe(target)]
    assert [words[0] for words in suites] == ["pytest", "pytest"]
    assert [words[words.index("-m") + 1] for words in suites] == ["not slow", "slow"]
    assert {word for words in (*suites, options["addopts"]) for word in words} <= ALLOWED | {
        "pytest",
        "not slow",
        "slow",
    }
    assert options["testpaths"] == ["tests"]
    assert "-ra" in options["addopts"]


def test_a_test_that_reads_shared_data_is_skipped_only_where_the_folder_is_not(request: pytest.FixtureRequest) -> None:
    conftest: Any = request.config.pluginmanager.get_plugin(str(ROOT / "tests" / "conftest.py"))
    in_vain = conftest.skipped_in_vain("Skipped: the shared anchors are not beside the checkout")
    assert in_vain == conftest.SHARED.is_dir()
    assert not conftest.skipped_in_vain("Skipped: the library stanza is not installed")


def test_who_skips_for_want_of_shared_data_says_so_in_the_words_that_are_watched() -> None:
    readers = [path for path in (ROOT / "tests").rglob("test_*.py") if '/ "shared"' in path.read_text()]
    assert len(readers) > 5
    assert [path.name for path in readers if "the shared " not in path.read_text()] == []
