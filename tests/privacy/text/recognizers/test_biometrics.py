# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of flags must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.recognizers import biometrics
from privacy.text.settings import TextSettings

RECOGNIZER = biometrics.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "[fingerprints] taken",
    "[retinal scan] stored",
    "[voice print]",
    "[photograph] of the face",
    "[photos] attached",
    "a [selfie]",
    "[IMG_4471.jpg]",
    "[DNA profile] kept",
]

KEPT = [
    "photophobia",
    "photocoagulation",
    "fingerstick glucose",
    "images were reviewed",
    "footdrop",
    "CT images",
]


@pytest.mark.parametrize("marked", FOUND)
def test_biometrics_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_biometrics_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
