# SPDX-License-Identifier: Apache-2.0
"""Generalization says less, as Safe Harbor allows, and leaves what it cannot read to a tag."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.text.surrogates.generalize import RESTRICTED, age_band, age_in, zip3


@pytest.mark.parametrize(
    ("age", "band"),
    [
        ("45", "40-49"),
        ("89", "80-89"),
        ("90", "90+"),
        ("104", "90+"),
        ("ninety-two", "90+"),
        ("forty years old", "40-49 years old"),
        ("45-year-old", "40-49-year-old"),
        ("aged 45", "aged 40-49"),
        ("a hundred and two", "90+"),
        ("7", "0-9"),
    ],
)
def test_an_age_becomes_a_band(age: str, band: str) -> None:
    assert age_band(age) == band


@pytest.mark.parametrize("age", ["", "6 months", "old", "126", "3 weeks old", "45 or 46", "hundred and ninety"])
def test_an_age_that_is_not_read_is_left_to_a_tag(age: str) -> None:
    assert age_band(age) is None
    assert age_in(age) is None


@given(st.integers(0, 99_999), st.integers(0, 9_999))
def test_a_zip_code_keeps_three_digits_but_none_in_a_small_area(five: int, four: int) -> None:
    for code in (f"{five:05d}", f"{five:05d}-{four:04d}"):
        assert zip3(code) == ("000" if code[:3] in RESTRICTED else code[:3])


def test_there_are_seventeen_small_areas() -> None:
    assert len(RESTRICTED) == 17
    assert zip3("03601") == zip3("036") == "000"
    assert zip3("12 Elm Street") is None
    assert zip3("1234") is None
