# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of postcodes must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import postcodes
from privacy.text.settings import TextSettings

RECOGNIZER = postcodes.build(TextSettings(countries=("GB", "CA", "DE", "AU")))

# What stands in brackets must be found whole.
FOUND = [
    "at [SW1A 1AA]",
    "[K1A 0B6] in",
    "[10115 Berlin Mitte]",
    "postcode: [7412 SL]",
    "in [Ottawa, ON]",
    "PLZ [10115]",
    "[Sydney NSW 2000]",
]

KEPT = [
    "B12 and T12",
    "120 mg 5 mL",
    "post code",
    "12345 cells",
]


@pytest.mark.parametrize("marked", FOUND)
def test_postcodes_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_postcodes_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
