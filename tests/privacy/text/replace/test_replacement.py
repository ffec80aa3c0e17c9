# SPDX-License-Identifier: Apache-2.0
"""Replacement: whatever was found is gone, spans are disjoint, tags are never touched again."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.base.errors import AnonymizationError
from privacy.text.reading.records import ENTITY_TYPES, Finding
from privacy.text.reading.view import TAG, read
from privacy.text.replace.replacement import rewrite

TYPES = sorted(ENTITY_TYPES)


@st.composite
def text_and_findings(draw: st.DrawFn) -> tuple[str, list[Finding]]:
    pieces = st.one_of(
        st.text(max_size=8), st.sampled_from(["<PERSON>", "<US_SSN>", "<SMITH>", " ", "é", "😀", "\r\n"])
    )
    text = "x" + "".join(draw(st.lists(pieces, max_size=8)))
    spans = draw(st.lists(st.tuples(st.integers(0, len(text) - 1), st.integers(1, 12)), max_size=6))
    findings = [
        Finding(start, min(len(text), start + length), draw(st.sampled_from(TYPES)), draw(st.floats(0, 1)), "test")
        for start, length in spans
    ]
    return text, findings


@given(text_and_findings())
def test_every_found_character_outside_tags_is_replaced_and_nothing_else(case: tuple[str, list[Finding]]) -> None:
    text, findings = case
    new = rewrite(text, findings)
    replaced, resolved = new.text, new.findings
    tagged = {i for tag in TAG.finditer(text) for i in range(*tag.span())}
    found = {i for f in findings for i in range(f.start, f.end)} - tagged
    covered = {i for f in resolved for i in range(f.start, f.end)}
    assert covered <= found
    assert all(text[i].isspace() for i in found - covered)
    assert all(a.end <= b.start for a, b in pairwise(resolved))
    outside = "".join(c for i, c in enumerate(text) if i not in covered)
    assert len(replaced) == len(outside) + sum(len(f.entity_type) + 2 for f in resolved)


@given(text_and_findings())
def test_tags_survive_any_finding_on_them(case: tuple[str, list[Finding]]) -> None:
    replaced = rewrite(*case).text
    on_tags = [Finding(*tag.span(), "PERSON", 1.0, "test") for tag in TAG.finditer(replaced)]
    again = rewrite(replaced, on_tags)
    assert (again.text, again.findings) == (replaced, ())


@given(text_and_findings())
def test_the_order_of_findings_does_not_matter(case: tuple[str, list[Finding]]) -> None:
    text, findings = case
    assert rewrite(text, findings) == rewrite(text, reversed(findings))


def test_neighbours_stay_two_and_overlaps_take_the_strongest_label() -> None:
    touching = [Finding(0, 2, "PERSON", 0.5, "a"), Finding(2, 4, "PERSON", 0.5, "a")]
    assert rewrite("abcd", touching).text == "<PERSON><PERSON>"
    overlapping = [Finding(0, 3, "PERSON", 0.5, "a"), Finding(1, 4, "DATE_TIME", 0.9, "b")]
    assert rewrite("abcd", overlapping).text == "<DATE_TIME>"


@pytest.mark.parametrize(
    "bad", [Finding(0, 9, "PERSON", 1.0, "a"), Finding(2, 2, "PERSON", 1.0, "a"), Finding(0, 1, "NONSENSE", 1.0, "a")]
)
def test_a_finding_that_makes_no_sense_is_refused_without_its_words(bad: Finding) -> None:
    with pytest.raises(AnonymizationError) as caught:
        rewrite("abcd", [bad])
    assert "abcd" not in str(caught.value)


@given(st.text(max_size=60))
def test_a_view_maps_every_character_back_into_the_text(text: str) -> None:
    view = read(text)
    for index in range(len(view.text)):
        original = view.to_original(Finding(index, index + 1, "PERSON", 1.0, "test"))
        assert 0 <= original.start < original.end <= len(text)
