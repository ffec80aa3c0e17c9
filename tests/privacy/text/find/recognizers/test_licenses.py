# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of licences and certificates must find and what it must leave alone. All invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import licenses
from privacy.text.settings import TextSettings

RECOGNIZER = licenses.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "license no. [MD-44817]",
    "DEA [BK4471203]",
    "CA driver's license [D4471203]",
    "DL: [S530-4401-2207-1]",
    "Driver License (NJ): [X4471 20337 44712]",
    "passport [X4471203]",
    "Passport No. | [533380006]",
    "NPI: [1234567893]",
    "board certificate no. [447123]",
    "permit # [K-44712]",
    "State ID [N447-1203-22]",
    "green card [SRC4471203377]",
    "RN license: [RN447120]",
]

KEPT = [
    "licensed in all things",
    "B12 low, T12 fracture, L4-L5 disc, E11, H1N1",
    "glucose 120 mg/dL 2019",
    "DL 13.5",
    "certificate given",
    "registration desk",
    "lic.",
]


@pytest.mark.parametrize("marked", FOUND)
def test_licenses_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_licenses_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
