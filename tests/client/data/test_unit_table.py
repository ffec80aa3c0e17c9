# SPDX-License-Identifier: Apache-2.0
"""A unit keeps its part and its name: the table of units, and the digest of all settings that name one."""

from __future__ import annotations

import json
import sqlite3
import stat
import time
from pathlib import Path

import pytest

from client.data.formats import RawRow
from client.data.naming import OF_CONTENT, OF_NO_NAME, named_digest, split_of_site
from client.data.splits import SPLITS, Split, split_of, unit_name
from client.data.treatment import treat
from client.data.unit_table import UnitTable, unit_table
from client.settings.site_settings import DataSection, SiteFolder
from privacy.base.errors import IntegrityError
from privacy.base.randomness import SecretSeed
from privacy.dp.params import Unit

KEY = bytes(range(32))
DRAWN = "d" * 64


def table(path: Path, *, key: bytes = KEY, dataset: str = "notes", drawn: str = DRAWN) -> UnitTable:
    return UnitTable(path / "units.sqlite", key, dataset, drawn)


def everybody(part: Split, number: int = 5) -> dict[str, Split]:
    return {f"patient:p{at}": part for at in range(number)}


def test_a_unit_stays_where_it_was_first_seen_and_that_is_counted(tmp_path: Path) -> None:
    first = table(tmp_path).pin(everybody("train"))
    assert (dict(first.parts), first.held) == (everybody("train"), 0)
    later = table(tmp_path).pin({**everybody("dev"), "patient:new": "dev"})
    assert (dict(later.parts), later.held) == ({**everybody("train"), "patient:new": "dev"}, 5)
    assert table(tmp_path).pin({"patient:new": "test"}).parts == {"patient:new": "dev"}


@pytest.mark.parametrize("other", [{"dataset": "letters"}, {"drawn": "e" * 64}, {"key": bytes(32)}])
def test_another_data_set_split_or_key_has_a_table_of_its_own(tmp_path: Path, other: dict[str, str]) -> None:
    table(tmp_path).pin(everybody("train"))
    assert dict(table(tmp_path, **other).pin(everybody("dev")).parts) == everybody("dev")  # type: ignore[arg-type]
    assert dict(table(tmp_path).pin(everybody("test")).parts) == everybody("train")


def test_the_file_holds_no_id_and_is_the_owners_alone(tmp_path: Path) -> None:
    table(tmp_path).pin({"patient:Mary Lambertine": "train", "record:r-17": "dev"})
    files = list(tmp_path.iterdir())
    assert files
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert not any(word in file.read_bytes() for word in (b"Mary", b"Lambertine", b"r-17", b"notes"))


def test_a_crash_while_it_is_written_leaves_nothing_half_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(tmp_path).pin(everybody("train", 2))

    def broken(drawn: str) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        crash.setattr("client.data.unit_table._number", broken)
        with pytest.raises(KeyboardInterrupt):
            table(tmp_path).pin(everybody("dev", 9))
    assert table(tmp_path).pin(everybody("dev", 9)).held == 2


def test_a_damaged_table_stops_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "units.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(IntegrityError, match="table of units") as damaged:
        table(tmp_path).pin(everybody("train"))
    assert "backup" in str(damaged.value)


def test_it_is_on_disk_before_anything_relies_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect, levels = sqlite3.connect, []

    class Watched(sqlite3.Connection):
        def close(self) -> None:
            levels.append(self.execute("pragma synchronous").fetchone()[0])
            super().close()

    monkeypatch.setattr(sqlite3, "connect", lambda *given, **more: connect(*given, **more, factory=Watched))
    table(tmp_path).pin(everybody("train"))
    assert levels == [2]


def test_a_hundred_thousand_units_take_seconds(tmp_path: Path) -> None:
    many = everybody("train", 100_000)
    began = time.process_time()
    table(tmp_path).pin(many)
    assert table(tmp_path).pin(many).held == 0
    assert time.process_time() - began < 20


# What names a unit ----------------------------------------------------------------------------------------------------

ROWS = [
    {
        "text": f"fever and cough for {at} days",
        "note": f"another text {at}",
        "label": f"a;b{at % 3}",
        "other_label": f"c{at % 2}",
        "patient": f"p{at % 7}",
        "mrn": f"m{at % 7}",
        "record": f"r{at}",
        "number": f"n{at}",
        "pair": f"and a question {at}",
        "words": json.dumps(["one", "word", str(at)]),
        "spans": json.dumps([[0, 5, "X"]]),
        "name": "Lambertine",
    }
    for at in range(40)
]
BASE = {
    "files": (Path("notes.jsonl"),),
    "dataset": "notes",
    "patient_column": "patient",
    "record_column": "record",
    "test_fraction": 0.2,
    "dev_fraction": 0.3,
}
CHANGES: dict[str, object] = {
    "files": (Path("notes.jsonl"), Path("more.jsonl")),
    "format": "jsonl",
    "encoding": "cp1252",
    "delimiter": ";",
    "dataset": "letters",
    "text_column": "note",
    "label_column": "other_label",
    "label_separator": ";",
    "unlabelled": "keep",
    "pair_column": "pair",
    "words_column": "words",
    "spans_column": "spans",
    "patient_column": "mrn",
    "record_column": "number",
    "known_name_columns": ("name",),
    "min_characters": 2,
    "max_characters": 9,
    "over_long": "refuse",
    "contradictory": "keep",
    "near_duplicate_similarity": 0.5,
    "test_fraction": 0.2,
    "dev_fraction": 0.3,
}


