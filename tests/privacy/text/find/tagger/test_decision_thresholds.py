# SPDX-License-Identifier: Apache-2.0
"""Ordinary words must be nearly certain to be names, names need hardly a doubt."""

from __future__ import annotations

import pytest

from privacy.text.find.tagger.decision_thresholds import DecisionThresholds, Thresholds
from privacy.text.find.tagger.network import load_backbone

KINDS = Thresholds(ordinary=0.1, strange=0.2, capitalised=0.3, number=0.35, other=0.4)


@pytest.fixture(scope="module")
def thresholds() -> DecisionThresholds:
    return DecisionThresholds(load_backbone().tokenizer, KINDS)


@pytest.mark.parametrize("word", ["patient", "the", "mother", "swelling"])
def test_an_ordinary_word_in_lower_case(thresholds: DecisionThresholds, word: str) -> None:
    assert thresholds.threshold(word) == KINDS.ordinary


@pytest.mark.parametrize("word", ["favism", "aniridia", "PKU", "G6PD", "CD20", "zorblatt"])
def test_a_strange_word_in_lower_case_short_capitals_and_letters_with_digits(
    thresholds: DecisionThresholds, word: str
) -> None:
    assert thresholds.threshold(word) == KINDS.strange


@pytest.mark.parametrize("word", ["Patient", "Mother", "SWELLING"])
def test_an_ordinary_word_with_a_capital(thresholds: DecisionThresholds, word: str) -> None:
    assert thresholds.threshold(word) == KINDS.capitalised


@pytest.mark.parametrize(
    "word", ["maria", "Maria", "lopez", "Zorblatt", "ZORBLATT", "1979", "4471022", "José", "Springfield"]
)
def test_names_in_any_case_strange_words_with_a_capital_and_numbers(thresholds: DecisionThresholds, word: str) -> None:
    assert thresholds.threshold(word) == KINDS.other


def test_a_short_number(thresholds: DecisionThresholds) -> None:
    assert thresholds.threshold("447") == KINDS.number
