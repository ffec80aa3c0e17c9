# SPDX-License-Identifier: Apache-2.0
"""Rows are read, treated by rule and split; one unit's rows never change what becomes of another's."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.data.corpus import Corpus, load_corpus, nothing_left
from client.data.formats import RawRow
from client.data.splits import split_of
from client.data.treatment import treat
from client.settings.site_settings import DataSection, SiteFolder
from privacy.base.errors import SettingsError

KEY = bytes(range(32))
COLUMNS = ("text", "label", "patient", "record")
ROWS = [
    ("the patient sleeps well", "calm", "p1", "r1"),
    ("the patient runs a fever", "ill", "p1", "r2"),
    ("blood pressure is high today", "ill", "p2", "r3"),
    ("nothing to report, ünïcode", "calm", "p3", "r4"),
]


def folder(
    tmp_path: Path, files: Sequence[str], unit: str = "record", extra: str = "", role: str = "trainer"
) -> SiteFolder:
    (tmp_path / "site_a.toml").write_text(
        f'[site]\nname = "site_a"\nrole = "{role}"\n[data]\nfiles = {json.dumps(list(files))}\ndataset = "notes"\n'
        f'patient_column = "patient"\nrecord_column = "record"\n{extra}\n'
        f'[policy]\nunit = "{unit}"\nepsilon_limit = 8\ndelta = 1e-5\nsize_bucket = 8\n'
    )
    return SiteFolder(tmp_path / "site_a.toml")


def data(**changes: object) -> DataSection:
    base = {"files": ["x.csv"], "dataset": "notes", "patient_column": "patient", "record_column": "record"}
    return DataSection.model_validate_json(json.dumps({**base, **changes}))


def raw(text: str | None, label: str | None = "a", patient: str | None = "p", record: str | None = None) -> RawRow:
    return RawRow({"text": text, "label": label, "patient": patient, "record": record})


def write_csv(path: Path, rows: Sequence[Sequence[str]] = ROWS) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


def table() -> pa.Table:
    return pa.table({name: [row[at] for row in ROWS] for at, name in enumerate(COLUMNS)})


def write_dataset(path: Path, content: pa.Table, features: dict[str, object] | None = None) -> None:
    path.mkdir(parents=True)
    with (
        pa.OSFile(str(path / "data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, content.schema) as out,
    ):
        out.write_table(content, max_chunksize=3)
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    (path / "dataset_info.json").write_text(json.dumps({"features": features or {}}))


def everything(corpus: Corpus) -> list[tuple[str, str | None, str | None, str]]:
    rows = (*corpus.train, *corpus.dev, *corpus.test)
    return sorted((row.text, row.label, row.patient_id, row.record_id) for row in rows)


def write_all_formats(tmp_path: Path) -> list[str]:
    write_csv(tmp_path / "notes.csv")
    lines = [json.dumps(dict(zip(COLUMNS, row, strict=True))) for row in ROWS]
    (tmp_path / "notes.jsonl").write_text("\n".join(lines) + "\n\n")
    pyarrow.parquet.write_table(table(), tmp_path / "notes.parquet")
    write_dataset(tmp_path / "saved", table())
    write_dataset(tmp_path / "splits" / "train", table().slice(0, 2))
    write_dataset(tmp_path / "splits" / "test", table().slice(2))
    (tmp_path / "splits" / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    return ["notes.csv", "notes.jsonl", "notes.parquet", "saved", "splits"]


def test_every_format_gives_the_same_rows_in_the_same_splits(tmp_path: Path) -> None:
    corpora = [load_corpus(folder(tmp_path, [name]), KEY) for name in write_all_formats(tmp_path)]
    assert everything(corpora[0]) == sorted(ROWS)
    for corpus in corpora[1:]:
        assert (corpus.train, corpus.dev, corpus.test) == (corpora[0].train, corpora[0].dev, corpora[0].test)
    assert corpora[0].report.read == 4
    assert corpora[0].report.labels == {"calm": 2, "ill": 2}


def test_a_dataset_saved_by_the_datasets_library_is_read_with_its_class_names(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the datasets library is not installed")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    saved = datasets.Dataset.from_dict({"text": ["one note", "another note"], "label": [1, 0]}, features=features)
    saved.save_to_disk(str(tmp_path / "saved"))
    site = folder(tmp_path, ["saved"])
    (tmp_path / "site_a.toml").write_text(
        site.toml.read_text().replace('patient_column = "patient"', "").replace('record_column = "record"', "")
    )
    rows = everything(load_corpus(SiteFolder(site.toml), KEY))
    assert [(text, label) for text, label, _, _ in rows] == [("another note", "no"), ("one note", "yes")]


def test_a_row_that_is_not_utf8_or_broken_costs_itself_only(tmp_path: Path) -> None:
    write_csv(tmp_path / "notes.csv")
    with (tmp_path / "notes.csv").open("ab") as file:
        file.write(b"caf\xe9 secret,ill,p9,r9\ntoo,few\n")
    lines = [json.dumps(dict(zip(COLUMNS, row, strict=True))).encode() for row in ROWS]
    broken = [b'{"text": "caf\xe9", "label": "ill"}', b"{", b"[1]", b'{"text": {}, "label": "ill"}']
    (tmp_path / "notes.jsonl").write_bytes(b"\n".join([*lines, *broken]))
    report = load_corpus(folder(tmp_path, ["notes.csv"]), KEY).report
    assert report.refused == {"undecodable": 1, "malformed": 1}
    assert sum(report.rows.values()) == 4
    report = load_corpus(folder(tmp_path, ["notes.jsonl"]), KEY).report
    assert report.refused == {"undecodable": 1, "malformed": 3}
    assert sum(report.rows.values()) == 4


def test_a_parquet_text_that_is_not_utf8_costs_itself_only(tmp_path: Path) -> None:
    texts = pa.array([b"caf\xe9", b"fine"], pa.binary())
    unchecked = pa.Array.from_buffers(pa.string(), 2, texts.buffers())
    columns = {"text": unchecked, "label": ["a", "a"], "patient": ["p", "q"], "record": ["1", "2"]}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "notes.parquet")
    report = load_corpus(folder(tmp_path, ["notes.parquet"]), KEY).report
    assert report.refused == {"undecodable": 1}
    assert sum(report.rows.values()) == 1


@pytest.mark.parametrize("name", ["notes.csv", "notes.parquet", "saved"])
def test_a_missing_column_is_told_by_the_sites_own_names(tmp_path: Path, name: str) -> None:
    write_all_formats(tmp_path)
    with pytest.raises(SettingsError, match=r"has no column note: .* names 4 columns, 3 of the 4 that \[data\] names"):
        load_corpus(folder(tmp_path, [name], extra='text_column = "note"'), KEY)


def test_a_missing_file_an_unknown_suffix_and_a_broken_file_are_settings_errors(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no absent"):
        load_corpus(folder(tmp_path, ["absent.csv"]), KEY)
    (tmp_path / "notes.doc").write_text("x")
    with pytest.raises(SettingsError, match="no known suffix"):
        load_corpus(folder(tmp_path, ["notes.doc"]), KEY)
    (tmp_path / "notes.parquet").write_bytes(b"private words")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "state.json").write_text("private")
    for name in ("notes.parquet", "saved"):
        with pytest.raises(SettingsError) as caught:
            load_corpus(folder(tmp_path, [name]), KEY)
        assert "private" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_file_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "notes.csv")
    (tmp_path / "link.csv").symlink_to(tmp_path / "notes.csv")
    for files in (["notes.csv", "./notes.csv"], ["link.csv", "notes.csv"]):
        with pytest.raises(SettingsError, match="names a file twice"):
            load_corpus(folder(tmp_path, files), KEY)


def test_a_dataset_folder_cannot_name_a_file_outside_itself(tmp_path: Path) -> None:
    write_dataset(tmp_path / "saved", table())
    (tmp_path / "saved" / "state.json").write_text(json.dumps({"_data_files": [{"filename": "../notes.arrow"}]}))
    with pytest.raises(SettingsError, match="outside itself"):
        load_corpus(folder(tmp_path, ["saved"]), KEY)


def test_a_corpus_of_which_no_row_is_left_is_an_empty_one_with_its_reasons(tmp_path: Path) -> None:
    write_csv(tmp_path / "notes.csv", [("", "a", "p", "1"), ("some words", "", "p", "2")])
    corpus = load_corpus(folder(tmp_path, ["notes.csv"]), KEY)
    assert everything(corpus) == []
    assert corpus.report.refused == {"empty": 1, "unlabelled": 1}
    told = str(nothing_left(corpus.report))
    assert "2 rows read, none kept (refused: empty 1, unlabelled 1)" in told
    assert "words" not in told


def test_an_evaluators_rows_are_all_test(tmp_path: Path) -> None:
    write_csv(tmp_path / "notes.csv")
    corpus = load_corpus(folder(tmp_path, ["notes.csv"], role="evaluator"), KEY)
    assert len(corpus.test) == 4
    assert not corpus.train
    assert not corpus.dev


# Rules ---------------------------------------------------------------------------------------------------------------


def test_a_long_note_of_more_than_the_csv_modules_limit_is_cut_or_refused_by_rule(tmp_path: Path) -> None:
    write_csv(tmp_path / "notes.csv", [("word " * 60_000, "a", "p", "1"), ("short", "a", "q", "2")])
    corpus = load_corpus(folder(tmp_path, ["notes.csv"]), KEY)
    assert corpus.report.cut == 1
    assert max(len(text) for text, *_ in everything(corpus)) == 20_000
    corpus = load_corpus(folder(tmp_path, ["notes.csv"], extra='over_long = "refuse"'), KEY)
    assert corpus.report.refused == {"over_long": 1}


def reasons(rows: Sequence[RawRow], unit: str = "patient", **changes: object) -> list[str | None]:
    return [t.reason for t in treat(rows, data(**changes), unit, KEY)]  # type: ignore[arg-type]


def test_within_a_patient_duplicates_go_and_the_first_stays() -> None:
    note = "the patient was seen in the ward and left in good health after two days of rest and quiet"
    rows = [
        raw(note),
        raw(note),
        raw(note.upper()),
        raw(note + "."),
        raw("another note entirely"),
        raw(note, patient="q"),
    ]
    assert reasons(rows) == [None, "exact_duplicate", "near_duplicate", "near_duplicate", None, None]
    assert reasons(rows, "record") == [None] * 6


def test_within_a_patient_contradictions_all_go() -> None:
    rows = [raw("a note", "x"), raw("a note", "y"), raw("A note", "x"), raw("a note", "x", patient="q")]
    assert reasons(rows) == ["contradictory"] * 3 + [None]
    assert reasons(rows, contradictory="keep") == [None, None, "near_duplicate", None]
    assert reasons(rows, "record") == [None] * 4


def test_under_the_patient_unit_a_row_without_a_patient_is_refused() -> None:
    assert reasons([raw("a note", patient=" "), raw("a note", patient=None)]) == ["no_patient"] * 2
    assert reasons([raw("a note", patient=None)], "record") == [None]


def test_repeated_notes_of_different_records_are_counted_and_kept(tmp_path: Path) -> None:
    write_csv(tmp_path / "notes.csv", [("seen on 3 May", "a", "p", "1"), ("Seen on 4 may.", "a", "q", "2")])
    report = load_corpus(folder(tmp_path, ["notes.csv"]), KEY).report
    assert report.repeated_anywhere == 1
    assert sum(report.rows.values()) == 2


def test_known_names_are_those_of_the_rows_own_columns(tmp_path: Path) -> None:
    with (tmp_path / "notes.csv").open("w", newline="", encoding="utf-8") as file:
        lines = [("a note", "x", "p", "1", "Quenby", "Zorblatt"), ("other", "x", "q", "2", " ", "Quill")]
        csv.writer(file).writerows([(*COLUMNS, "first", "last"), *lines])
    corpus = load_corpus(folder(tmp_path, ["notes.csv"], extra='known_name_columns = ["first", "last"]'), KEY)
    rows = {row.record_id: row for row in (*corpus.train, *corpus.dev, *corpus.test)}
    assert rows["1"].known_names == ("Quenby", "Zorblatt")
    assert rows["2"].known_names == ("Quill",)
    with pytest.raises(SettingsError, match="has no column kin: "):
        load_corpus(folder(tmp_path, ["notes.csv"], extra='known_name_columns = ["kin"]'), KEY)


def test_all_notes_of_a_patient_are_in_one_split() -> None:
    rows = [raw(f"note {number}", patient=f"p{number % 7}") for number in range(70)]
    splits: dict[str | None, set[str | None]] = {}
    for treatment in treat(rows, data(test_fraction=0.3, dev_fraction=0.3), "record", KEY):
        assert treatment.row is not None
        splits.setdefault(treatment.row.patient_id, set()).add(treatment.split)
    assert all(len(found) == 1 for found in splits.values())
    assert len({next(iter(found)) for found in splits.values()}) > 1


def test_splits_have_about_their_share_and_follow_the_key() -> None:
    def splits(key: bytes) -> list[str]:
        return [split_of(f"record:{n}", key, test_fraction=0.2, dev_fraction=0.3) for n in range(4000)]

    found = splits(KEY)
    assert abs(found.count("test") / 4000 - 0.2) < 0.03
    assert abs(found.count("dev") / 4000 - 0.3) < 0.03
    assert found != splits(bytes(32))
    assert found == splits(KEY)


# The law -------------------------------------------------------------------------------------------------------------

words = st.sampled_from(
    ["fever", "cough", "fever and cough", "Fever and cough", "rest", "", "a b c d e f g h i j k l m"]
)
cells = st.tuples(words, st.sampled_from(["x", "y", ""]), st.sampled_from(["p1", "p2", "p3", ""]))
corpora = st.lists(cells, max_size=14)


def build(rows: Sequence[tuple[str, str, str]]) -> list[RawRow]:
    return [raw(text, label, patient, None) for text, label, patient in rows]


@settings(max_examples=150, deadline=None)
@given(corpora, st.sampled_from(["p1", "p2", "p3"]), corpora)
def test_no_patient_changes_what_becomes_of_another(
    rows: list[tuple[str, str, str]], gone: str, others: list[tuple[str, str, str]]
) -> None:
    before = treat(build(rows), data(), "patient", KEY)
    changed = [row for row in rows if row[2] != gone] + [(text, label, gone) for text, label, _ in others]
    after = treat(build(changed), data(), "patient", KEY)
    kept_before = [t for t, row in zip(before, rows, strict=True) if row[2] != gone]
    kept_after = [t for t, row in zip(after, changed, strict=True) if row[2] != gone]
    assert kept_before == kept_after


@settings(max_examples=150, deadline=None)
@given(corpora.filter(bool), st.data(), cells)
def test_no_record_changes_what_becomes_of_another(
    rows: list[tuple[str, str, str]], draw: st.DataObject, other: tuple[str, str, str]
) -> None:
    index = draw.draw(st.integers(0, len(rows) - 1))
    before = treat(build(rows), data(), "record", KEY)
    replaced = treat(build([*rows[:index], other, *rows[index + 1 :]]), data(), "record", KEY)
    removed = treat(build(rows[:index] + rows[index + 1 :]), data(), "record", KEY)
    assert before[:index] + before[index + 1 :] == removed
    assert replaced[:index] + replaced[index + 1 :] == removed
