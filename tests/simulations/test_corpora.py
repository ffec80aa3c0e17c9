# SPDX-License-Identifier: Apache-2.0
"""Claims about the invented notes: identifiers lie where they are said to, and no layout or token tells the label."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import stat
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.base.errors import SettingsError
from privacy.base.randomness import PublicSeed
from simulations import corpora
from simulations.corpora import (
    ENTITY_TYPES,
    FEWEST_PLANTED,
    LABELS,
    MOST_PLANTED,
    STYLES,
    Note,
    clinical_notes,
    holdout_notes,
    read_planted,
    write_site_data,
)

GOLDEN = "e4b798fed9e1c6f97b41d95636f8091c36be0a6e1b53b000f93657ddea614856"
SEED = PublicSeed.from_integer(2)
LARGE = {style: clinical_notes(SEED, 400, style) for style in STYLES}


def _values(note: Note) -> list[tuple[str, str]]:
    return [(span.entity_type, note.text[span.start : span.end]) for span in note.planted]


def _without_identifiers(note: Note) -> str:
    text = note.text
    for span in reversed(note.planted):
        text = f"{text[: span.start]} {span.entity_type} {text[span.end :]}"
    return text


def _digest(notes: Sequence[Note]) -> str:
    return hashlib.sha256(json.dumps([dataclasses.asdict(note) for note in notes]).encode()).hexdigest()


SHAPES = {
    "DATE": r"\d{1,2}/\d{1,2}/\d{2,4}|\d{4}-\d\d-\d\d|\d\d\.\d\d\.\d{4}|\d\d-[A-Z][a-z]{2}-\d{4}"
    r"|\d{1,2} [A-Z][a-z]+ \d{4}"
    r"|[A-Z][a-z]{2} \d{1,2}, \d{4}|[A-Z][a-z]+ \d{1,2}(st|nd|rd|th)|\d{1,2}(st|nd|rd|th) of [A-Z][a-z]+",
    "PHONE": r"[+(]?\d[\d ().-]{8,}\d( ext\. \d{3})?",
    "EMAIL": r"[a-z]+[._]?[a-z]*\d*@[a-z.]+\.(local|com|org|net)",
    "MRN": r"\d{7}|00\d{6}|H\d{7}|\d{3}-\d{4}",
    "SSN": r"\d{3}([- ]?)\d\d\1\d{4}",
    "LOCATION": r"(\d+ [A-Z][A-Za-z ]+, )?[A-Z][A-Za-z ]+, [A-Z]{2} \d{5}",
    "AGE": r"9\d|10[01]",
    "ACCOUNT": r"\d{4}-\d{6}|AC\d{9}|\d{12}",
    "URL": r"(https?://|www\.)[a-z0-9./]+",
    "PERSON": r"[^\W\d_][^\d_@/:]*",
}


@settings(max_examples=40, deadline=None)
@given(number=st.integers(0, 2**63), style=st.sampled_from(STYLES), patients=st.integers(1, 8))
def test_every_planted_span_covers_a_whole_value_of_its_type(number: int, style: str, patients: int) -> None:
    for note in clinical_notes(PublicSeed.from_integer(number), patients, style):
        assert FEWEST_PLANTED <= len(note.planted) <= MOST_PLANTED
        assert all(a.end <= b.start for a, b in pairwise(note.planted))
        for kind, value in _values(note):
            assert re.fullmatch(SHAPES[kind], value), (kind, value)
        for span in note.planted:
            around = note.text[max(span.start - 1, 0) : span.start] + note.text[span.end : span.end + 1]
            assert not any(c.isdigit() for c in around), "a value is cut"


@settings(max_examples=20, deadline=None)
@given(number=st.integers(0, 2**63), style=st.sampled_from(STYLES), few=st.integers(1, 6), more=st.integers(0, 6))
def test_more_patients_only_append_notes(number: int, style: str, few: int, more: int) -> None:
    seed = PublicSeed.from_integer(number)
    short, long = clinical_notes(seed, few, style), clinical_notes(seed, few + more, style)
    assert long[: len(short)] == short


def test_nothing_that_identifies_stands_outside_the_planted_spans() -> None:
    for note in (note for notes in LARGE.values() for note in notes):
        rest = _without_identifiers(note)
        assert not re.search(r"@|https?:|www\.|\d{4}|\d[/.-]\d{1,2}[/.-]\d|\b(9\d|10\d) ?(yo|years)", rest), rest


def test_no_name_of_a_note_stands_outside_its_spans() -> None:
    for note in (note for notes in LARGE.values() for note in notes):
        rest = set(re.findall(r"\w+", _without_identifiers(note)))
        parts = {part for kind, value in _values(note) if kind == "PERSON" for part in re.findall(r"\w{3,}", value)}
        assert not parts & rest, parts & rest


def test_all_ten_kinds_of_identifier_are_planted_in_every_style() -> None:
    for notes in LARGE.values():
        counts = Counter(kind for note in notes for kind, _ in _values(note))
        assert set(counts) == set(ENTITY_TYPES)
        assert min(counts.values()) > 20


def test_a_patient_keeps_name_and_numbers_over_their_notes() -> None:
    for notes in LARGE.values():
        seen: dict[tuple[str, str], set[str]] = defaultdict(set)
        for note in notes:
            for kind, value in _values(note):
                if kind in ("MRN", "SSN", "LOCATION", "ACCOUNT", "EMAIL", "AGE"):
                    seen[note.patient_id, kind].add(value)
        assert all(len(values) == 1 for values in seen.values())


def test_names_are_many_and_of_many_forms() -> None:
    names = Counter(
        value for notes in LARGE.values() for note in notes for kind, value in _values(note) if kind == "PERSON"
    )
    parts = {part for name in names for part in re.split(r"[ ,-]+", name)}
    assert len(names) > 2000
    assert len(parts) > 900
    assert sum(not part.isascii() for part in parts) > 50
    assert sum("," in name for name in names) > 100
    assert any(re.match(r"(van|de|von|dos) ", name.split(" ", 1)[1]) for name in names if " " in name)


def test_notes_are_as_long_as_promised_and_several_a_patient() -> None:
    for style, notes in LARGE.items():
        assert 400 <= statistics.median(len(note.text) for note in notes) <= 650, style
        per_patient = Counter(note.patient_id for note in notes)
        assert set(per_patient.values()) == {1, 2, 3, 4, 5}
        assert 2.4 <= statistics.mean(per_patient.values()) <= 3.0


def test_labels_are_near_balanced_and_skewed_differently_at_each_hospital() -> None:
    mixes = {}
    for style, notes in LARGE.items():
        counts = Counter(note.label for note in notes)
        mixes[style] = tuple(round(24 * counts[label] / len(notes)) for label in LABELS)
        assert all(0.2 <= counts[label] / len(notes) <= 0.32 for label in LABELS), (style, counts)
    assert len(set(mixes.values())) == len(STYLES)


def test_a_mix_sets_the_share_of_every_label() -> None:
    notes = clinical_notes(SEED, 60, "letter", mix={"neurology": 3, "cardiology": 1})
    counts = Counter(note.label for note in notes[: len(notes) // 4 * 4])
    assert counts["neurology"] == 3 * counts["cardiology"] > 0
    assert set(counts) == {"neurology", "cardiology"}


def _naive_bayes_accuracy(notes: Sequence[Note], words: Callable[[Note], list[str]]) -> tuple[float, float]:
    """Accuracy on the second half of a multinomial naive Bayes classifier, and that of the majority label."""
    half = len(notes) // 2
    counts: dict[str, Counter[str]] = {label: Counter() for label in LABELS}
    priors = Counter(note.label for note in notes[:half])
    for note in notes[:half]:
        counts[note.label].update(words(note))
    size = len(set().union(*counts.values()))
    totals = {label: counts[label].total() + size for label in LABELS}

    def guess(note: Note) -> str:
        bag = words(note)
        return max(
            LABELS,
            key=lambda label: (
                math.log(priors[label]) + sum(math.log((counts[label][w] + 1) / totals[label]) for w in bag)
            ),
        )

    test = notes[half:]
    right = sum(guess(note) == note.label for note in test)
    return right / len(test), max(Counter(note.label for note in test).values()) / len(test)


def _words(note: Note) -> list[str]:
    """The note's words and word pairs, identifiers blanked out and digits made alike."""
    tokens = re.findall(r"\w+|[^\w\s]|\n", re.sub(r"\d", "0", _without_identifiers(note).lower()))
    return [*tokens, *(" ".join(pair) for pair in pairwise(tokens))]


