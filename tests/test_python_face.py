# SPDX-License-Identifier: Apache-2.0
"""The face for Python (docs/python.md): cheap to import, typed, and changed by nobody who did not mean to.

A signature that changes here is a change for the CHANGELOG: a minor version while collab is 0.x, a major one after.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
FACE = {
    "client": ["Site"],
    "privacy.audit": ["NoteKey", "ReplayReport", "VerifyKey", "VerifyReport", "replay", "verify"],
    "privacy.text": ["AnonymizationReport", "AnonymizedRecord", "Anonymizer", "TextRow", "TextSettings"],
    "simulations": ["Federation", "Outcome", "Scenario"],
}


def public(package: str, name: str) -> list[str]:
    """A line for a function, for each public method of a class and for each field of a value."""
    thing, whole = getattr(importlib.import_module(package), name), f"{package}.{name}"
    if not inspect.isclass(thing):
        return [f"{whole}{inspect.signature(thing)}"]
    lines = [f"{whole}.{field}: {of}" for field, of in annotations(thing).items()]
    for method in sorted(vars(thing)):
        found = getattr(thing, method)
        if method.startswith(("_", "model_")):
            continue
        if isinstance(found, property):
            lines.append(f"{whole}.{method} -> {inspect.signature(found.fget).return_annotation!r}")  # type: ignore[arg-type]
        elif callable(found):
            lines.append(f"{whole}.{method}{inspect.signature(found)}")
    return [re.sub(r"<function .*? at 0x\w+>", "...", line) for line in lines]


def annotations(thing: type) -> dict[str, str]:
    """The public fields of a value, as they are written in its class."""
    written = inspect.get_annotations(thing)
    return {name: of for name, of in written.items() if not name.startswith(("_", "model_"))}


@pytest.mark.parametrize("package", FACE)
def test_a_package_names_its_public_names_and_no_other(package: str) -> None:
    assert importlib.import_module(package).__all__ == FACE[package]
    with pytest.raises(AttributeError, match="no attribute 'Nonesuch'"):
        importlib.import_module(package).Nonesuch  # noqa: B018


def test_signatures_are_what_was_promised() -> None:
    lines = [line for package, names in FACE.items() for name in names for line in public(package, name)]
    assert "\n".join(lines) == (ROOT / "tests" / "python_face.txt").read_text().strip()


def test_importing_the_face_loads_no_library() -> None:
    """Only the standard library and our own few lines: no time is measured, as nothing is there that takes any."""
    program = f"""
import sys
before = set(sys.modules)
import {", ".join(FACE)}, simulations.pytest_plugin
ours = [name for name in sys.modules if name.split(".")[0] in ("client", "coordinator", "privacy", "simulations")]
assert len(ours) < 12, ours
loaded = {{name.split(".")[0] for name in set(sys.modules) - before - set(ours)}} - sys.stdlib_module_names
assert not loaded - {{"pytest", "_pytest", "pluggy", "iniconfig", "packaging", "py", "pygments"}}, loaded
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", ["client", "coordinator", "privacy", "simulations"])
def test_a_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


@pytest.mark.slow
def test_the_examples_of_the_page_are_typed(tmp_path: Path) -> None:
    """By mypy as strict as it can be, in a folder that is not ours; of the libraries below, nothing is read."""
    (tmp_path / "mine.py").write_text("\n".join(EXAMPLES))
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nignore_missing_imports = True\nfollow_imports = silent\n"
        "[mypy-torch.*,transformers.*,flwr.*,spacy.*,numpy.*,scipy.*,pyarrow.*]\nfollow_imports = skip\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setenv("MYPYPATH", str(ROOT))
        said, trouble, code = api.run(["--strict", "mine.py"])
    assert code == 0, said + trouble


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_examples_of_the_page_run_in_an_empty_folder(tmp_path: Path) -> None:
    done = run(["-c", "\n".join(EXAMPLES)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"epsilon [\d.]+ of 8 for one patient, by prv", done.stdout)
    assert "Quenby" not in done.stdout.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_fixture_gives_a_test_its_own_federation(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "import pytest\n\n"
        "def test_whole(federation):\n    assert federation.run().log.verified\n\n"
        "@pytest.mark.federation('two-hospitals', seed=3)\n"
        "def test_another(federation):\n    assert federation.built.scenario.seed == 3\n"
    )
    plugin = [] if "collab" in declared_plugins() else ["-p", "simulations.pytest_plugin"]
    done = run(["-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider", *plugin], tmp_path)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def declared_plugins() -> set[str]:
    from importlib.metadata import entry_points

    return {one.name for one in entry_points(group="pytest11")}


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
