# SPDX-License-Identifier: Apache-2.0
"""What is coloured is what was replaced, in tags and in any other replacement."""

from __future__ import annotations

import time
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from client.review.highlight import KINDS, OTHER, after, before, kind_of
from privacy.text.reading.records import ENTITY_TYPES, AnonymizedRecord, Finding
from privacy.text.replace.replacement import rewrite


def replaced_by(text: str, findings: tuple[Finding, ...], words: list[str]) -> AnonymizedRecord:
    position, pieces = 0, []
    for finding, word in zip(findings, words, strict=True):
        pieces += [text[position : finding.start], word]
        position = finding.end
    return AnonymizedRecord("r", "".join([*pieces, text[position:]]), None, None, findings)


@st.composite
def found(draw: st.DrawFn) -> tuple[str, tuple[Finding, ...]]:
    text = draw(st.text("ab <>.", max_size=40))
    edges = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    return text, tuple(Finding(start, end, "PERSON", 0.5, "test") for start, end in pairs)


@settings(deadline=None)
@given(found())
def test_the_pieces_of_both_sides_are_the_whole_texts_and_each_finding_has_one(
    case: tuple[str, tuple[Finding, ...]],
) -> None:
    text, findings = case
    new = rewrite(text, findings)
    anonymized, resolved = new.text, new.findings
    record = AnonymizedRecord("r", anonymized, None, None, resolved)
    assert "".join(piece.text for piece in before(text, resolved)) == text
    right = after(text, record)
    assert "".join(piece.text for piece in right) == anonymized
    assert [piece.text for piece in right if piece.finding] == [f"<{f.entity_type}>" for f in resolved]


@settings(deadline=None)
@given(found(), st.data())
def test_a_surrogate_is_found_between_what_was_kept(case: tuple[str, tuple[Finding, ...]], data: st.DataObject) -> None:
    text, findings = case
    words = data.draw(st.lists(st.text("xyz", min_size=1, max_size=9), min_size=len(findings), max_size=len(findings)))
    record = replaced_by(text, findings, words)
    right = after(text, record)
    assert "".join(piece.text for piece in right) == record.text
    assert [piece.finding for piece in right if piece.finding] == list(findings) or "" in _between(text, findings)


def _between(text: str, findings: tuple[Finding, ...]) -> list[str]:
    return [text[one.end : two.start] for one, two in pairwise(findings)]


def test_a_text_that_fits_no_reading_is_one_piece() -> None:
    finding = Finding(0, 4, "PERSON", 0.5, "test")
    (piece,) = after("Jane came", AnonymizedRecord("r", "something else", None, None, (finding,)))
    assert piece.text == "something else"
    assert piece.finding is None


def test_hundreds_of_findings_take_no_time() -> None:
    text = "a b " * 2000
    findings = tuple(Finding(at, at + 1, "PERSON", 0.5, "test") for at in range(0, len(text), 4))
    record = replaced_by(text, findings, ["b b"] * len(findings))
    started = time.process_time()
    assert "".join(piece.text for piece in after(text, record)) == record.text
    assert time.process_time() - started < 5


def test_every_type_has_a_kind_and_every_kind_is_of_real_types() -> None:
    assert {kind_of(entity_type) for entity_type in ENTITY_TYPES} == {*KINDS, OTHER}
