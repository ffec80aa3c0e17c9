# SPDX-License-Identifier: Apache-2.0
"""The benchmark of hostile plans goes on where it was ended, and says what it tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulations.benchmarks import neighbours as room


@pytest.mark.slow
def test_the_benchmark_goes_on_where_it_was_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BLOCK", 2)
    lines: list[str] = []
    room.neighbours(tmp_path, tries=2, tell=lines.append)
    rows = {row.name: row.value for row in room.neighbours(tmp_path, tries=4, tell=lines.append)}
    assert rows == {"neighbour_plans_tried": 4, "neighbour_differences": 0}
    assert len(lines) == 2
