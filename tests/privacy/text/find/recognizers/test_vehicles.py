# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of vehicles and plates must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import vehicles
from privacy.text.settings import TextSettings

RECOGNIZER = vehicles.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "VIN [1M8GDM9AXKP042788] towed",
    "[1M8GDM9AXKP042788] towed",
    "VIN: [1HGCM82633A00435]",
    "plate [7KQZ113]",
    "license plate [ABC-1234]",
    "License plate: [ABC 1234]",
    "NJ plate number [K44 LMT]",
    "tag # [GQX4471]",
    "Plate no. [B MW 4471]",
    "vehicle id [QX44710023]",
    "car with plates [8XYZ 123]",
]

KEPT = [
    "plate and screws",
    "growth plate 12 mm",
    "a tag on the skin",
    "plates of 4 holes",
    "vehicle of change",
    "1M8GDM9AXKP042780 is none",
]


@pytest.mark.parametrize("marked", FOUND)
def test_vehicles_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_vehicles_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
