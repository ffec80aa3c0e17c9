# SPDX-License-Identifier: Apache-2.0
"""Marked spans mark the same words after anonymization, or the whole stand-in; a row's pair is anonymized with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.text.anonymize import Anonymizer
from privacy.text.find.engines import Engine
from privacy.text.reading.records import Finding, Span, TextRow
from privacy.text.replace.replacement import rewrite
from privacy.text.replace.spans import carry
from privacy.text.settings import TextSettings

ALPHABET = "abcdefghij klmnop"


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, list[Finding], list[str], list[Span]]:
    text = draw(st.text(ALPHABET, min_size=2, max_size=40))
    cuts = sorted(set(draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=10))))
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
    findings = [Finding(start, end, "PERSON", 1.0, "t") for start, end in pairs]
    written = draw(st.lists(st.text("XYZ", min_size=1, max_size=9), min_size=len(pairs), max_size=len(pairs)))
    borders = st.tuples(st.integers(0, len(text) - 1), st.integers(1, 12))
    spans = [Span(start, min(len(text), start + size), "x") for start, size in draw(st.lists(borders, max_size=5))]
    return text, findings, written, spans


@given(cases())
def test_a_span_keeps_its_words_and_takes_whole_stand_ins(
    case: tuple[str, list[Finding], list[str], list[Span]],
) -> None:
    """Its words outside of findings stay; of a finding that it touches it holds all that stands in its place."""
    text, findings, written, spans = case
    stand_ins = iter(written)
    new = rewrite(text, findings, lambda kind, words: next(stand_ins))
    of_finding = dict(zip(new.findings, written, strict=False))
    for before, after in zip(spans, carry(spans, new), strict=True):
        assert after.label == before.label
        expected, at = "", before.start
        for finding in new.findings:
            if finding.start < before.end and finding.end > before.start:
                expected += text[at : finding.start] + of_finding[finding]
                at = finding.end
        expected += text[at : before.end]
        assert new.text[after.start : after.end] == expected


def test_a_marked_name_comes_out_as_its_tag(engine: Engine, settings: TextSettings) -> None:
    text = "Patient: Quenby Zorblatt has asthma and eczema."
    spans = (Span(16, 24, "half a name"), Span(29, 35, "disease"), Span(40, 46, "disease"))
    row = TextRow("r", text, None, None, (), spans, "Is Quenby Zorblatt, MRN 4827112, well?")
    (record,), report = Anonymizer(engine, settings).run([row])
    assert [record.text[span.start : span.end] for span in record.spans] == ["<PERSON>", "asthma", "eczema"]
    assert record.pair is not None
    assert "4827112" not in record.pair
    assert record.pair_findings
    counted = sum(count.count for count in report.findings)
    assert counted == len(record.findings) + len(record.pair_findings)
    assert report.rows == report.returned == 1


def test_a_row_goes_with_its_pair() -> None:
    class Broken:
        fingerprint = "0" * 64

        def analyze(self, text: str) -> list[Finding]:
            if "bad" in text:
                raise ValueError
            return []

    rows = [TextRow("a", "fine", None, None, (), (), "bad"), TextRow("b", "fine", None, None, (), (), "well")]
    records, report = Anonymizer(Broken(), TextSettings(max_refused_fraction=0.6)).run(rows)
    assert [(record.record_id, record.text, record.pair) for record in records] == [("b", "fine", "well")]
    assert report.refused == (("analysis_failed", 1),)


def test_no_repr_shows_a_mark_or_a_pair() -> None:
    span = Span(0, 6, "secret")
    row = TextRow("r", "secret", None, None, (), (span,), "secret")
    assert "secret" not in repr(span) + repr(row)


@pytest.mark.parametrize("end", [3, 5])
def test_a_border_at_a_findings_border_stays_there(end: int) -> None:
    new = rewrite("ab cd ef", [Finding(3, 5, "PERSON", 1.0, "t")])
    ((start, stop),) = [(span.start, span.end) for span in carry([Span(0, end, "x")], new)]
    assert (start, new.text[start:stop]) == (0, "ab " if end == 3 else "ab <PERSON>")
