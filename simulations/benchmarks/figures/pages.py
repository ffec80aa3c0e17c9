# SPDX-License-Identifier: Apache-2.0
"""Pages against the files of figures: tables between marks, and figures in prose that cite where they come from.

<!-- utility:costs -->                  a table, or an overview of all benches (`all:when`, `missed`, `not_measured`)
<!-- utility:end -->

epsilon 8 costs [0.65 points][utility/medquad_cost_eps8]      a figure, as exact as it is written
<!-- all:references -->                 where the page's citations lead
<!-- all:end -->
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from simulations.benchmarks.figures.files import load
from simulations.benchmarks.figures.tables import (
    REFERENCE,
    Files,
    lines_of,
    marked,
    number_of,
    page_lines,
    rows_in,
    unit_of,
)
from simulations.benchmarks.report import ROOT

REFERENCES = "all:references"
MARKED = re.compile(r"<!-- (?P<table>(?P<bench>[a-z]\w*):\w+) -->\n.*?<!-- (?P=bench):end -->", re.DOTALL)
CITED = re.compile(rf"\[([^\[\]]+)\]\[(?=\w+/)({REFERENCE})\]")
NUMBER = re.compile(r"-?(?:\d[\d,]*)?\.?\d+")
_CODE = re.compile(r"^```.*?^```\n?|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def pages(root: Path = ROOT) -> list[Path]:
    """The pages that may show figures: README.md and docs, but for those that are written whole."""
    return [root / "README.md", *sorted(p for p in root.glob("docs/**/*.md") if p.parent != root / "docs" / "figures")]


def written(files: Files, text: str, folder: str) -> str:
    """A page with its tables and references as the files have them; `folder` is where it finds the pages of figures.

    Raises KeyError at a table that is not there.
    """

    def one(match: re.Match[str]) -> str:
        if match["table"] == REFERENCES:
            lines = _references(files, text, folder)
        else:
            lines = [line.replace("](figures/", f"]({folder}/") for line in lines_of(files, match["table"])]
        return "\n".join(marked(match["table"], lines))

    return MARKED.sub(one, text)


def _references(files: Files, text: str, folder: str) -> list[str]:
    return [
        f"[{name}]: {folder}/{bench}.md{_heading(files, name)}"
        for name in sorted({match[2] for match in CITED.finditer(prose(text))})
        for bench in [name.partition("/")[0]]
    ]


def _heading(files: Files, reference: str) -> str:
    """The anchor of the table that shows a figure; none where the figure is not there, which `problems` tells."""
    bench, row = reference.partition("/")[0], reference.partition("/")[2].partition(".")[0]
    for table in files[bench].tables if bench in files else ():
        if row in rows_in(files, bench, table):
            return "#" + re.sub(r"[^\w -]", "", table.title.lower()).replace(" ", "-")
    return ""


def prose(text: str) -> str:
    """What somebody wrote on a page: without what is generated and without code."""
    return _CODE.sub("", MARKED.sub("", text))


def false_citations(files: Files, text: str) -> Iterator[str]:
    """What a page cites otherwise than the files have it."""
    for match in CITED.finditer(prose(text)):
        try:
            number = number_of(files, match[2])
        except KeyError as error:
            yield f"{match[0]}: {error.args[0]}"
            continue
        if number is None or not _is_rounding(match[1], number, unit_of(files, match[2])):
            yield f"{match[0]}: the figure is {number}"


def _is_rounding(cited: str, number: float | int, unit: str) -> bool:
    """Whether the one number of the cited words is this figure, as exact as written; a share may be in percent."""
    percent, numbers = "%" in cited, NUMBER.findall(cited)
    if len(numbers) != 1 or (percent and unit != "share"):
        return False
    last_place = 10.0 ** -len(numbers[0].partition(".")[2])
    value = 100 * number if percent else number
    return bool(abs(float(numbers[0].replace(",", "")) - value) <= last_place / 2 + 1e-9)


def differences(files: Files, root: Path = ROOT) -> Iterator[tuple[Path, str, str]]:
    """Each page that is not as the files have it: its path, what it should be, and what differs."""
    for path in pages(root):
        text = path.read_text(encoding="utf-8")
        wanted = written(files, text, os.path.relpath(root / "docs" / "figures", path.parent))
        if wanted != text:
            were, are = MARKED.finditer(text), MARKED.finditer(wanted)
            names = [was["table"] for was, now in zip(were, are, strict=True) if was[0] != now[0]]
            yield path, wanted, f"the table {', '.join(names)}"
    folder = root / "docs" / "figures"
    for bench in files:
        path, wanted = folder / f"{bench}.md", "\n".join(page_lines(files, bench))
        if not path.exists() or path.read_text(encoding="utf-8") != wanted:
            yield path, wanted, "the page"
    for path in sorted(folder.glob("*.md")):
        if path.stem not in files:
            yield path, "", f"there is no {path.stem}.json"


def problems(root: Path = ROOT) -> list[str]:
    """Everything in which pages and files of figures do not agree."""
    files = load(root / "docs" / "figures")
    differing = [f"{path.relative_to(root)}: {what} differs" for path, _, what in differences(files, root)]
    for path in pages(root):
        text = path.read_text(encoding="utf-8")
        differing += [f"{path.relative_to(root)}: {problem}" for problem in false_citations(files, text)]
    return differing
