# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of dates must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import dates
from privacy.text.settings import TextSettings

RECOGNIZER = dates.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "born [3 April 1976] in spring",
    "seen [April 12] by us",
    "[3rd of May, 2019]",
    "the [14MAR2019] scan",
    "[03-Apr-76]",
    "[March 3-7, 2019]",
    "[3/14-3/16]",
    "admitted on [3/14] with pain",
    "on [2021-03-05 10:22] she fell",
    "in mid-[June]",
    "the [Fall 2018] visit",
    "[14 mars 2019]",
    "[3 de mayo de 2019]",
    "on the [14th]",
    "DOB: [03/14/34]",
    "DOB [1934]",
    "[2019-03]",
    "[20190314]",
    "smoked from 1998 to [2004]",
    "last seen in [November]",
    "[May third, 2019]",
    "03/14/2019|[11/10/11]",
    "[3. April 1976]",
    "since [2011]",
]

KEPT = [
    "strength 5/5, murmur 2/6, vision 20/20",
    "24-48 hours",
    "pain from 3/10 to 7/10",
    "1/2 tablet",
    "of 1/2 NS",
    "GCS 15",
    "T2N0M0",
    "may 2 tablets be taken",
    "march in place",
    "FEV1 2019 mL",
    "in 2000 mL saline",
    "by the 14th week",
    "on the 5th floor",
    "10-12-14 mg",
    "norco 10/325",
    "C3-4 to C5-6",
    "mars 2",
    "21 mars",
]


@pytest.mark.parametrize("marked", FOUND)
def test_dates_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_dates_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
