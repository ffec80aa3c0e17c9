# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of specimens, visits and cases must find and what it must leave alone. All invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import visits
from privacy.text.settings import TextSettings

RECOGNIZER = visits.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "accession no. [S19-20455] sent",
    "[SP-21-00431] received",
    "specimen #: [24-S-01187]",
    "case no. [22-1187]",
    "encounter [10048271]",
    "Visit #: [V0044710]",
    "Order: [ORD-447102]",
    "CSN [100482719]",
    "Application no. [36244/06]",
    "application (no. [40412/19]) lodged",
    "Docket [2:19-cv-04471]",
    "pathology report [P-447102]",
    "FIN: [88447102]",
    "referral # [R44710]",
    "slide [S-4471-A]",
]

KEPT = [
    "case of 3 years",
    "Visit: 3 of 5",
    "report: 120/80",
    "Lab: WBC 12000",
    "exam: 5/5 strength",
    "order 20 mg",
    "IL-12-2020 level",
    "COVID-19 in 2020",
    "culture: 100000 colonies",
    "study 2 of 4",
    "specimen 2 x 3 cm",
]


@pytest.mark.parametrize("marked", FOUND)
def test_visits_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_visits_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
