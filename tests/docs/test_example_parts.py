# SPDX-License-Identifier: Apache-2.0
"""The parts that docs/add-a-part.md shows: pasted as they stand, each passes the conformance tests of its room."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "add-a-part.md").read_text(encoding="utf-8")
DIFFS = re.findall(r"^```diff\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
TESTS = {
    "client/learning/tasks": ("tests/conformance/test_tasks.py", 5),
    "privacy/aggregation": ("tests/conformance/test_aggregation.py", 9),
    "privacy/dp/clipping": ("tests/privacy/dp/test_clipping.py", 19),
    "privacy/text/find/engines": ("tests/privacy/text/find/engines/test_engines.py", 15),
    "privacy/text/find/ner": ("tests/privacy/text/find/ner/test_names_models.py", 2),
}
"""By folder: its conformance tests, and how many of them at least must have visited the new file."""


def file_of(diff: str) -> Path:
    (path,) = re.findall(r"^\+\+\+ b/(.*)$", diff, re.MULTILINE)
    return Path(path)


def test_there_is_one_example_for_each_kind_of_part() -> None:
    assert sorted(str(file_of(diff).parent) for diff in DIFFS) == sorted(TESTS)
    assert all(file_of(diff).stem in re.sub(r"^```diff.*?^```", "", PAGE, flags=re.M | re.S) for diff in DIFFS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("diff", DIFFS, ids=lambda diff: file_of(diff).stem)
def test_an_example_passes_the_conformance_tests_as_pasted(diff: str, tmp_path: Path) -> None:
    for package in ("client", "coordinator", "privacy", "simulations", "tests"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "loopback"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=diff, text=True, check=True)
    new = file_of(diff)
    tests, least = TESTS[str(new.parent)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, "-k", new.stem],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=880,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) >= least, done.stdout
    lint = [sys.executable, "-m", "ruff", "check", str(new)]
    assert subprocess.run(lint, cwd=tmp_path, capture_output=True, check=False).returncode == 0
