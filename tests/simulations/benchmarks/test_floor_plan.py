# SPDX-License-Identifier: Apache-2.0
"""A circle of files is seen wherever the import stands, unless it is for the types alone; the house has none."""

from __future__ import annotations

from pathlib import Path

from simulations.benchmarks.floor_plan import module_circles

ROOT = Path(__file__).resolve().parents[3]


def test_no_file_of_the_house_imports_itself_by_way_of_others() -> None:
    assert not module_circles(ROOT)


def test_a_circle_is_seen_within_a_function_and_not_for_the_types_alone(tmp_path: Path) -> None:
    for name, text in {
        "grid": "from client.link import Link",
        "link": "def opened():\n    from client import grid\n    return grid",
        "wire": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from client.grid import Grid",
        "line": "import client.wire",
    }.items():
        (tmp_path / "client").mkdir(exist_ok=True)
        (tmp_path / "client" / f"{name}.py").write_text(text)
    assert module_circles(tmp_path) == (("client.grid", "client.link"),)
