# SPDX-License-Identifier: Apache-2.0
"""The parts in docs/examples/parts: copied as they stand, each passes the conformance tests of its room."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "add-a-part.md").read_text(encoding="utf-8")
EXAMPLES = sorted((ROOT / "docs" / "examples" / "parts").glob("*.py"))
PARTS = {
    "smoothed": ("client/learning/tasks", "tests/conformance/test_tasks.py", 5),
    "capped_mean": ("privacy/aggregation", "tests/conformance/test_aggregation.py", 9),
    "hooks64": ("privacy/dp/clipping", "tests/privacy/dp/test_clipping.py", 19),
    "presidio_weekdays": ("privacy/text/find/engines", "tests/privacy/text/find/engines/test_engines.py", 15),
    "capitals": ("privacy/text/find/ner", "tests/privacy/text/find/ner/test_names_models.py", 2),
}
"""By example: the folder that it is copied into, its conformance tests, and how many of them at least must visit it."""


def test_there_is_one_example_for_each_kind_of_part_and_the_page_names_it() -> None:
    assert sorted(example.stem for example in EXAMPLES) == sorted(PARTS)
    rows = dict(re.findall(r"`([\w/]+)/NAME\.py`.*\[(\w+)\](?:\(examples/parts/\2\.py\)|\[)", PAGE))
    assert rows == {folder: name for name, (folder, _, _) in PARTS.items()}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_imports_only_what_there_is(example: Path) -> None:
    tree = ast.parse(example.read_text(encoding="utf-8"))
    ours = [
        (node.module, name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("client", "privacy")
        for name in node.names
    ]
    assert ours
    for module, name in ours:
        room = importlib.import_module(str(module))
        assert hasattr(room, name) or importlib.import_module(f"{module}.{name}")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_passes_the_conformance_tests_as_it_stands(example: Path, tmp_path: Path) -> None:
    for package in ("client", "coordinator", "privacy", "simulations", "tests"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "loopback"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    folder, tests, least = PARTS[example.stem]
    shutil.copy(example, tmp_path / folder)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, "-k", example.stem],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=880,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) >= least, done.stdout
    lint = [sys.executable, "-m", "ruff", "check", f"{folder}/{example.name}"]
    assert subprocess.run(lint, cwd=tmp_path, capture_output=True, check=False).returncode == 0
