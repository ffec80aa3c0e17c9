# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of phone numbers must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import phones
from privacy.text.settings import TextSettings

RECOGNIZER = phones.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "call [(555) 010-4477] now",
    "call [555-0123] now",
    "fax: [617.555.0144]",
    "pager [4471] overnight",
    "Pgr #[88-4471]",
    "ext. [4471]",
    "call [617.555.0144 x22]",
    "[1-800-FLOWERS] now",
    "home: [6175550144]",
    "H: [617-555-0144]",
    "tel. [+49 30 1234567]",
    "[030/1234567]",
    "[01 23 45 67 89]",
    "([020) 7946 0958]",
    "reach her at [555 0144]",
    "beeper is [30144]",
    "[617 - 555 - 0144]",
    "[617/555-0144]",
    "Cell | [617-555-0144]",
    "Phone\n[617 555 0144]",
    "Facsimile no. [617-555-0144]",
]

KEPT = [
    "dose 1640 units at 08:30; ANC 1641",
    "P: 120 R: 18",
    "T 98.6 P 88 BP 120/80",
    "cell count 1200",
    "text 20 mg",
    "1-2 tabs every 4-6 hours",
    "ratio 1:2",
    "24-48 hours",
    "800-1200 mL",
]


@pytest.mark.parametrize("marked", FOUND)
def test_phones_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_phones_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
