# SPDX-License-Identifier: Apache-2.0
"""Marks come out of files as spans of the text, and a cell that cannot be read costs its row, never silently."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.data.annotations import MalformedAnnotations, join, read_spans, read_tags
from client.data.corpus import Corpus, load_corpus
from client.settings.site_settings import SiteFolder
from privacy.base.errors import SettingsError
from privacy.text.reading.records import Span

KEY = bytes(32)
Make = Callable[..., SiteFolder]
SITE = """
[site]
name = "hospital_a"
[policy]
unit = "record"
epsilon_limit = 8.0
delta = 1e-5
size_bucket = 32
[data]
files = ["../notes.jsonl"]
dataset = "notes"
record_column = "id"
"""
words = st.lists(st.text("abcé病", min_size=1, max_size=6), min_size=1, max_size=8)


@given(words, st.data())
def test_tags_become_spans_of_the_joined_words(spoken: list[str], data: st.DataObject) -> None:
    tags = data.draw(st.lists(st.sampled_from(["O", "B-x", "I-x", "B-y"]), min_size=len(spoken), max_size=len(spoken)))
    text, starts = join(json.dumps(spoken))
    spans = read_tags(json.dumps(tags), starts)
    assert text == " ".join(spoken)
    marked = [word for word, tag in zip(spoken, tags, strict=True) if tag != "O"]
    assert " ".join(text[span.start : span.end] for span in spans) == " ".join(marked)
    pairs = list(zip(tags, ["O", *tags], strict=False))
    begun = sum(tag[0] == "B" or (tag[0] == "I" and before[2:] != tag[2:]) for tag, before in pairs)
    assert len(spans) == begun


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "fever",
        "{}",
        "[1]",
        '[["a", 2, "x"]]',
        '[[0, 0, "x"]]',
        '[[0, 9, "x"]]',
        '[[0, 1, ""]]',
        '[[0, 1, "\\ud800"]]',
        "[[true, 1, 2]]",
        None,
        7,
    ],
)
def test_what_is_no_list_of_spans_within_the_text_is_malformed(cell: object) -> None:
    with pytest.raises(MalformedAnnotations):
        read_spans(cell, 5)


@pytest.mark.parametrize(("cell", "tags"), [('["a", ""]', "[]"), ('["a"]', '["B-"]'), ('["a"]', '["B-x", "O"]')])
def test_words_and_tags_must_fit(cell: str, tags: str) -> None:
    with pytest.raises(MalformedAnnotations):
        read_tags(tags, join(cell)[1])


@pytest.fixture
def site_with(tmp_path: Path) -> Make:
    def make(rows: list[dict[str, object]], data: str) -> SiteFolder:
        (tmp_path / "sites").mkdir(exist_ok=True)
        (tmp_path / "sites/hospital_a.toml").write_text(SITE + data)
        (tmp_path / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return SiteFolder(tmp_path / "sites/hospital_a.toml")

    return make


def corpus(make: Make, settings: str, *rows: dict[str, object]) -> Corpus:
    folder = make([{"id": f"r{at}", **row} for at, row in enumerate(rows)], settings)
    return load_corpus(folder, KEY)


def kept(found: Corpus) -> dict[str, tuple[str, str | None, tuple[Span, ...], str | None]]:
    rows = (*found.train, *found.dev, *found.test)
    return {row.record_id: (row.text, row.label, row.spans, row.pair) for row in rows}


def test_each_kind_of_column_is_read(site_with: Make) -> None:
    found = corpus(
        site_with,
        'label_column = ""\nwords_column = "words"\nspans_column = "tags"\nmax_characters = 6\n',
        {"words": ["ab", "cd", "ef"], "tags": ["B-x", "I-x", "O"]},
        {"words": ["ab", "cd", "ef"], "tags": ["O", "O", "B-x"]},
        {"words": ["ab"], "tags": []},
        {"words": "ab", "tags": ["O"]},
        {"words": ["ab"], "tags": None},
    )
    assert kept(found) == {
        "r0": ("ab cd ", None, (Span(0, 5, "x"),), None),
        "r1": ("ab cd ", None, (), None),  # what is marked behind the cut is gone with it
    }
    assert found.report.refused == {"malformed": 2, "unlabelled": 1}


def test_words_that_are_no_text_cost_their_row(site_with: Make) -> None:
    """A lone surrogate that is written out in JSON, inside a cell that is text: no reader of files sees it."""
    settings = 'words_column = "words"\nunlabelled = "keep"'
    found = corpus(site_with, settings, {"words": '["a", "\\ud800"]'}, {"words": '["a", "b"]'})
    assert found.report.refused == {"malformed": 1}
    assert len(kept(found)) == 1


def test_pairs_lists_of_labels_and_numbers_are_read(site_with: Make) -> None:
    found = corpus(
        site_with,
        'pair_column = "other"\nlabel_separator = ";"\n',
        {"text": "one", "other": "two", "label": "a; b;"},
        {"text": "one", "other": None, "label": "a"},
    )
    assert kept(found) == {"r0": ("one", '["a", "b"]', (), "two")}
    found = corpus(site_with, "", {"text": "one", "label": 1.5}, {"text": "two", "label": ["x"]}, {"text": [1]})
    assert {row[1] for row in kept(found).values()} == {"1.5", '["x"]'}
    assert found.report.refused == {"malformed": 1}


def test_rows_without_labels_are_kept_where_the_site_says_so(site_with: Make) -> None:
    found = corpus(site_with, 'unlabelled = "keep"\n', {"text": "one", "label": None}, {"text": "two", "label": "a"})
    assert {row[1] for row in kept(found).values()} == {None, "a"}
    with pytest.raises(SettingsError, match="no row is labelled"):
        site_with([], 'label_column = ""\n')
