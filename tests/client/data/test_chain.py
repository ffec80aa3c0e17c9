# SPDX-License-Identifier: Apache-2.0
"""One chain anonymizes a site's rows, and one module builds it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CHAIN = "client/data/chain.py"
LINKS = {"Anonymizer", "Anonymizer.load", "SpanCache", "SurrogateKey", "engines.load", "load_corpus", "unit_table"}
"""What is called to build a link of the chain: which rows, which engine, which cache, which key."""
PURPOSES = {"span-cache", "surrogates"}
"""Keys that no other module may derive."""


def built_in(source: str) -> Iterator[str]:
    """The links that a module builds, under whatever name it imported them."""
    tree = ast.parse(source)
    imported = {
        name.asname or name.name: f"{node.module}.{name.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        first, *rest = ast.unparse(node.func).split(".")
        called = ".".join((imported.get(first, first), *rest))
        yield from (link for link in LINKS if f".{called}".endswith(f".{link}"))
        if rest[-1:] == ["derive"] and isinstance(node.args[0], ast.Constant) and node.args[0].value in PURPOSES:
            yield node.args[0].value


def modules() -> Iterator[Path]:
    """All of the client, and what of the simulations has a site; the benchmarks of texts alone have none."""
    yield from (ROOT / "client").rglob("*.py")
    for path in (ROOT / "simulations").rglob("*.py"):
        if "client.site" in path.read_text():
            yield path


def test_one_module_alone_builds_the_chain() -> None:
    found = {str(path.relative_to(ROOT)): set(built_in(path.read_text())) for path in modules()}
    assert {path for path, links in found.items() if links} == {CHAIN}
    assert found[CHAIN] == LINKS - {"Anonymizer.load"} | PURPOSES


@pytest.mark.parametrize(
    "source",
    [
        "from privacy.text import Anonymizer\nAnonymizer.load()",
        "from privacy.text.anonymize import Anonymizer as Hidden\nHidden(engine, settings)",
        "import privacy.text.run.cache\nprivacy.text.run.cache.SpanCache(path, key)",
        "from privacy.text.find import engines as known\nknown.load(settings)",
        "from client.data import corpus\ncorpus.load_corpus(folder, key)",
        "key.derive('surrogates').expose('surrogates')",
    ],
)
def test_a_second_builder_would_be_seen(source: str) -> None:
    assert list(built_in(source))


def test_a_mere_name_or_another_load_is_no_builder() -> None:
    assert not list(built_in("from client.learning import tasks\ntasks.load(name)\nkey.derive('split')\nx: Anonymizer"))
