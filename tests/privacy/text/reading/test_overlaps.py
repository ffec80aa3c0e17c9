# SPDX-License-Identifier: Apache-2.0
"""Overlapping findings: nothing reported is lost, neighbours stay apart, and what can stand alone keeps its type."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.text.reading.overlaps import disjoint
from privacy.text.reading.records import Finding
from privacy.text.replace.replacement import rewrite

TYPES = ["PERSON", "LOCATION", "PHONE_NUMBER", "DATE_TIME"]


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, list[Finding]]:
    text = draw(st.text(alphabet="ab1 ,-(\n", min_size=1, max_size=30))
    spans = draw(st.lists(st.tuples(st.integers(0, len(text) - 1), st.integers(1, 14)), max_size=8))
    scores = st.sampled_from([0.3, 0.5, 0.9])
    return text, [
        Finding(start, min(len(text), start + length), draw(st.sampled_from(TYPES)), draw(scores), "test")
        for start, length in spans
    ]


def tagged(text: str, *spans: tuple[str, str, float]) -> str:
    findings = [Finding(text.index(s), text.index(s) + len(s), kind, score, "test") for s, kind, score in spans]
    return rewrite(text, findings).text


@given(cases())
def test_no_reported_character_but_white_space_is_lost_and_none_is_added(case: tuple[str, list[Finding]]) -> None:
    text, findings = case
    resolved = disjoint(text, findings)
    reported = {i for f in findings for i in range(f.start, f.end)}
    covered = {i for f in resolved for i in range(f.start, f.end)}
    assert covered <= reported
    assert all(text[i].isspace() for i in reported - covered)
    assert all(a.end <= b.start for a, b in pairwise(resolved))


@given(cases())
def test_a_part_has_a_type_that_was_reported_for_some_of_it(case: tuple[str, list[Finding]]) -> None:
    text, findings = case
    for part in disjoint(text, findings):
        assert any(f.entity_type == part.entity_type and f.start < part.end and part.start < f.end for f in findings)


@given(cases())
def test_what_is_disjoint_stays_as_it_is(case: tuple[str, list[Finding]]) -> None:
    resolved = disjoint(*case)
    assert disjoint(case[0], resolved) == resolved


@given(cases())
def test_the_only_type_with_the_highest_score_keeps_its_whole_spans(case: tuple[str, list[Finding]]) -> None:
    text, findings = case
    best = [f for f in findings if f.score == max(f.score for f in findings)]
    if len({f.entity_type for f in best}) == 1:
        parts = [part for part in disjoint(text, findings) if part.entity_type == best[0].entity_type]
        assert all(any(part.start <= f.start and f.end <= part.end for part in parts) for f in best)


@pytest.mark.parametrize(
    ("text", "spans", "expected"),
    [
        ("Smith, Jones", [("Smith", "PERSON", 0.8), ("Jones", "PERSON", 0.8)], "<PERSON>, <PERSON>"),
        (
            "a@x.org b@x.org c@x.org",
            [(f"{name}@x.org", "EMAIL_ADDRESS", 1.0) for name in "abc"],
            "<EMAIL_ADDRESS> <EMAIL_ADDRESS> <EMAIL_ADDRESS>",
        ),
        (
            "Lopez (555) 010-2222",
            [("Lopez (555", "PERSON", 0.6), ("(555) 010-2222", "PHONE_NUMBER", 0.75)],
            "<PERSON> <PHONE_NUMBER>",
        ),
        ("Maria Lopez", [("Maria Lopez", "PERSON", 0.6), ("Lopez", "PERSON", 0.9)], "<PERSON>"),
        ("abcd", [("abc", "PERSON", 0.5), ("bcd", "DATE_TIME", 0.9)], "<DATE_TIME>"),
        ("H-123-4567", [("H-123-4567", "ID_NUMBER", 0.5), ("123-4567", "PHONE_NUMBER", 0.6)], "<PHONE_NUMBER>"),
        (
            "12 Elm Street 1999 Springfield",
            [("12 Elm Street 1999 Springfield", "LOCATION", 0.5), ("1999", "DATE_TIME", 0.6)],
            "<LOCATION> <DATE_TIME> <LOCATION>",
        ),
        ("Lopez, Dallas", [("Lopez, Dallas", "PERSON", 0.5), ("Dallas", "LOCATION", 0.9)], "<PERSON> <LOCATION>"),
    ],
)
def test_neighbours_and_overlaps(text: str, spans: list[tuple[str, str, float]], expected: str) -> None:
    assert tagged(text, *spans) == expected
