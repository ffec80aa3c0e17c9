# SPDX-License-Identifier: Apache-2.0
"""The measures of bench-anonymize on labelled text, against what a person would count."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

TEXT = "Mr Ivo Brezina, born in Olten, called 555-0136."
GOLD = ((0, 14, "PERSON", "DIRECT"), (24, 29, "GPE", "QUASI"), (38, 46, "PHONE_NUMBER", "DIRECT"))


@pytest.fixture(scope="module")
def spans() -> ModuleType:
    from simulations.benchmarks import spans

    return spans


def documents(spans: ModuleType) -> list[object]:
    return [spans.Document(TEXT, tuple(spans.Gold(*one) for one in GOLD))]


def masked(spans: ModuleType, *found: tuple[int, int, str]) -> list[list[object]]:
    return [[spans.Masked(*one) for one in found]]


def test_an_honorific_may_stay_unless_the_literal_measure_is_asked(spans: ModuleType) -> None:
    found, person = masked(spans, (3, 14, "PERSON")), spans.of_types("PERSON")
    assert spans.spans_masked(documents(spans), found, person) == (1, 1)
    assert spans.spans_masked(documents(spans), found, person, spans.LITERAL) == (0, 1)


def test_one_letter_left_of_a_name_is_a_leak_and_a_hyphen_is_none(spans: ModuleType) -> None:
    assert spans.spans_masked(documents(spans), masked(spans, (3, 13, "PERSON")), spans.of_types("PERSON")) == (0, 1)
    phone = masked(spans, (38, 41, "PHONE_NUMBER"), (42, 46, "PHONE_NUMBER"))
    assert spans.spans_masked(documents(spans), phone, spans.of_types("PHONE_NUMBER")) == (1, 1)


def test_a_span_counts_as_masked_whatever_the_replacement_is_called(spans: ModuleType) -> None:
    found = masked(spans, (3, 7, "LOCATION"), (7, 14, "ORGANIZATION"))
    assert spans.spans_masked(documents(spans), found, spans.of_types("PERSON")) == (1, 1)


def test_a_document_leaks_if_any_of_its_direct_identifiers_is_left(spans: ModuleType) -> None:
    direct = spans.of_types("PERSON", "PHONE_NUMBER")
    assert spans.documents_leaking(documents(spans), masked(spans, (3, 14, "PERSON")), direct) == (1, 1)
    both = masked(spans, (3, 14, "PERSON"), (38, 46, "PHONE_NUMBER"))
    assert spans.documents_leaking(documents(spans), both, direct) == (0, 1)
    assert spans.documents_leaking(documents(spans), both, spans.of_types("US_SSN")).share is None


def test_recall_asks_for_whole_tokens_and_precision_for_touched_ones(spans: ModuleType) -> None:
    found = masked(spans, (0, 12, "PERSON"), (16, 20, "DATE_TIME"))  # "Mr Ivo Brezi", "born"
    assert spans.tokens_masked(documents(spans), found, lambda gold: True) == (2, 6)  # Mr, Ivo of 6 gold tokens
    assert spans.tokens_masked(documents(spans), found, spans.of_types("PERSON"), whole=False) == (3, 3)
    assert spans.tokens_right(documents(spans), found) == (3, 4)
    assert spans.tokens_right(documents(spans), found, "PERSON", spans.of_types("PERSON")) == (3, 3)
    assert spans.words_touched(documents(spans), found) == (4, 9)


def test_a_document_without_a_finding_keeps_every_word(spans: ModuleType) -> None:
    assert spans.words_touched(documents(spans), [[]]) == (0, 9)
    assert spans.tokens_right(documents(spans), [[]]).share is None


def test_tags_become_spans_of_the_joined_text(spans: ModuleType, tmp_path: Path) -> None:
    row = {
        "text": "Ada Zeman met Uwe Bor in Thun",
        "tokens": ["Ada", "Zeman", "met", "Uwe", "Bor", "in", "Thun"],
        "tags": ["B-person", "I-person", "O", "B-person", "B-person", "O", "I-location"],
    }
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    (document,) = spans.read(tmp_path / "rows.jsonl")
    assert [(document.text[g.start : g.end], g.type) for g in document.gold] == [
        ("Ada Zeman", "person"),
        ("Uwe", "person"),
        ("Bor", "person"),
        ("Thun", "location"),
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"text": "Ada Zeman", "spans": [{"start": 0, "end": 4, "type": "PERSON", "value": "Ada"}]},
        {"text": "Ada  Zeman", "tokens": ["Ada", "Zeman"], "tags": ["O", "O"]},
    ],
)
def test_labels_that_do_not_fit_their_text_are_refused_without_showing_it(
    spans: ModuleType, tmp_path: Path, row: dict[str, object]
) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(ValueError, match="row 0") as refused:
        spans.read(tmp_path / "rows.jsonl")
    assert "Ada" not in str(refused.value)


@given(st.lists(st.tuples(st.integers(0, len(TEXT)), st.integers(0, len(TEXT))), max_size=6))
def test_masking_more_never_masks_less(spans: ModuleType, pairs: list[tuple[int, int]]) -> None:
    found = [(min(pair), max(pair), "PERSON") for pair in pairs]
    counts = [
        (
            spans.spans_masked(documents(spans), masked(spans, *found[:n]), lambda gold: True).found,
            spans.tokens_masked(documents(spans), masked(spans, *found[:n]), lambda gold: True).found,
            spans.words_touched(documents(spans), masked(spans, *found[:n])).found,
        )
        for n in range(len(found) + 1)
    ]
    assert all(before <= after for one, other in pairwise(counts) for before, after in zip(one, other, strict=True))
