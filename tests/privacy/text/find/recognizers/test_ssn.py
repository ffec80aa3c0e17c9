# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of social security numbers must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import ssn
from privacy.text.settings import TextSettings

RECOGNIZER = ssn.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "number [900-12-3456] given",
    "SSN [078051120] on file",
    "SSN: [XXX-XX-4471]",
    "[***-**-4471]",
    "SS# [123 45 6789]",
    "Social Security: [078051120]",
    "SSN (last 4): [4471]",
    "last four of SSN: [6789]",
    "social [078-05-1120]",
    "[123 - 45 - 6789]",
    "SSN | [078 05 1120]",
]

KEPT = [
    "social history 2019",
    "social 4 drinks",
    "3-4-2019",
    "100-20-300 mL",
]


@pytest.mark.parametrize("marked", FOUND)
def test_ssn_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_ssn_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
