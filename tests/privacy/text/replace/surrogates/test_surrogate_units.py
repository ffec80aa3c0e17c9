# SPDX-License-Identifier: Apache-2.0
"""Surrogates through the anonymizer: nothing reported survives, nothing crosses from one unit to another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from privacy.base.errors import AnonymizationError
from privacy.text.anonymize import Anonymizer
from privacy.text.lists import words
from privacy.text.reading.modes import ReplacementSettings, modes_of
from privacy.text.reading.records import ENTITY_TYPES, AnonymizedRecord, Finding, TextRow
from privacy.text.reading.view import TAG
from privacy.text.replace.replacement import rewrite
from privacy.text.replace.surrogates import names, places
from privacy.text.replace.surrogates.keyed import SurrogateKey, UnitKey
from privacy.text.replace.surrogates.unit import UnitReplacement
from privacy.text.run.cache import SpanCache
from privacy.text.settings import TextSettings

UNHURRIED = limits(deadline=None)  # the first use of a list reads it
KEY = bytes(range(32))
SURROGATES = TextSettings(replacement=ReplacementSettings(default="surrogate"))
PERSONS = ("Maria Lopez", "Ms Lopez", "Karl Oldham", "Oldham", "Anna Berg", "LOPEZ")
MARKED = re.compile(r"\[([A-Z_]+):([^\]]+)\]")


class Marked:
    """An engine that finds what a test has marked: `[PERSON:Maria Lopez]`."""

    fingerprint = "0" * 64

    def analyze(self, text: str) -> list[Finding]:
        return [Finding(m.start(2), m.end(2), m.group(1), 1.0, "marked") for m in MARKED.finditer(text)]


def anonymize(
    rows: Sequence[TextRow],
    unit: Literal["record", "patient"] = "patient",
    *,
    settings: TextSettings = SURROGATES,
    key: bytes = KEY,
) -> list[AnonymizedRecord]:
    return Anonymizer(Marked(), settings, key=SurrogateKey(key, unit)).run(rows)[0]


def texts(records: Sequence[AnonymizedRecord]) -> dict[str, str]:
    return {record.record_id: record.text for record in records}


NOTES = st.lists(
    st.one_of(
        st.sampled_from([f"[PERSON:{name}]" for name in PERSONS]),
        st.sampled_from(["[DATE_TIME:3/14/2020]", "[PHONE_NUMBER:312-867-5309]", "[LOCATION:Springfield]", "seen"]),
    ),
    min_size=1,
    max_size=5,
).map(" ".join)
UNITS = st.lists(st.lists(NOTES, min_size=1, max_size=3), min_size=1, max_size=4)


def rows_of(units: Sequence[Sequence[str]], first: int = 0) -> list[TextRow]:
    return [
        TextRow(f"{patient}/{number}", text, "label", f"patient {patient}")
        for patient, notes in enumerate(units, first)
        for number, text in enumerate(notes)
    ]


@UNHURRIED
@given(st.lists(NOTES, min_size=1, max_size=3), UNITS, UNITS, st.sampled_from(["patient", "record"]), st.booleans())
def test_a_units_text_is_the_same_whatever_other_units_hold(
    own: list[str], one: list[list[str]], two: list[list[str]], unit: Literal["record", "patient"], ours_first: bool
) -> None:
    ours = rows_of([own])
    alone = texts(anonymize(ours, unit))
    for others in (rows_of(one, 1), rows_of(two, 1)):
        together = texts(anonymize([*ours, *others] if ours_first else [*others, *ours], unit))
        assert {record: together[record] for record in alone} == alone


@UNHURRIED
@given(NOTES, NOTES)
def test_under_unit_record_the_rows_of_a_patient_do_not_touch_each_other(one: str, two: str) -> None:
    rows = [TextRow("1", one, None, "p"), TextRow("2", two, None, "p")]
    assert texts(anonymize(rows, "record"))["1"] == texts(anonymize(rows[:1], "record"))["1"]


def test_rows_with_one_id_are_units_of_their_own() -> None:
    rows = [TextRow("1", "[PERSON:Maria Lopez]", None, None), TextRow("1", "[PERSON:Karl Oldham]", None, None)]
    for unit in ("record", "patient"):
        assert [anonymize([row], unit)[0].text for row in rows] == [r.text for r in anonymize(rows, unit)]  # type: ignore[arg-type]


def test_a_patient_has_one_surrogate_in_all_notes_and_other_units_and_sites_have_others() -> None:
    note = "[PERSON:Maria Lopez], [PHONE_NUMBER:312-867-5309], [LOCATION:Springfield], [DATE_TIME:3/14/2020]"
    rows = [TextRow(str(i), note, None, f"p{i // 2}") for i in range(4)]
    one, two, three, four = (record.text for record in anonymize(rows))
    assert one == two != three == four
    assert len({record.text for record in anonymize(rows, "record")}) == 4
    assert anonymize(rows, key=bytes(32))[0].text != one
    assert [record.text for record in anonymize(rows)] == [one, two, three, four]


def test_the_cache_serves_every_mode(tmp_path: Path) -> None:
    rows = [TextRow("1", "[PERSON:Maria Lopez] on [DATE_TIME:3/14/2020]", None, "p")]
    with SpanCache(tmp_path / "spans.sqlite", KEY) as cache:
        tagged, tags = Anonymizer(Marked(), TextSettings(), cache).run(rows)
        invented, surrogates = Anonymizer(Marked(), SURROGATES, cache, SurrogateKey(KEY, "patient")).run(rows)
    assert (tags.from_cache, surrogates.from_cache) == (0, 1)
    assert tagged[0].findings == invented[0].findings
    assert tagged[0].text == "[PERSON:<PERSON>] on [DATE_TIME:<DATE_TIME>]"
    assert texts(invented) == texts(anonymize(rows))
    assert tags.replacement_digest != surrogates.replacement_digest
    assert tags.findings == surrogates.findings


def test_surrogates_without_a_key_are_refused() -> None:
    with pytest.raises(AnonymizationError, match="key"):
        Anonymizer(Marked(), SURROGATES).run([TextRow("1", "[PERSON:Maria Lopez]", None, None)])
    with pytest.raises(ValueError, match="32 bytes"):
        SurrogateKey(b"short", "record")
    assert "\\x" not in repr(SurrogateKey(KEY, "record")) + repr(UnitKey(KEY))


def test_what_is_kept_is_no_finding_and_an_old_age_is_never_kept() -> None:
    kept = TextSettings(replacement=ReplacementSettings(by_type={"AGE": "keep", "MONEY": "keep"}))
    rows = [TextRow("1", "[AGE:45] [AGE:92] [AGE:6 months] [MONEY:$5] [PERSON:Maria]", None, None)]
    (record,) = anonymize(rows, settings=kept)
    assert record.text == "[AGE:45] [AGE:90+] [AGE:<AGE>] [MONEY:$5] [PERSON:<PERSON>]"
    assert [finding.entity_type for finding in record.findings] == ["AGE", "AGE", "PERSON"]


def test_generalized_text_says_less() -> None:
    modes = {"AGE": "generalize", "LOCATION": "generalize", "DATE_TIME": "generalize"}
    settings = TextSettings(replacement=ReplacementSettings(by_type=modes))
    text = (
        "[AGE:45] [LOCATION:62704] [LOCATION:03601] [LOCATION:Springfield] [DATE_TIME:March 3, 2020] [DATE_TIME:3/14]"
    )
    (record,) = anonymize([TextRow("1", text, None, None)], settings=settings)
    assert MARKED.sub(r"\2", record.text) == "40-49 627 000 <LOCATION> 2020 <DATE_TIME>"
    british = settings.model_copy(update={"countries": ("GB",)})
    (record,) = anonymize([TextRow("1", "[LOCATION:62704]", None, None)], settings=british)
    assert record.text == "[LOCATION:<LOCATION>]"


# No reported character survives ---------------------------------------------------------------------------------------

_ALLOWED = frozenset({"org", "example", "com", "www", "http", "https", "x", "ext", "extension"})


def surviving(original: str, written: str) -> set[str]:
    """Words and numbers of three characters and more that stand in both, but for words that say a kind of thing."""
    found = [set(re.findall(r"[^\W\d_]{3,}|\d{3,}", text.casefold())) for text in (original, written)]
    kinds = words("kinds_of_place") | places.JOINING | names.TITLES | names.AFTER_NAME | names.PARTICLES | _ALLOWED
    return (found[0] & found[1]) - kinds


WORDS = st.sampled_from(
    [
        "Maria", "Lopez", "LOPEZ", "O'Brien", "Smith-Jones", "van", "der", "Berg", "Springfield", "Hospital", "Street",
        "IL", "62704", "312-867-5309", "(555)", "4711", "H-12", "3/14/2020", "March", "2020", "Tuesday", "a@b.org",
        "www.ward.example", "10.1.2.3", "李娜", "\U0001f600", "x\u0301", "45", "ninety-two", "$5", "<PERSON>", "\u200b",
        ",", "Dr.", "the", "of",
    ]
)  # fmt: skip


@st.composite
def any_case(draw: st.DrawFn) -> tuple[str, list[Finding]]:
    text = " ".join(draw(st.lists(st.one_of(WORDS, st.text(max_size=4)), min_size=1, max_size=10))) or "x"
    spans = draw(st.lists(st.tuples(st.integers(0, len(text) - 1), st.integers(1, 25)), max_size=6))
    kinds = st.sampled_from(sorted(ENTITY_TYPES))
    scores = st.sampled_from([0.3, 0.6, 0.9])
    return text, [Finding(a, min(len(text), a + n), draw(kinds), draw(scores), "test") for a, n in spans]


@UNHURRIED
@given(any_case(), st.binary(min_size=32, max_size=32))
def test_no_reported_word_or_number_survives_under_surrogates(case: tuple[str, list[Finding]], key: bytes) -> None:
    text, findings = case
    resolved = rewrite(text, findings).findings
    found = [(f.entity_type, text[f.start : f.end]) for f in resolved]
    unit = UnitReplacement(SURROGATES, UnitKey(key), found)
    for kind, original in found:
        written = unit.write(kind, original)
        assert written is not None
        assert written != original or not any(map(str.isalnum, original))
        if kind in ("PERSON", "LOCATION", "ORGANIZATION"):
            assert not surviving(original, written)
        if kind in ("AGE", "MONEY", "DEMOGRAPHIC", "SITE_TERM"):
            assert TAG.fullmatch(written) or kind == "AGE"


@UNHURRIED
@given(any_case(), st.data())
def test_reported_characters_are_gone_whatever_the_mode(case: tuple[str, list[Finding]], data: st.DataObject) -> None:
    text, findings = case
    modes = {kind: data.draw(st.sampled_from(modes_of(kind))) for kind in {f.entity_type for f in findings}}
    settings = TextSettings(replacement=ReplacementSettings(by_type=modes))
    resolved = rewrite(text, findings).findings
    unit = UnitReplacement(settings, UnitKey(KEY), [(f.entity_type, text[f.start : f.end]) for f in resolved])
    new = rewrite(text, findings, unit.write)
    written, replaced = new.text, new.findings
    pieces, position = [], 0
    for finding in resolved:
        stand_in = unit.write(finding.entity_type, text[finding.start : finding.end])
        assert (stand_in is None) == (finding not in replaced)
        assert stand_in is not None or modes[finding.entity_type] == "keep"
        pieces += [text[position : finding.start], text[finding.start : finding.end] if stand_in is None else stand_in]
        position = finding.end
    assert written == "".join([*pieces, text[position:]])


@UNHURRIED
@given(any_case())
def test_tagging_twice_changes_nothing(case: tuple[str, list[Finding]]) -> None:
    tagged = rewrite(*case).text
    again = [Finding(*tag.span(), "PERSON", 1.0, "test") for tag in TAG.finditer(tagged)]
    assert rewrite(tagged, again).text == tagged


EXAMPLES = {
    "PERSON": ["Maria Lopez", "Ms Lopez", "LOPEZ", "M. Lopez", "Dr. Karl O'Brien-Smith"],
    "LOCATION": ["12 Elm Street, Springfield, IL 62704"],
    "ORGANIZATION": ["Elmwood General Hospital"],
    "PHONE_NUMBER": ["(312) 867-5309", "+44 20 7946 0958"],
    "US_SSN": ["123-45-6789"],
    "EMAIL_ADDRESS": ["maria.lopez@ward.local"],
    "IP_ADDRESS": ["10.1.2.3"],
    "MEDICAL_RECORD_NUMBER": ["H-12345"],
    "DATE_TIME": ["3/14/2020", "Saturday, March 14th, 2020", "March 2020", "2020", "Tuesday"],
    "AGE": ["45-year-old", "92"],
}
DOCS = (Path(__file__).resolve().parents[5] / "docs" / "anonymization.md").read_text("utf-8")


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_examples_in_the_docs_are_what_is_written(kind: str) -> None:
    found = [(entity_type, original) for entity_type, originals in EXAMPLES.items() for original in originals]
    unit = UnitReplacement(SURROGATES, SurrogateKey(KEY, "patient").of_patient("p1"), found)
    for original in EXAMPLES[kind]:
        assert f"`{original}`" in DOCS
        assert f"`{unit.write(kind, original)}`" in DOCS, f"{original} becomes {unit.write(kind, original)}"
