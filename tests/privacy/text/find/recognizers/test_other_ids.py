# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of other numbers must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import other_ids
from privacy.text.settings import TextSettings

RECOGNIZER = other_ids.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "Badge # [44710]",
    "Employee ID: [E44710]",
    "PIN: [4471]",
    "user name: [qzorblatt7]",
    "SIN [046 454 286]",
    "tax id [12-3456789]",
    "number [QX44K710]",
    "ref. [AB4471K9]",
    "seen as [4827193] there",
    "student no. [S447102]",
    "Aadhaar: [2341 2341 2346]",
    "twitter: [@quen_zor7]",
    "CPF [123.456.789-09]",
]

KEPT = [
    "ICD code S72.001A",
    "CPT code 99213",
    "code E11",
    "#18-gauge needle",
    "NCT04427501 trial",
    "code status full",
    "key: K+ 4.1",
    "count 1250000 copies/mL",
    "number Type1",
    "platelets 250000",
    "no. 15 blade",
    "2000000 units",
]


@pytest.mark.parametrize("marked", FOUND)
def test_other_ids_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_other_ids_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
