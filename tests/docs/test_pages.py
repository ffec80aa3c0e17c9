# SPDX-License-Identifier: Apache-2.0
"""The docs as pages: links and anchors lead somewhere, files that are named exist, lines stay short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
LONGEST_LINE = 140
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]\n]+\]: (\S+)$", re.MULTILINE)
PACKAGES = "client|coordinator|privacy|simulations|tests|docs"
FILE = re.compile(rf"`((?:{PACKAGES})/[\w./-]*\w/?)`")
"""A file or folder of the repository, in code: `privacy/dp/noise.py`."""


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    bare = (re.sub(r"[`*\[\]]|\(\S+\)", "", title).strip().lower() for title in titles)
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in bare}


def broken(link: str, page: Path) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return True
    return bool(anchor) and (target.suffix != ".md" or anchor not in anchors_of(target))


@pytest.mark.parametrize("name", NAMES)
def test_every_link_and_anchor_leads_somewhere(name: str) -> None:
    links = [one or other for one, other in LINK.findall(FENCE.sub("", text_of(name)))]
    assert [link for link in links if "://" not in link and broken(link, ROOT / name)] == []


def test_a_broken_anchor_would_be_found() -> None:
    page = ROOT / "docs" / "index.md"
    assert not broken("tasks.md#scopes", page)
    assert broken("tasks.md#no-such-heading", page)
    assert broken("no-such-page.md", page)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "CHANGELOG.md"])
def test_every_file_that_a_page_names_exists(name: str) -> None:
    named = {path for path in FILE.findall(text_of(name)) if "NAME" not in path}
    assert {path for path in named if not (ROOT / path).exists()} == set()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "CHANGELOG.md"])
def test_no_line_is_long(name: str) -> None:
    lines = enumerate(text_of(name).splitlines(), start=1)
    assert [number for number, line in lines if len(line) > LONGEST_LINE] == []


def test_each_decision_has_a_number_of_its_own_and_says_it() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    numbers = [int(path.name.split("-")[0]) for path in decisions]
    assert len(set(numbers)) == len(numbers)
    titles = [path.read_text(encoding="utf-8").splitlines()[0] for path in decisions]
    assert [title for number, title in zip(numbers, titles, strict=True) if not title.startswith(f"# {number}. ")] == []
    assert all(part in path.read_text(encoding="utf-8") for path in decisions for part in ("**Context", "**Decision"))
