# SPDX-License-Identifier: Apache-2.0
"""Nationality, religion and work count where a person is described, and nowhere else. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import demographics, money
from privacy.text.settings import TextSettings

RECOGNIZER = demographics.Demographics(
    ["German", "Spanish", "Turkish", "French", "English", "Italian", "Mexican", "American"],
    ["Catholic", "Jewish", "Jehovah's Witness", "Baptist"],
    ["nurse", "school teacher", "teacher", "carpenter", "engineer", "historian", "truck driver"],
)

# (text, the words that must be found whole)
FOUND = [
    ("She is German.", "German"),
    ("SHE IS GERMAN.", "GERMAN"),
    ("a German national", "German"),
    ("the Spanish patient", "Spanish"),
    ("is of Italian descent", "Italian"),
    ("German-born", "German-born"),
    ("a 34-year-old Mexican who fell", "Mexican"),
    ("He is a Catholic", "Catholic"),
    ("Jewish man", "Jewish"),
    ("is a Jehovah's Witness", "Jehovah's Witness"),
    ("Religion: Baptist", "Baptist"),
    ("Race: White", "White"),
    ("nationality is Turkish", "Turkish"),
    ("Occupation: tool and die maker, retired", "tool and die maker"),
    ("works as a nurse", "nurse"),
    ("he works as a piano tuner at noon", "piano tuner"),
    ("a retired school teacher", "school teacher"),
    ("carpenter by trade", "carpenter"),
    ("employed as an engineer", "engineer"),
]
KEPT = [
    "German measles, Spanish flu, French toast, Turkish coffee",
    "is English language taught",
    "speaks Spanish",
    "German shepherd bite",
    "seen by nurse, the nurse called",
    "He is a poor historian",
    "furosemide works as a diuretic",
    "Religion: none",
    "truck drivers are",
]


@pytest.mark.parametrize(("text", "gone"), FOUND)
def test_a_description_of_a_person_is_found(text: str, gone: str) -> None:
    start = text.index(gone)
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, start + len(gone)))


@pytest.mark.parametrize("text", KEPT)
def test_diseases_food_languages_and_staff_stay(text: str) -> None:
    assert RECOGNIZER.find(text) == []


def test_a_site_may_keep_quasi_identifiers() -> None:
    keep = TextSettings(quasi_identifiers="keep")
    assert demographics.build(keep).find("Race: White, paid $500") == []
    assert money.build(keep).find("paid $500") == []
    assert demographics.build(TextSettings()).find("Race: White")
