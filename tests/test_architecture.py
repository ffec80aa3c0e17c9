# SPDX-License-Identifier: Apache-2.0
"""The house keeps its shape: who imports whom, what a process loads, how long a file is, which words cross a border."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import get_args

import pytest

from privacy.protocol.messages import ReasonCode

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("client", "coordinator", "privacy", "simulations")
CODES = set(get_args(ReasonCode))
RUNS_DATA = {"pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


OURS = list(sources(*PACKAGES))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def test_no_other_distribution_has_a_package_of_our_names() -> None:
    found = packages_distributions()
    for package in PACKAGES:
        assert set(found.get(package, ["collab"])) == {"collab"}, package


def loaded_by(modules: str) -> set[str]:
    """The top-level packages in a fresh process that imported `modules`."""
    program = f"import sys, {modules}; print('\\n'.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module", ["coordinator.app", "coordinator.cli", "coordinator.wire.superlink", "privacy.audit.cli"]
)
def test_neither_coordinator_nor_auditor_loads_a_model_library(module: str) -> None:
    assert not loaded_by(module) & {"torch", "transformers", "opacus", "presidio_analyzer", "spacy", "client"}


@pytest.mark.parametrize("modules", ["client.cli, client.site.events, client.site.reports", "privacy.audit.cli"])
def test_what_only_reads_and_tells_starts_without_the_libraries_that_compute(modules: str) -> None:
    assert not loaded_by(modules) & {"torch", "scipy", "dp_accounting", "flwr"}


@pytest.mark.slow  # no file of it imports one: the next test
def test_the_client_never_loads_the_coordinator() -> None:
    assert not loaded_by("client.site.site") & {"coordinator", "simulations"}


def test_the_imports_keep_their_contract() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_file_is_short_licensed_and_says_what_it_is_for() -> None:
    for path in (*OURS, *sources("tests")):
        text = path.read_text()
        assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n"), path
        assert ast.get_docstring(tree(path)), path
        assert text.count("\n") <= 400, path


def words(path: Path) -> Iterator[tuple[int, str]]:
    """Every literal that becomes a reason code: `reason=...`, as a default too, and what a law or coordinator says."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.keyword(arg="reason", value=value) | ast.Assign(targets=[ast.Name(id="reason")], value=value):
                yield from literals(value)
            case ast.FunctionDef(args=ast.arguments(kwonlyargs=names, kw_defaults=defaults)):
                for name, default in zip(names, defaults, strict=True):
                    if name.arg == "reason" and default is not None:
                        yield from literals(default)
            case ast.Call(func=ast.Name(id="RefusedReply" | "Fault" | "_refuse"), args=[_, value, *_]):
                yield from literals(value)
            case ast.Call(func=ast.Name(id="unless"), args=[_, _, value]):
                yield from literals(value)


def literals(node: ast.expr) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.lineno, node.value


def test_every_reason_that_is_given_anywhere_is_a_known_code() -> None:
    unknown = [f"{p.name}:{line} {word}" for p in OURS for line, word in words(p) if word not in CODES]
    assert not unknown


def test_every_known_code_is_given_somewhere() -> None:
    given = {word for path in OURS for _, word in words(path)}
    returned = {"no_reply", "bug"}  # what the exchange yields and what is said of an unforeseen error: not raised
    message_exchange = "".join(
        path.read_text() for path in (ROOT / "coordinator/wire/message_exchange.py", ROOT / "client/wire/app.py")
    )
    assert all(f'"{word}"' in message_exchange for word in returned)
    chosen = {"declined", "label_unknown"}  # what a site's people say, and what only old logs hold
    assert given | returned | chosen == CODES, (CODES - given - returned - chosen, given - CODES)


def runs_data(path: Path) -> Iterator[int]:
    """The lines of a file that take data for code."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.Import(names=names) if {name.name.split(".")[0] for name in names} & RUNS_DATA:
                yield node.lineno
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in RUNS_DATA:
                yield node.lineno
            case ast.Call(func=ast.Name(id="eval" | "exec" | "__import__" | "compile")):
                yield node.lineno
            case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="load" | "hub")):
                yield node.lineno
            case ast.keyword(arg="trust_remote_code" | "allow_pickle", value=ast.Constant(value=True)):
                yield node.value.lineno


def test_nothing_that_was_sent_is_unpickled_or_run() -> None:
    assert not [f"{path.relative_to(ROOT)}:{line}" for path in OURS for line in runs_data(path)]
