# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of ages over 89 must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import ages
from privacy.text.settings import TextSettings

RECOGNIZER = ages.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "a [92]-year-old man",
    "she is [101] y/o",
    "aged [90] at death",
    "[ninety-three] years old",
    "Age: [97]",
    "Age/Sex: [94]/F",
    "[95]F with hx of CHF",
    "in her [90s]",
    "in his early [nineties]",
    "a [nonagenarian]",
    "her [95th] birthday",
    "she is [93] and lives alone",
    "[94] y.o. F",
    "Age | [91] |",
    "turned [91]",
    "[91] y",
    "over [90] years old",
]

KEPT = [
    "a 45-year-old, 89-year-old father",
    "temp 101F with chills",
    "fever to 102 F with rigors",
    "HR is 93 and",
    "sats 95 on RA",
    "in the 1990s",
    "HR in the 90s",
    "95th percentile",
    "his 95 mg",
    "100 years ago",
    "weight 95",
    "90-day supply",
    "she was 95% on room air",
]


@pytest.mark.parametrize("marked", FOUND)
def test_ages_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_ages_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
