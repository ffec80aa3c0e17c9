# SPDX-License-Identifier: Apache-2.0
"""Generalization says less, as Safe Harbor allows, and leaves what it cannot read to a tag."""

from __future__ import annotations

import pytest

from privacy.text.replace.surrogates.generalize import age_band, age_in


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
