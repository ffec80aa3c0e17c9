# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of network addresses must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import network
from privacy.text.settings import TextSettings

RECOGNIZER = network.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "see [http://portal.example.org/p/7] for it",
    "[www.example.org/x]",
    "[portal.ward.local/x]",
    "open [http://intra/patient?id=3]",
    "from [10.20.30.40] at night",
    "[fe80::1ff:fe23:4567:890a]",
    "[00:1A:2B:3C:4D:5E]",
    "[001a.2b3c.4d5e]",
    "[123e4567-e89b-42d3-a456-426614174000]",
    "ftp: [ftp://10.0.0.1/scan]",
]

KEPT = [
    "at 10:22:33",
    "ratio 1:2:3",
    "pain.no fever",
    "300.400.500.600",
    "section 1.2",
    "e.g. this",
    "T.i.d. dosing",
]


@pytest.mark.parametrize("marked", FOUND)
def test_network_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_network_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
