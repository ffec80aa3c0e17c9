# SPDX-License-Identifier: Apache-2.0
"""Names that a row's own columns hold go from that row in every form, and from no other. All are invented."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.text.anonymize import Anonymizer
from privacy.text.find.engines import Engine
from privacy.text.find.known_names import find_known_names
from privacy.text.reading.records import TextRow
from privacy.text.run.cache import SpanCache
from privacy.text.settings import TextSettings

KNOWN = (
    "Quenby Zorblatt",
    "Young, Mary",
    "Pieter van der Ooten",
    "O'Quillan",
    "Ng",
    "Smyrl-Tadd",
    "Foley",
    "Dana (wife)",
)

# (text, the words that must be gone)
FOUND = [
    ("seen with zorblatt today", ["zorblatt"]),
    ("ZORBLATT, QUENBY is here", ["ZORBLATT", "QUENBY"]),
    ("zorblatt's knee", ["zorblatt"]),
    ("Q. Zorblatt and J.Q. Zorblatt", ["Q. Zorblatt", "J.Q. Zorblatt"]),
    ("Zorblatt, Q. called", ["Zorblatt, Q"]),
    ("Young came at noon", ["Young"]),
    ("mary young came", ["mary", "young"]),
    ("MARY YOUNG CAME", ["MARY", "YOUNG"]),
    ("Pieter van der Ooten", ["Pieter", "van der Ooten"]),
    ("mr o\u2019quillan", ["quillan"]),
    ("OQUILLAN fell", ["OQUILLAN"]),
    ("saw Ng today", ["Ng"]),
    ("tadd is well, Smyrl too", ["tadd", "Smyrl"]),
    ("smyrl-tadd is well", ["smyrl-tadd"]),
    ("Que\u0301nby or Quenby", ["Quenby"]),
    ("Foley said no", ["Foley"]),
    ("quenby_zorblatt.pdf", ["quenby", "zorblatt"]),
]
KEPT = [
    "a young man",
    "YOUNG PATIENT",
    "NG tube placed, ng tube",
    "Foley catheter kept",
    "his wife agrees",
    "van came der",
    "Wife present",
]


def _masked(text: str, names: tuple[str, ...] = KNOWN) -> str:
    letters = list(text)
    for finding in find_known_names(text, names):
        letters[finding.start : finding.end] = "\0" * (finding.end - finding.start)
    return "".join(letters)


@pytest.mark.parametrize(("text", "gone"), FOUND)
def test_a_known_name_goes_in_every_form(text: str, gone: list[str]) -> None:
    assert all(words in text for words in gone)
    assert not [words for words in gone if words in _masked(text)]


@pytest.mark.parametrize("text", KEPT)
def test_ordinary_words_and_devices_stay(text: str) -> None:
    assert _masked(text) == text


def test_names_of_one_row_are_not_looked_for_in_another(engine: Engine, settings: TextSettings, tmp_path: Path) -> None:
    rows = [
        TextRow("1", "umbrella was seen", None, "p", ("Umbrella",)),
        TextRow("2", "umbrella was seen", None, "p"),
        TextRow("3", "umbrella was seen", None, "q", ("Seen",)),
    ]
    with SpanCache(tmp_path / "spans.sqlite", bytes(32)) as cache:
        for _ in range(2):  # the second time from the cache, which must know nothing of the names
            records, report = Anonymizer(engine, settings, cache).run(rows)
            assert [record.text for record in records] == [
                "<PERSON> was seen",
                "umbrella was seen",
                "umbrella was seen",
            ]
    assert report.from_cache == 3
    assert "mbrella" not in report.to_json()
    assert b"mbrella" not in (tmp_path / "spans.sqlite").read_bytes()
    assert "mbrella" not in repr(rows[0])


@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=4))
def test_any_names_in_any_text_give_spans_of_the_text(text: str, names: list[str]) -> None:
    for finding in find_known_names(text, names):
        assert 0 <= finding.start < finding.end <= len(text)
