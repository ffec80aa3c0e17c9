# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of sums of money must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import money
from privacy.text.settings import TextSettings

RECOGNIZER = money.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "paid [$1,200.50] then",
    "[five hundred euros] lost",
    "[1.200,00 €]",
    "[EUR 500]",
    "[300 dollars]",
    "[20 pounds sterling]",
    "[12,000 francs]",
    "[$20k]",
    "[2.5 million dollars]",
    "[CHF 4'500.00]",
]

KEPT = [
    "lost 20 pounds",
    "weighs 5 lb",
    "INR 2.5",
    "20 marked lesions",
    "a scent",
    "per cent 20",
    "500 units",
]


@pytest.mark.parametrize("marked", FOUND)
def test_money_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_money_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
