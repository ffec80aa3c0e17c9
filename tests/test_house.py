# SPDX-License-Identifier: Apache-2.0
"""The house keeps its walls: how many rooms, floors and arrows, how long a function, one name for one type.

The bounds are what was reached; whoever passes one makes the code smaller, or the bound with a reason in an ADR.
`make bench-house` prints the figures, `python -m simulations.benchmarks.house picture` the plans.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from simulations.benchmarks.code_size import CodeSize, code_size, docs_words
from simulations.benchmarks.floor_plan import PACKAGES, Plan, house_plan, package_plan, plan_of
from simulations.benchmarks.house import plan_rows

ROOT = Path(__file__).resolve().parents[1]
BOUNDS = {  # rooms, floors, arrows
    "client": (12, 7, 30),
    "coordinator": (18, 7, 46),
    "privacy": (20, 7, 60),
    "simulations": (14, 7, 25),
}
LONG_FUNCTIONS = 0
OF_MANY_ARGUMENTS = 2
COMPLEX_FUNCTIONS = 2
TOO_COMPLEX_FUNCTIONS = 0
DOUBLED_NAMES = 0
VAGUE_LOCALS = 21
DOCS_WORDS = 20_000


@cache
def plan(package: str) -> Plan:
    return package_plan(ROOT, package)


@cache
def size() -> CodeSize:
    return code_size(ROOT)


def test_the_house_has_four_rooms_on_three_floors_and_five_arrows() -> None:
    house = house_plan(ROOT)
    assert house.floors == (("privacy",), ("client", "coordinator"), ("simulations",))
    assert len(house.arrows) == 5


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_no_more_rooms_floors_and_arrows_than_it_was_brought_to(package: str) -> None:
    drawn = plan(package)
    rooms, floors, arrows = BOUNDS[package]
    assert drawn.rooms <= rooms, drawn.floors
    assert len(drawn.floors) <= floors, drawn.floors
    assert len(drawn.arrows) <= arrows, drawn.arrows


@pytest.mark.parametrize("package", PACKAGES)
def test_no_rooms_import_each_other_in_a_circle(package: str) -> None:
    assert not plan(package).circles
    assert not plan(package).back_up


def test_no_function_is_longer_than_forty_lines() -> None:
    assert len(size().long) <= LONG_FUNCTIONS, size().long


def test_few_functions_take_more_than_six_arguments() -> None:
    assert len(size().many_arguments) <= OF_MANY_ARGUMENTS, size().many_arguments


def test_few_functions_branch_more_than_ten_times_and_none_more_than_fifteen() -> None:
    assert len(size().complex) <= COMPLEX_FUNCTIONS, size().complex
    assert len(size().too_complex) <= TOO_COMPLEX_FUNCTIONS, size().too_complex


def test_a_type_has_one_name_and_a_name_one_type() -> None:
    assert len(size().doubled) <= DOUBLED_NAMES, size().doubled


def test_few_locals_are_called_by_what_was_done_in_the_place_of_what_they_are() -> None:
    assert len(size().vague) <= VAGUE_LOCALS, size().vague


def test_the_docs_are_no_longer_than_they_were_brought_to() -> None:
    written, _ = docs_words(ROOT)
    assert written <= DOCS_WORDS


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_rooms_are_what_lies_in_a_package_and_a_wing_is_opened(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "privacy/__init__.py": "from privacy.text.run.work import go",
            "privacy/base/errors.py": "",
            "privacy/audit.py": "import privacy.base.errors",
            "privacy/text/__init__.py": "from privacy.text import run",
            "privacy/text/run/work.py": "def go():\n    from privacy.text import settings\n",
            "privacy/text/run/deep/more.py": "from privacy.text.run.work import go",
            "privacy/text/settings.py": "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from privacy.base.errors import Error\n",
        },
    )
    drawn = package_plan(root, "privacy")
    assert drawn.floors == (("base",), ("audit", "text/settings"), ("text/run",))
    assert drawn.arrows == (("audit", "base"), ("text/run", "text/settings"), ("text/settings", "base"))


def test_a_circle_is_seen_and_as_few_of_its_arrows_as_can_be_lead_back_up() -> None:
    arrows = [("a", "b"), ("b", "c"), ("c", "a"), ("a", "c"), ("d", "a")]
    drawn = plan_of("p", "abcd", arrows)
    assert drawn.circles == (("a", "b", "c"),)
    assert drawn.back_up == (("c", "a"),)
    assert drawn.floors == (("c",), ("b",), ("a",), ("d",))
    assert {row.name: row.value for row in plan_rows(drawn)} == {
        "p_rooms": 4,
        "p_floors": 4,
        "p_arrows": 5,
        "p_arrows_back_up": 1,
        "p_circles": 1,
    }
    assert next(iter(drawn.lines())) == "p: 4 rooms, 4 floors, 5 arrows, 1 back up, 1 circles"
    assert "  back up: c -> a" in drawn.lines()


def test_long_and_branching_functions_arguments_and_doubled_names_are_found(tmp_path: Path) -> None:
    lines = "".join(f"    if x == {n}:\n        return {n}\n" for n in range(20))
    body = f"def long(self, a, b, c, d, e, f, *, x):\n    found = left = right = a\n{lines}"
    files = {"client/a.py": f"class Same: ...\nMade = int\n{body}", "privacy/b.py": "class Same: ...\nMADE = 1\n"}
    found = code_size(write(tmp_path, files))
    place = "client/a.py:3 long"
    assert found.long == {place: 42}
    assert found.vague == {place: 1}
    assert found.many_arguments == {place: 7}
    assert found.complex == found.too_complex == {place: 21}
    assert found.doubled == {"Same": ("client/a.py", "privacy/b.py")}


def test_tables_that_a_command_writes_are_counted_apart(tmp_path: Path) -> None:
    page = "Two words.\n<!-- grid:tables -->\n| a | b | c |\n<!-- grid:end -->\nOne - more\n"
    written, generated = docs_words(write(tmp_path, {"docs/deep/page.md": page}))
    assert (written, generated) == (4, 5)
