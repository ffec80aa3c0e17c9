# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of health-plan numbers must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import health_plans
from privacy.text.settings import TextSettings

RECOGNIZER = health_plans.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "policy number is [XKQ 123 456 789]",
    "Member ID: [W1234 56789]",
    "BCBS PPO ID# [XYP884201337]",
    "group # [0048271]",
    "Medicaid no. [AB12345C]",
    "Aetna member [W884420137]",
    "Subscriber ID | [QX44710023]",
    "MBI [1EG4-TE5-MK73]",
    "Medicare: [1EG4 TE5 MK73]",
    "Rx BIN: [610014]",
    "claim no. [C-2024-44710]",
    "insurance ID [H44710233]",
    "prior auth # [PA4471023]",
    "NHS number [943 476 5919]",
    "KVNR [A123456780]",
    "Grp No: [77120-01]",
]

KEPT = [
    "group 1 and group 2",
    "Plan: 1500 mL restriction",
    "Plan: follow up in 3 weeks",
    "coverage with ceftriaxone 1000 mg",
    "policy of 3 visits",
    "Group A strep",
    "group of 1200 patients",
]


@pytest.mark.parametrize("marked", FOUND)
def test_health_plans_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_health_plans_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
