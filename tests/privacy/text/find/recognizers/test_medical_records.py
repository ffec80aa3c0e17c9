# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of record numbers must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import medical_records
from privacy.text.settings import TextSettings

RECOGNIZER = medical_records.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "MRN: [4827193] noted",
    "MRN #[48-27-19]",
    "MRN\t[48271]",
    "MRN\n[4827193]",
    "MRN | [H48271] |",
    "MRN=[0048271]",
    "Med Rec No. [H-48271]",
    "medical record number is [48271]",
    "Patient ID = [PX-00482]",
    "pt. no: [77120]",
    "CHART # [48-2719]",
    "M.R.N. [4827193]",
    "patient_id: [PX00482]",
    "Hospital number ([K482719])",
    "MR# [4827193]",
    "Unit No: [048 27 19]",
    "Record: [AB48271]",
]

KEPT = [
    "MR 2+ and TR 1+",
    "chart reviewed",
    "Unit: 4 West",
    "medical record reviewed in detail",
    "history: 3 days of pain",
    "record 120/80",
    "patient 12 hours later",
    "hospital day 4",
    "Records: 1500 mL in",
]


@pytest.mark.parametrize("marked", FOUND)
def test_medical_records_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_medical_records_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []


def test_a_unit_of_the_next_line_is_no_unit_of_this_number() -> None:
    text = "MRN 513-2733\nCC: cough"
    assert [text[f.start : f.end] for f in RECOGNIZER.find(text)] == ["513-2733"]