@pytest.mark.parametrize("style", STYLES)
def test_the_layout_alone_tells_nothing_about_the_label(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same illnesses behind every label, all that is left of a label is what the layout might say about it."""
    full, _ = _naive_bayes_accuracy(LARGE[style], _words)
    assert full > 0.95, "this classifier reads the label where the content tells it"
    monkeypatch.setattr(corpora, "SERVICES", dict.fromkeys(LABELS, corpora.SERVICES["cardiology"]))
    notes = clinical_notes(SEED, 800, style, mix=dict.fromkeys(LABELS, 5))
    accuracy, _ = _naive_bayes_accuracy(notes, _words)
    assert accuracy < 0.25 + 3 * math.sqrt(0.25 * 0.75 / (len(notes) / 2))
    of_label = Counter(note.label for note in notes)
    seen = Counter((word, note.label) for note in notes for word in set(_words(note)))
    for word in {word for word, _ in seen}:
        overall = sum(seen[word, label] for label in LABELS) / len(notes)
        error = math.sqrt(overall * (1 - overall) / (len(notes) / 4)) + 0.01
        assert all(abs(seen[word, label] / of_label[label] - overall) < 4 * error for label in LABELS), word


def test_no_single_token_decides_a_label() -> None:
    notes = [note for group in LARGE.values() for note in group]
    labels = Counter(note.label for note in notes)
    with_token: dict[str, Counter[str]] = defaultdict(Counter)
    for note in notes:
        for token in set(re.findall(r"\w+", _without_identifiers(note).lower())):
            with_token[token][note.label] += 1
    for token, counts in with_token.items():
        label, count = counts.most_common(1)[0]
        assert count / labels[label] <= 0.3 or count / counts.total() <= 0.95, (token, counts)
    assert not set(LABELS) & set(with_token)


def test_two_notes_of_a_patient_are_no_near_duplicates() -> None:
    def shingles(note: Note) -> set[tuple[str, ...]]:
        words = note.text.lower().split()
        return set(zip(*(words[at:] for at in range(3)), strict=False))

    worst = 0.0
    for notes in LARGE.values():
        of_patient: dict[str, list[set[tuple[str, ...]]]] = defaultdict(list)
        for note in notes:
            of_patient[note.patient_id].append(shingles(note))
        for group in of_patient.values():
            worst = max([worst, *(len(a & b) / len(a | b) for i, a in enumerate(group) for b in group[:i])])
    assert worst < 0.6


def test_holdout_notes_are_of_no_site_and_balanced() -> None:
    held = holdout_notes(SEED, 400)
    patients = {note.patient_id for note in held}
    assert len(held) == 400 == len({note.record_id for note in held})
    assert not patients & {note.patient_id for notes in LARGE.values() for note in notes}
    assert set(Counter(note.label for note in held).values()) == {100}
    assert holdout_notes(SEED, 40) == held[:40]
    texts = {note.text for notes in LARGE.values() for note in notes}
    assert not texts & {note.text for note in held}


def test_another_seed_or_style_gives_other_patients() -> None:
    groups = [clinical_notes(PublicSeed.from_integer(number), 20, style) for number in (0, 1) for style in STYLES]
    ids = [note.record_id for notes in groups for note in notes]
    assert len(ids) == len(set(ids))


def _golden_corpus() -> list[Note]:
    seed = PublicSeed.from_integer(1)
    return [note for style in STYLES for note in clinical_notes(seed, 5, style)] + holdout_notes(seed, 5)


def test_a_small_corpus_keeps_its_golden_digest() -> None:
    """After a wanted change, `.venv/bin/python tests/simulations/test_corpora.py` prints the new GOLDEN."""
    assert _digest(_golden_corpus()) == GOLDEN, "seeds now stand for other notes: every earlier scenario result changes"


def test_fifteen_hundred_notes_take_under_two_seconds() -> None:
    start = time.process_time()
    notes = clinical_notes(SEED, 560)
    assert len(notes) >= 1400
    assert time.process_time() - start < 2


def test_written_site_data_reads_back_and_is_private(tmp_path: Path) -> None:
    notes = LARGE["letter"][:30]
    folder = tmp_path / "site"
    write_site_data(folder, LARGE["letter"][:40])
    write_site_data(folder, notes)
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["notes.jsonl", "planted.jsonl"]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    rows = [json.loads(line) for line in files[0].read_text(encoding="utf-8").splitlines()]
    assert [list(row) for row in rows] == [["record_id", "patient_id", "text", "label"]] * 30
    assert [row["text"] for row in rows] == [note.text for note in notes]
    assert read_planted(files[1]) == {note.record_id: note.planted for note in notes}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: clinical_notes(SEED, 0),
        lambda: clinical_notes(SEED, 1, "haiku"),
        lambda: clinical_notes(SEED, 1, mix={"astrology": 1}),
        lambda: clinical_notes(SEED, 1, mix={"neurology": 0}),
        lambda: holdout_notes(SEED, 0),
    ],
)
def test_wrong_arguments_are_refused_with_a_next_step(wrong: Callable[[], object]) -> None:
    with pytest.raises(SettingsError) as caught:
        wrong()
    assert caught.value.next_step


if __name__ == "__main__":
    print(_digest(_golden_corpus()))
