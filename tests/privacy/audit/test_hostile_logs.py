# SPDX-License-Identifier: Apache-2.0
"""A folder that somebody made to harm its reader: each kind ends quickly, with a sentence, and nothing of it runs.

SQLite executes what a schema says, follows b-tree pages wherever they point, and opens what a name leads to. No
command may hang on it, fill the memory or call a bug a bug.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import time
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from coordinator.journal import SCHEMA
from coordinator.status import read_entries
from privacy.audit import database
from privacy.audit.blobs import BlobReader
from privacy.audit.cli import main
from privacy.audit.database import TABLES
from privacy.audit.recomputation import replay
from privacy.audit.report import chosen
from privacy.audit.stored import read_log
from privacy.audit.verification import verify
from privacy.base.errors import CollabError, IntegrityError, StorageFailed

SECONDS = 5.0  # of computing: how long that takes is the machine's affair
pytestmark = pytest.mark.timeout(120)  # whatever hangs a reader shall not hang the suite
ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) "
    "SELECT i AS position, x'00' AS leaf, x'00' AS leaf_hash FROM n"
)
NOTES = TABLES["checkpoints"]

SCHEMAS: dict[str, str] = {
    "an endless view in place of the entries": f"CREATE VIEW entries AS {ENDLESS}; {NOTES}",
    "an endless view in place of the checkpoints": (
        f"{TABLES['entries']}; CREATE VIEW checkpoints AS SELECT i AS size, 'x' AS note FROM "
        "(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n)"
    ),
    "a view beside the tables": f"{SCHEMA}; CREATE VIEW more AS {ENDLESS}",
    "a trigger": f"{SCHEMA}; CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM checkpoints; END",
    "an index with an expression": f"{SCHEMA}; CREATE INDEX i ON entries (abs(position))",
    "a plain index": f"{SCHEMA}; CREATE INDEX i ON entries (leaf_hash)",
    "a generated column": (
        "CREATE TABLE entries (position INTEGER PRIMARY KEY, leaf BLOB NOT NULL AS (zeroblob(1000000000)), "
        f"leaf_hash BLOB NOT NULL) STRICT; {NOTES}"
    ),
    "a table that is not strict": f"{TABLES['entries'].removesuffix(' STRICT')}; {NOTES}",
    "a table without rowid": f"{TABLES['entries'].replace('STRICT', 'STRICT, WITHOUT ROWID')}; {NOTES}",
    "a key that is no integer": f"{TABLES['entries'].replace('INTEGER PRIMARY KEY', 'TEXT PRIMARY KEY')}; {NOTES}",
    "a third table": f"{SCHEMA}; CREATE TABLE more (x)",
    "one table only": TABLES["entries"],
    "a virtual table": f"CREATE VIRTUAL TABLE entries USING fts5(position, leaf, leaf_hash); {NOTES}",
    "no table": "CREATE TABLE x (y); DROP TABLE x",
}


def read_by_all(folder: Path) -> list[str]:
    """What each reader says; every one must say no, and soon."""
    said = []
    for reader in (lambda: verify(folder, expected_key=None), lambda: replay(folder), lambda: chosen(folder)):
        began = time.process_time()
        with pytest.raises(IntegrityError) as caught:
            reader()
        said.append(caught.value.message)
        assert time.process_time() - began < SECONDS
    with pytest.raises(IntegrityError):
        read_entries(folder)
    return said


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_database_with_another_schema_than_ours_is_not_read(true_log: Path, kind: str) -> None:
    path = true_log / "log.sqlite"
    path.unlink()
    with closing(sqlite3.connect(path)) as made:
        made.executescript(SCHEMAS[kind])
    assert all("something else than the two tables" in said for said in read_by_all(true_log))


def test_a_schema_that_was_written_by_hand_is_not_believed(true_log: Path) -> None:
    """The text of sqlite_schema need not be what SQLite would have written."""
    with closing(sqlite3.connect(true_log / "log.sqlite")) as made, made:
        made.execute("PRAGMA writable_schema=ON")
        made.execute("UPDATE sqlite_schema SET sql = sql || ' ' WHERE name = 'entries'")
    read_by_all(true_log)


def test_the_commands_end_with_4_and_a_next_step(true_log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (true_log / "log.sqlite").unlink()
    with closing(sqlite3.connect(true_log / "log.sqlite")) as made:
        made.executescript(SCHEMAS["an endless view in place of the entries"])
    for command in (["verify"], ["replay"], ["show"], ["copy"]):
        arguments = [str(true_log), *([str(true_log.parent / "copy-of-it")] if command == ["copy"] else [])]
        assert main([*command, *arguments]) == 4
        assert "Next step" in capsys.readouterr().err
    assert not (true_log.parent / "copy-of-it").exists()


@pytest.mark.parametrize("floors", [1, 2, 6])
def test_pages_that_a_b_tree_shares_give_no_rows_without_end(true_log: Path, floors: int) -> None:
    """Floors of interior pages that all point at one leaf page: 500^6 rows from a file of 36 kB."""
    path = true_log / "log.sqlite"
    path.unlink()
    with closing(sqlite3.connect(path)) as made:
        made.execute("PRAGMA page_size=4096")
        made.executescript(SCHEMA)
        made.execute("INSERT INTO entries VALUES (1, x'aa', x'bb')")
        made.commit()
        (root,) = made.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'entries'").fetchone()
    data = bytearray(path.read_bytes())
    leaf = data[(root - 1) * 4096 : root * 4096]
    pages = len(data) // 4096
    numbers = [root, *range(pages + 1, pages + floors)]
    for floor in range(floors):
        child = numbers[floor + 1] if floor + 1 < floors else pages + floors
        page = _interior_page(child)
        if numbers[floor] == root:
            data[(root - 1) * 4096 : root * 4096] = page
        else:
            data += page
    data += leaf
    data[28:32] = struct.pack(">I", len(data) // 4096)
    path.write_bytes(bytes(data))
    read_by_all(true_log)


def _interior_page(child: int) -> bytes:
    """A table's interior page whose 500 children are all `child`."""
    cells, page = 500, bytearray(4096)
    at = 4096
    for number in range(cells):
        cell = struct.pack(">I", child) + bytes([1])
        at -= len(cell)
        page[at : at + len(cell)] = cell
        struct.pack_into(">H", page, 12 + 2 * number, at)
    struct.pack_into(">BHHHBI", page, 0, 5, 0, cells, at, 0, child)
    return bytes(page)


