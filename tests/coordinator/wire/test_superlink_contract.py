# SPDX-License-Identifier: Apache-2.0
"""The contract with flwr 1.41.0: which of its inner names are used, where, and that they are there."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
INSIDERS = [
    "coordinator/wire/superlink.py",
    "coordinator/wire/network_grid.py",
    "coordinator/wire/fleet.py",
    "client/wire/transport.py",
]
PUBLIC = {"flwr.app", "flwr.clientapp", "flwr.serverapp"}


def flower_names(path: Path) -> set[tuple[str, str]]:
    """(module, name) of everything of flwr that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "flwr":
            found |= {(node.module, alias.name) for alias in node.names}
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names if alias.name.split(".")[0] == "flwr"}
    return found


def test_flwr_is_the_version_that_the_inner_names_were_read_in() -> None:
    assert version("flwr") == "1.41.0"


@pytest.mark.parametrize("file", INSIDERS)
def test_every_inner_name_is_there(file: str) -> None:
    names = flower_names(ROOT / file)
    assert len(names) > 9
    for module, name in sorted(names):
        assert hasattr(importlib.import_module(module), name), f"{module} has no {name}"


def test_nobody_else_uses_an_inner_name() -> None:
    """Of the product: a benchmark that attacks Flower from outside may know its inside."""
    packages = ("privacy", "client", "coordinator", "simulations")
    rooms = [path for package in packages for path in (ROOT / package).rglob("*.py") if "benchmarks" not in path.parts]
    assert len(rooms) > 10
    inner = {
        str(path.relative_to(ROOT)): used
        for path in rooms
        if (used := {module for module, _ in flower_names(path)} - PUBLIC)
    }
    assert set(inner) == set(INSIDERS)


@pytest.mark.parametrize("room", ["coordinator.wire.superlink", "client.wire.transport"])
def test_neither_insider_lets_flower_call_home_or_loads_a_model_library(room: str) -> None:
    code = (
        f"import {room}, os, sys; from flwr.supercore import telemetry as t;"
        "assert t.FLWR_TELEMETRY_ENABLED == '0'; assert os.environ['FLWR_DISABLE_UPDATE_CHECK'] == '1';"
        "assert not {'torch', 'ray', 'transformers', 'presidio_analyzer'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PATH": "/usr/bin:/bin"})


def test_the_parts_of_flowers_clients_that_are_replaced_are_where_they_were() -> None:
    from flwr.supercore.runtime import RuntimeHttpClient

    from coordinator.wire.loopback import local_client
    from privacy.protocol.retry import RetryPolicy

    client = local_client(RuntimeHttpClient, "127.0.0.1:1", [])
    assert isinstance(client._retry_invoker, RetryPolicy)
    assert client._client.trust_env is False
    assert client._client.follow_redirects is False