def names(data: DataSection, unit: Unit) -> dict[int, str]:
    """The unit's name of each row that is kept."""
    rows = [RawRow(row) for row in ROWS]  # type: ignore[arg-type]
    found = enumerate(treat(rows, data, unit, KEY))
    return {at: unit_name(one.row) for at, one in found if one.row is not None}


def test_every_setting_of_data_is_tried_here() -> None:
    """A new one is part of the digest until somebody has shown that it names nothing."""
    assert set(DataSection.model_fields) == set(CHANGES)
    assert set(CHANGES) >= OF_NO_NAME | OF_CONTENT
    assert not OF_NO_NAME & OF_CONTENT


@pytest.mark.parametrize(
    ("unit", "without"),
    [
        ("patient", ()),
        ("patient", ("record_column",)),
        ("record", ()),
        ("record", ("record_column",)),
        ("record", ("patient_column",)),
        ("record", ("patient_column", "record_column")),
    ],
)
@pytest.mark.parametrize("setting", CHANGES)
def test_a_setting_that_gives_a_row_another_name_changes_the_digest(
    setting: str, unit: Unit, without: tuple[str, ...]
) -> None:
    here = BASE | dict.fromkeys(without)
    before = DataSection(**here)  # type: ignore[arg-type]
    after = DataSection(**{**here, setting: CHANGES[setting]})  # type: ignore[arg-type]
    was, now = names(before, unit), names(after, unit)
    renamed = any(was[at] != now[at] for at in was.keys() & now.keys())
    if renamed:
        assert named_digest(before, unit) != named_digest(after, unit)
    if setting in OF_CONTENT and unit == "record" and len(without) == 2:
        assert renamed
    if setting in OF_NO_NAME:
        assert not renamed
        assert named_digest(before, unit) == named_digest(after, unit)


def test_content_names_a_record_only_where_no_column_does() -> None:
    def changed(unit: Unit, **here: object) -> bool:
        data = DataSection(**{**BASE, **here})  # type: ignore[arg-type]
        return named_digest(data, unit) != named_digest(data.model_copy(update={"max_characters": 30}), unit)

    assert changed("record", record_column=None)
    assert not changed("record")
    assert not changed("patient", record_column=None)


def test_the_unit_itself_is_in_the_digest() -> None:
    data = DataSection(**BASE)  # type: ignore[arg-type]
    assert named_digest(data, "patient") != named_digest(data, "record")


def test_the_split_of_a_row_follows_from_its_units_name() -> None:
    data = DataSection(**(BASE | {"patient_column": None}))  # type: ignore[arg-type]
    shares = {"test_fraction": 0.2, "dev_fraction": 0.3}
    found = treat([RawRow(row) for row in ROWS], data, "record", KEY)  # type: ignore[arg-type]
    assert {one.split for one in found} == set(SPLITS)
    assert all(one.row and one.split == split_of(unit_name(one.row), KEY, **shares) for one in found)


def test_key_and_fractions_are_what_draws(make_site_toml: SiteFolder) -> None:
    settings, key = make_site_toml.settings, SecretSeed(KEY)
    split = split_of_site(settings, key)
    assert split_of_site(settings, SecretSeed(bytes(32))).drawn != split.drawn
    for fraction in ("dev_fraction", "test_fraction"):
        data = settings.data.model_copy(update={fraction: 0.31})
        other = split_of_site(settings.model_copy(update={"data": data}), key)
        assert (other.drawn != split.drawn, other.named == split.named) == (True, True)


def test_an_evaluator_has_no_table(make_site_toml: SiteFolder) -> None:
    assert unit_table(make_site_toml, SecretSeed(KEY)) is not None
    role = make_site_toml.settings.site.model_copy(update={"role": "evaluator"})
    make_site_toml.settings = make_site_toml.settings.model_copy(update={"site": role})
    assert unit_table(make_site_toml, SecretSeed(KEY)) is None


@pytest.fixture
def make_site_toml(tmp_path: Path) -> SiteFolder:
    toml = tmp_path / "clinic.toml"
    toml.write_text(
        '[site]\nname = "clinic"\n[data]\nfiles = ["notes.jsonl"]\ndataset = "notes"\npatient_column = "patient_id"\n'
        '[policy]\nunit = "patient"\nepsilon_limit = 8.0\ndelta = 1e-5\nsize_bucket = 8\n'
    )
    return SiteFolder(toml)
