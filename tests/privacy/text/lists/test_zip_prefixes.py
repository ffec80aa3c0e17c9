# SPDX-License-Identifier: Apache-2.0
"""Three digits of a ZIP code stay, but not those of a small area."""

from __future__ import annotations

import pytest

from privacy.text.lists.zip_prefixes import SMALL_AREAS, zip3


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("62701", "627"),
        ("02139-4307", "021"),
        ("021394307", "021"),
        (" 90210 ", "902"),
        ("627", "627"),
        ("03601", "000"),
        ("20301", "000"),
        ("63", None),
        ("6270", None),
        ("K1A 0B1", None),
        ("٦٢٧٠١", None),
        ("", None),
    ],
)
def test_three_digits_stay_where_enough_people_live(given: str, kept: str | None) -> None:
    assert zip3(given) == kept


def test_the_small_areas_of_both_censuses_become_000() -> None:
    assert {"063", "790", "830", "831", "890"} <= SMALL_AREAS, "small in 2000"
    assert {"205", "369", "753", "772"} <= SMALL_AREAS, "small in 2010"
    assert {zip3(f"{prefix}01") for prefix in SMALL_AREAS} == {"000"}
