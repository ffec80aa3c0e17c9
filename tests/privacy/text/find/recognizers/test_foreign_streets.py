# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of streets abroad must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import foreign_streets
from privacy.text.settings import TextSettings

RECOGNIZER = foreign_streets.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "[Hauptstraße 12] there",
    "[12 Hauptstrasse] there",
    "[Lindenweg 4a]",
    "[Rua das Flores, 120]",
    "[Calle Mayor 5]",
    "[C/ Mayor, 5]",
    "[Via Roma 12]",
    "[12, rue de la Paix]",
    "[ul. Nowa 12/4]",
    "[Storgatan 5]",
    "[Av. Paulista 1578]",
    "[Keizersgracht 174]",
    "[Am Markt 5]",
    "[Kungsvägen 12]",
]

KEPT = [
    "Monitoring 24 hours",
    "Brigade 7",
    "et al. 2019",
    "Place Foley 16",
    "Via Foley 200 mL",
    "Gate 12",
    "rue 12",
    "String 3",
    "via NG tube 20 mL",
]


@pytest.mark.parametrize("marked", FOUND)
def test_foreign_streets_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_foreign_streets_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