def test_a_value_longer_than_any_entry_is_not_read(true_log: Path) -> None:
    with closing(sqlite3.connect(true_log / "log.sqlite")) as made, made:
        made.execute("UPDATE entries SET leaf = zeroblob(40000000) WHERE position = 3")
    read_by_all(true_log)


def test_reading_has_a_budget_of_steps_by_the_size_of_the_file(true_log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_STEPS_FOR_NOTHING", 0)
    monkeypatch.setattr(database, "_STEPS_FOR_A_BYTE", 0)
    monkeypatch.setattr(database, "_STEPS_AT_A_TIME", 1)
    read_by_all(true_log)


def test_the_budget_is_wide_enough_for_the_smallest_entries_of_an_honest_log(tmp_path: Path) -> None:
    """Rows of one byte cost the most steps a byte: these are far smaller than any entry."""
    path = tmp_path / "log.sqlite"
    with closing(sqlite3.connect(path)) as made, made:
        made.executescript(SCHEMA)
        made.executemany("INSERT INTO entries VALUES (?, x'61', zeroblob(32))", [(at,) for at in range(60_000)])
    with database.opened(path) as opened:
        rows = opened.execute("SELECT position, leaf, leaf_hash FROM entries ORDER BY position").fetchall()
        assert len(rows) == 60_000


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link_to_zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_a_file(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    elsewhere.write_bytes(b"x" * 100)
    path.symlink_to(elsewhere)


def dangling(path: Path) -> None:
    path.symlink_to("nothing")


@pytest.mark.parametrize("make", [pipe, link_to_zero, link_to_a_file, dangling, Path.mkdir])
@pytest.mark.parametrize("name", ["log.sqlite", "log.vkey"])
def test_what_is_no_regular_file_is_not_opened(true_log: Path, name: str, make: Callable[[Path], None]) -> None:
    (true_log / name).unlink()
    make(true_log / name)
    assert all("no regular file" in said for said in read_by_all(true_log))


@pytest.mark.parametrize("make", [pipe, link_to_zero, link_to_a_file, dangling, Path.mkdir])
def test_a_blob_that_is_no_regular_file_is_found_and_not_opened(true_log: Path, make: Callable[[Path], None]) -> None:
    blob = sorted((true_log / "blobs").iterdir())[2]
    blob.unlink()
    make(blob)
    began = time.process_time()
    report = verify(true_log, expected_key=None)
    assert (report.exit_code, [finding.blob for finding in report.findings]) == (4, [blob.name])
    assert "no regular file" in report.findings[0].message
    with pytest.raises(CollabError):
        BlobReader(true_log / "blobs").get(blob.name)
    assert replay(true_log).exit_code in (4, 5)
    assert time.process_time() - began < SECONDS


def test_a_blob_that_claims_terabytes_is_not_hashed(true_log: Path) -> None:
    blob = sorted((true_log / "blobs").iterdir())[2]
    os.truncate(blob, 1 << 42)
    began = time.process_time()
    report = verify(true_log, expected_key=None)
    assert (report.exit_code, [finding.blob for finding in report.findings]) == (4, [blob.name])
    assert replay(true_log).exit_code == 4
    assert time.process_time() - began < SECONDS


def test_a_log_that_does_not_fit_beside_itself_is_not_copied_to_be_read(
    true_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write-ahead log may claim terabytes: the room is looked at first. Here the disk is nearly full instead."""
    (true_log / "log.sqlite-wal").write_bytes(bytes(5000))
    needed = sum((true_log / name).stat().st_size for name in ("log.sqlite", "log.sqlite-wal"))
    for free, fits in ((2 * needed - 1, False), (2 * needed, True)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: SimpleNamespace(free=free))
        if fits:
            assert read_log(true_log).rows
            continue
        with pytest.raises(StorageFailed, match="no room"):
            read_log(true_log)


@pytest.mark.parametrize("make", [pipe, link_to_zero])
def test_a_write_ahead_log_that_is_no_file_is_not_opened(true_log: Path, make: Callable[[Path], None]) -> None:
    make(true_log / "log.sqlite-wal")
    assert verify(true_log, expected_key=None).exit_code == 0


def test_a_verifier_key_of_megabytes_is_not_read(true_log: Path) -> None:
    os.truncate(true_log / "log.vkey", 1 << 28)
    tracemalloc.start()
    read_by_all(true_log)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("option", ["--key", "--seen"])
def test_what_a_reader_names_is_read_to_a_bound(
    true_log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    endless = tmp_path / "endless"
    endless.touch()
    os.truncate(endless, 1 << 40)
    began = time.process_time()
    assert main(["verify", str(true_log), option, str(endless)]) in (2, 4)
    assert "longer" in capsys.readouterr().err
    assert time.process_time() - began < SECONDS
