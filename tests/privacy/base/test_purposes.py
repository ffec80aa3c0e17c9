# SPDX-License-Identifier: Apache-2.0
"""No two uses of a site's secret share a stream: each purpose stands once in one list, and is read for one thing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import get_args

from privacy.base.randomness import Purpose, SecretSeed

ROOT = Path(__file__).resolve().parents[3]
PURPOSES = get_args(Purpose)
PUBLIC = {"preview"}
"""What client and privacy derive from a public seed."""


def calls(*packages: str) -> Iterator[ast.Call]:
    for package in packages:
        for file in (ROOT / package).rglob("*.py"):
            yield from (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def test_every_purpose_stands_once_and_cannot_be_another_one_with_a_run_behind_it() -> None:
    assert len(set(PURPOSES)) == len(PURPOSES)
    assert not [purpose for purpose in PURPOSES if "/" in purpose or not purpose]


def test_what_the_code_derives_is_what_the_list_holds() -> None:
    derived = {
        purpose
        for call in calls("client", "privacy")
        for at, names in ((0, {"derive"}), (1, {"KeyStream", "BlockKey", "UnitWords"}))
        if name_of(call) in names and len(call.args) > at and (purpose := literal(call.args[at]))
    }
    assert derived == set(PURPOSES) | PUBLIC


def test_each_purpose_is_exposed_for_one_thing() -> None:
    """Two readers of one purpose would share a key; one reader of two would not know which it has."""
    exposed = {
        (literal(call.func.value.args[0]), literal(call.args[0]))
        for call in calls("client", "privacy", "simulations")
        if isinstance(call.func, ast.Attribute) and call.func.attr == "expose"
        if isinstance(call.func.value, ast.Call) and name_of(call.func.value) == "derive"
        if literal(call.func.value.args[0]) is not None
    }
    assert len(exposed) > 8
    for column in zip(*exposed, strict=True):
        assert len(set(column)) == len(exposed)


def test_all_streams_of_one_site_differ() -> None:
    """From its key and from two attempts; each purpose by itself, of a run, and of any other purpose."""
    key = SecretSeed(b"\x01" * 32)
    roots = [key, *(SecretSeed.for_attempt(key, bytes([nonce]) * 32, "a" * 64) for nonce in (1, 2))]
    first = [root.derive(purpose, of) for root in roots for purpose in PURPOSES for of in ("", "run", "run/2")]
    second = [root.derive(one).derive(other) for root in roots for one, other in product(PURPOSES, repeat=2)]
    streams = [seed.expose("test") for seed in (*roots, *first, *second)]
    assert len(set(streams)) == len(streams)
