# SPDX-License-Identifier: Apache-2.0
"""The words around a match are those that Presidio's enhancer reads off the whole text's tokens."""

from __future__ import annotations

import pytest
import spacy
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer

from privacy.text.find.engines._context import Context, Stretches
from simulations.benchmarks.name_model.analyzer import LowerCaseTokenizer

STRETCHES = Stretches("en")
PRESIDIO = LemmaContextAwareEnhancer()
TOKENIZER = LowerCaseTokenizer("en")
TOKENIZER.load()
BLANK = spacy.blank("en")

WORDS = (
    "the be BE on on:off :the the: , : ; ) ( :( :-) :-D 8 8) D :o) o) he's He's a.m. 10a.m. p.m . ' '' cell "
    "(617) 555-0199 12:30 http://a:b - -- and/or w/o — é Σ İstanbul ﬁ 漢字 :) (-: a:be:c ::"
)
PIECES = st.sampled_from(WORDS.split())
GAPS = st.sampled_from([" ", " ", " ", "", "  ", "   ", "\n", "\r\n", " \n", "\n ", "\t", "\u00a0", " \u2003", "\x1c"])
TEXTS = st.lists(st.tuples(GAPS, PIECES), min_size=1, max_size=40).map(lambda ps: "".join(a + b for a, b in ps))


def expected(text: str, start: int) -> set[str]:
    return set(PRESIDIO._extract_surrounding_words(TOKENIZER.process_text(text, "en"), text[start], start))


@hypothesis_settings(max_examples=200, deadline=None, derandomize=True)
@given(TEXTS, st.floats(0, 0.999))
def test_the_words_are_presidios_wherever_a_match_starts(text: str, where: float) -> None:
    start = int(where * len(text))
    try:
        want = expected(text, start)
    except ValueError:
        with pytest.raises(ValueError, match="no token reaches"):
            Context(text, STRETCHES).words(start)
    else:
        assert Context(text, STRETCHES).words(start) == want


def test_no_special_case_with_a_colon_has_a_part_that_is_no_keyword_elsewhere() -> None:
    vocabulary = BLANK.vocab
    for rule in BLANK.tokenizer.rules:
        lower = rule.lower()
        if ":" in rule and not (vocabulary[lower].is_stop or vocabulary[lower].is_punct):
            parts = [part for part in lower.split(":") if part]
            assert not any(vocabulary[part].is_stop or part == "be" for part in parts)


def test_a_tokenizer_built_anew_makes_the_same_tokens() -> None:
    small = Stretches("en", capacity=3)
    text = "call her cell at home or (617) 555-0199 : ( before 10a.m. on:off"
    for start in (0, 5, 25, 31, 40):
        assert Context(text, small).words(start) == expected(text, start)


@hypothesis_settings(max_examples=300, deadline=None, derandomize=True)
@given(st.from_regex(r"[A-Za-z]{1,12},?", fullmatch=True) | st.sampled_from(sorted(BLANK.tokenizer.rules)))
def test_a_plain_word_is_cut_as_spacy_cuts_it(piece: str) -> None:
    doc = BLANK.make_doc(piece)
    assert [(t.lower, t.end) for t in STRETCHES.of(piece)] == [(t.lower_, t.idx + len(t)) for t in doc]
