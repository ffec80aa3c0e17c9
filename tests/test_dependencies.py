# SPDX-License-Identifier: Apache-2.0
"""What the packages import is declared: who installs collab has it, or is told which extra brings it."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("client", "coordinator", "privacy", "simulations")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]

NEVER_DECLARED = {
    "faker": "makes the packaged lists anew (simulations/benchmarks/name_model), from another environment",
    "gliner": "asks for an older transformers than ours: a site installs it by itself (ADR 10)",
}
"""Optional libraries that no extra can bring, and why."""

EXACT = {"opacus", "flwr", "presidio-analyzer", "phonenumbers", "rfc8785", "torch", "transformers", "dp-accounting"}
"""Subclassed, used by their internals, or numbers depend on them (ADR 10)."""


def imported() -> dict[str, set[str]]:
    """Every third-party top-level module that a file names, lazily or by `import_module`, and the files."""
    found: dict[str, set[str]] = defaultdict(set)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for name in _modules(ast.parse(path.read_text())):
                top = name.split(".")[0]
                if top not in sys.stdlib_module_names and top not in PACKAGES and top != "_typeshed":
                    found[top].add(str(path.relative_to(ROOT)))
    return found


def _modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case ast.Call(
                func=ast.Attribute(attr="import_module" | "library"), args=[ast.Constant(value=str(module)), *_]
            ):
                yield module
            case ast.Call(
                func=ast.Attribute(attr="import_module"),
                args=[ast.JoinedStr(values=[ast.Constant(value=str(module)), *_]), *_],
            ):
                yield module


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")


def declared(requirements: list[str]) -> set[str]:
    return {_name(requirement) for requirement in requirements}


_distributions = cache(packages_distributions)


def distributions_of(module: str) -> set[str]:
    known = _distributions().get(module, [module])
    return {name.lower().replace("_", "-") for name in known}


@pytest.mark.parametrize("module", sorted(imported()))
def test_every_library_that_we_import_is_declared(module: str) -> None:
    everything = declared([*PROJECT["dependencies"], *(one for extra in EXTRAS.values() for one in extra)])
    assert module in NEVER_DECLARED or distributions_of(module) & everything, sorted(imported()[module])


def test_what_is_declared_is_imported_or_named_by_what_is() -> None:
    ours = {name for module in imported() for name in distributions_of(module)}
    assert declared(PROJECT["dependencies"]) - ours == set()


def test_a_library_whose_internals_we_use_is_pinned_exactly() -> None:
    exact = {_name(requirement) for requirement in PROJECT["dependencies"] if "==" in requirement}
    assert exact >= EXACT


def test_every_dependency_is_pinned_among_the_constraints_within_what_is_declared() -> None:
    pins = dict(line.lower().replace("_", "-").split("==") for line in (ROOT / "constraints.txt").read_text().split())
    for requirement in PROJECT["dependencies"]:
        assert _name(requirement) in pins, requirement
        if "==" in requirement:
            assert requirement.endswith(f"=={pins[_name(requirement)]}"), requirement
