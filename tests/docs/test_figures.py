# SPDX-License-Identifier: Apache-2.0
"""Every figure of the docs stands in docs/figures: tables are written from there, and prose cites its rows."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from privacy.base.parts import names
from privacy.protocol.anonymization_check import fewest_found
from simulations.benchmarks.figures.files import FOLDER, FigureFile, dump, load, take
from simulations.benchmarks.figures.pages import CITED, MARKED, problems, prose, written
from simulations.benchmarks.figures.tables import page_lines, reached, rows_in, selected
from simulations.benchmarks.report import Row, write_report

ROOT = Path(__file__).resolve().parents[2]
FILES = load()
NUMBER = re.compile(r"(?<![\w.])-?\.?\d[\d,.]*(?:e-\d+)?")
LINK = re.compile(r"\]\([^)]*\)")

NOT_MEASURED = {
    "docs/anonymization.md": (
        r"is not 1\. On",
        r"\(1 %\)",
        r"4 GiB",
        r"ADR\s+1[234]",
        r"95 %\ssure",
        r"1 to 365 days",
        r"1950 to 2049",
        r"3/4 is",
        r"check of 1000",
        r"60 notes",
        r"below 0\.5;",
        r"1 - 0\.05 / k",
        r"0 of 200",
        r"mode 0600",
        r"1\.72 KB",
    ),
    "docs/leakage.md": (
        r"10\^5",
        r"epsilon [81]\b",
        r"arXiv [\d.]+",
        r", 2112\.03570",
        r"95 %",
        r"multiplier of 0\.3\b",
        r"16 shadow",
        r"1 % false",
        r"is 0\.65 by",
        r"sets 1 or",
        r"ADR 19",
    ),
    "docs/benchmarks.md": (r"epsilon [831]\b", r"77 intents", r"128 tokens", r"of 1\.72 KB", r"said 1 when", r"ADR 42"),
}
"""Numbers of a page that are no measurement: what was set, chosen or is so by law. All others are cited."""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    return tmp_path


def changed(root: Path, bench: str, row: str, value: float) -> None:
    path = root / "docs" / "figures" / f"{bench}.json"
    file = FigureFile.model_validate_json(path.read_text(encoding="utf-8"))
    measurements = tuple(
        one.model_copy(update={"rows": tuple(replace(r, value=value) if r.name == row else r for r in one.rows)})
        for one in file.measurements
    )
    path.write_text(dump(file.model_copy(update={"measurements": measurements})), encoding="utf-8")


def test_tables_and_citations_of_all_pages_are_those_of_the_figures() -> None:
    assert problems() == [], "make figures writes the tables; a sentence with another figure is yours to write"


def test_a_figure_that_changed_is_named_with_its_page_and_table(copied: Path) -> None:
    assert problems(copied) == []
    changed(copied, "utility", "medquad_cost_eps8", 0.75)
    assert problems(copied) == [
        "docs/figures/utility.md: the page differs",
        "docs/benchmarks.md: [0.65 points][utility/medquad_cost_eps8]: the figure is 0.75",
    ]
    changed(copied, "dp", "lora_ratio", 0.5)
    assert "docs/benchmarks.md: the table dp:all, all:missed differs" in problems(copied)


def test_a_page_of_figures_without_figures_is_named(copied: Path) -> None:
    (copied / "docs" / "figures" / "old.md").write_text("# old\n")
    assert problems(copied) == ["docs/figures/old.md: there is no old.json differs"]


@pytest.mark.parametrize("cited", ["[0.64 points]", "[.7]", "[some points]", "[65 %]", "[0.65 of 3]"])
def test_a_citation_is_a_rounding_of_one_figure(cited: str, copied: Path) -> None:
    page = copied / "docs" / "leakage.md"
    page.write_text(f"{page.read_text()}\nIt costs {cited}[utility/medquad_cost_eps8].\n")
    wrong = [problem for problem in problems(copied) if "medquad_cost_eps8" in problem]
    assert len(wrong) == (0 if cited == "[.7]" else 1)


@pytest.mark.parametrize("page", NOT_MEASURED)
def test_every_number_in_the_prose_of_a_page_is_cited_or_known_to_be_no_measurement(page: str) -> None:
    text = CITED.sub("", prose((ROOT / page).read_text(encoding="utf-8")))
    for pattern in NOT_MEASURED[page]:
        assert re.search(pattern, text), f"{pattern} is not on the page any more"
        text = re.sub(pattern, "", text)
    lines = [LINK.sub("]", line) for line in text.splitlines() if not line.startswith("|")]
    bare = [f"{match[0]}: {line}" for line in lines for match in NUMBER.finditer(re.sub(r"^\s*\d+\. ", "", line))]
    assert bare == []


@pytest.mark.parametrize("bench", FILES)
def test_every_figure_of_a_file_stands_in_a_table_of_its_page(bench: str) -> None:
    file = FILES[bench]
    shown = {name for table in file.tables for name in rows_in(FILES, bench, table)}
    assert {row.name for row in file.rows()} <= shown


@pytest.mark.parametrize("bench", FILES)
def test_a_file_is_written_as_it_is_read(bench: str) -> None:
    assert dump(FILES[bench]) == (FOLDER / f"{bench}.json").read_text(encoding="utf-8")


def report(folder: Path, bench: str, *rows: Row, quick: bool = False) -> Path:
    return write_report(bench, rows, seconds=2.5, quick=quick, out=folder / "out")


def test_a_report_is_taken_in_place_of_the_run_before_and_the_rest_stays(copied: Path, tmp_path: Path) -> None:
    figures = copied / "docs" / "figures"
    path = take(report(tmp_path, "demo", Row("seconds", 50.5, "s", "< 90", (50.0, 51.0), 2, {"cpu": 70.0})), figures)
    file = load(figures)["demo"]
    assert path == figures / "demo.json"
    assert [one.name for one in file.measurements] == ["demo", "idle"]
    assert file.measurements[0].rows == (Row("seconds", 50.5, "s", "< 90", (50.0, 51.0), 2, {"cpu": 70.0}),)
    assert file.measurements[0].command == "make bench-demo"
    assert file.measurements[1:] == FILES["demo"].measurements[1:]
    assert file.tables == FILES["demo"].tables
    assert any("demo/accuracy_before" in problem for problem in problems(copied))


def test_the_first_report_of_a_bench_makes_its_file(tmp_path: Path) -> None:
    take(report(tmp_path, "new-thing", Row("cells", 3, "cells")), tmp_path)
    file = load(tmp_path)["new_thing"]
    assert selected(file, file.tables[0]) == [Row("cells", 3, "cells")]
    assert file.measurements[0].command == "make bench-new-thing"


def test_a_quick_report_is_not_for_the_docs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="quick"):
        take(report(tmp_path, "demo", Row("seconds", 1.0, "s"), quick=True), tmp_path)


@pytest.mark.parametrize("wrong", [{"name": "x", "value": 1, "unit": "s", "told": 1}, {"name": "x", "value": "fast"}])
def test_a_row_of_another_form_is_refused(wrong: dict[str, object], tmp_path: Path) -> None:
    told = json.loads((FOLDER / "rounds.json").read_text(encoding="utf-8"))
    told["measurements"][0]["rows"].append(wrong)
    (tmp_path / "rounds.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match=r"rounds\.json"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("value", "reach", "is_reached"),
    [(3, "<= 3", True), (4, "<= 3", False), (0.98, ">= 0.99", False), (20_000, ">= 20,000", True), (0, "0", True),
     (1, "0", False), (89.9, "< 90 on two idle cores", True), (1, "as chance", None), (None, "1", None)],
)  # fmt: skip
def test_what_fell_short_is_read_off_value_and_reach(value: float | None, reach: str, is_reached: bool | None) -> None:
    assert reached(Row("x", value, "", reach)) is is_reached


def test_what_fell_short_is_bold_in_each_table() -> None:
    tables = "\n".join(page_lines(FILES, "anonymize"))
    assert "| `wnut_person_masked` | **0.6853** | >= 0.93 |" in tables
    assert "| persons, forum text (wnut17 test) | **68.5 %** |" in tables
    assert "| `synth_any_recall` | 0.9726 | >= 0.95 |" in tables


def test_a_table_or_a_figure_that_is_not_there_is_refused() -> None:
    for text in ("<!-- utility:none -->\n<!-- utility:end -->\n", "<!-- none:all -->\n<!-- none:end -->\n"):
        assert MARKED.search(text)
        with pytest.raises(KeyError, match="no table"):
            written(FILES, text, "figures")


def test_the_floors_of_the_self_check_are_those_of_the_code() -> None:
    floors = {row.name: row.value for row in FILES["self_check"].measurements[0].rows}
    names = {name: re.fullmatch(r"least_(\d+)_at_(\d+)", name) for name in floors}
    assert {name: fewest_found(int(m[1]), f"0.{m[2]}") for name, m in names.items() if m} == floors


def test_every_recognizer_stands_in_its_rows_of_safe_harbor_with_a_test() -> None:
    package = "privacy.text.find.recognizers"
    table = FILES["safe_harbor"].tables[0]
    rows = {name: {cells[0] for cells in table.cells if f"`{name}`" in cells[2]} for name in names(package)}
    for name, numbers in rows.items():
        doc = re.sub(r"\s+", " ", import_module(f"{package}.{name}").__doc__ or "")
        for said in re.findall(r"(?:Safe Harbor|, ) ?rows? ([\d]+(?: and \d+)?)", doc):
            assert set(said.split(" and ")) <= numbers, f"{name} is of row {said}"
    files = {name for cells in table.cells for name in re.findall(r"`([a-z_]+)`", cells[2])}
    assert files <= set(rows)
    tests = ROOT / "tests" / "privacy" / "text" / "find" / "recognizers"
    assert [name for name in files if name != "names" and not (tests / f"test_{name}.py").exists()] == []
