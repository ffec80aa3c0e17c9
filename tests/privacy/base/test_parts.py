# SPDX-License-Identifier: Apache-2.0
"""A part is a file: what lies there can be named, nothing else can, and no name leads out of its folder."""

from __future__ import annotations

import pytest

from privacy.base import parts
from privacy.base.errors import SettingsError


@pytest.mark.parametrize(
    ("package", "least"),
    [
        ("privacy.aggregation", {"weighted_sum"}),
        ("privacy.text.find.engines", {"presidio"}),
        ("privacy.dp.clipping", {"bookkeeping", "ghost", "hooks"}),
        ("client.learning.tasks", {"classification"}),
    ],
)
def test_every_part_can_be_loaded_by_the_name_of_its_file(package: str, least: set[str]) -> None:
    found = parts.names(package)
    assert least <= set(found)
    assert found == sorted(found)
    for name in found:
        assert parts.load(package, name).__name__ == f"{package}.{name}"


@pytest.mark.parametrize(
    "name", ["", "none", "_opacus", "__init__", "..keys", "weighted_sum.py", "os", "weighted_sum.x"]
)
def test_a_name_that_is_no_part_is_refused_with_the_choices(name: str) -> None:
    for package, choice in (("privacy.aggregation", "weighted_sum"), ("privacy.dp.clipping", "ghost")):
        with pytest.raises(SettingsError) as refused:
            parts.load(package, name)
        assert choice in str(refused.value.next_step)
