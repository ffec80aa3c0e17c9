# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of holidays must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import holidays
from privacy.text.settings import TextSettings

RECOGNIZER = holidays.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "on [Christmas Eve]",
    "[Easter 2019]",
    "since [Thanksgiving]",
    "[Labor Day 2018] picnic",
    "the day after [New Year's Day]",
    "before [Ramadan]",
]

KEPT = [
    "Christmas Eve",
    "an Easter lily",
    "Christmas tree allergy",
    "Mother's Day card",
]


@pytest.mark.parametrize("marked", FOUND)
def test_holidays_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_holidays_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
