# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of US addresses must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import addresses
from privacy.text.settings import TextSettings

RECOGNIZER = addresses.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "lives at [123 Elm Street, Springfield, IL 62701]",
    "[123 ELM ST APT 4B, SPRINGFIELD IL 62701]",
    "at [4417 n. 5th street]",
    "[4417 N. 5th St. Unit 2B]",
    "[One Hospital Drive]",
    "[4500 County Road 12]",
    "[RR 2 Box 45]",
    "[P.O. Box 1187] is used",
    "Address: [77 Quill Way #4]; phone",
    "City: [Quillville]",
    "in [Ottering County]",
    "zip code [02139] given",
    "ZIP: [021]",
    "[Denver CO 80202]",
    "[Quillville, OH] today",
    "resident of [Springfield] since",
    "grew up in [Quillville]",
    "[62701-4471]",
]

KEPT = [
    "12 LEAD ST ELEVATION",
    "3 PHASE CT CHEST",
    "128 SLICE CT, normal",
    "2 MM ST DEPRESSION",
    "walked 20 blocks down the street",
    "lives in Ohio",
    "6 Minute Walk test",
    "5 West Wing",
    "box 12",
    "Zorblatt, MD",
    "2 Dr visits",
]


@pytest.mark.parametrize("marked", FOUND)
def test_addresses_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_addresses_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
