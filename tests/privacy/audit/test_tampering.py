# SPDX-License-Identifier: Apache-2.0
"""A log that somebody changed after it was written, without the keys.

Each change is found, and the first bad place is named.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from privacy.audit.blobs import BlobReader
from privacy.audit.cli import main
from privacy.audit.stored import StoredLog, StoredRow, read_log
from privacy.audit.verification import VerifyReport, verify, verify_stored
from privacy.base.errors import CollabError
from privacy.log.keys import SigningKey
from privacy.log.merkle import Tree, leaf_hash
from privacy.log.note import sign_note
from privacy.protocol.checkpoint import Checkpoint

ENTRIES = 28


def write(folder: Path, *statements: tuple[str, tuple[object, ...]]) -> None:
    with closing(sqlite3.connect(folder / "log.sqlite")) as database, database:
        for statement, values in statements:
            assert database.execute(statement, values).rowcount > 0, "the tampering itself failed"


def leaf_at(folder: Path, position: int) -> bytes:
    return read_log(folder).rows[position].leaf


def note_at(folder: Path, size: int) -> str:
    return dict(read_log(folder).checkpoints)[size]


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    bit %= len(data) * 8
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def exit_code_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object]]:
    code = main(["verify", str(folder), "--json"])
    printed = capsys.readouterr().out
    return code, json.loads(printed) if printed else {}


def first_index(report: VerifyReport) -> int:
    return min(finding.index for finding in report.findings if finding.index is not None)


@pytest.fixture(scope="module")
def stored(pristine_log: Path) -> StoredLog:
    return read_log(pristine_log)


@pytest.fixture
def check(pristine_log: Path) -> Callable[[StoredLog], VerifyReport]:
    """Check a log whose rows were changed in memory: the same code as for a folder, and quick."""
    blobs = BlobReader(pristine_log / "blobs")
    return lambda changed: verify_stored(changed, blobs, expected_key=None)


Check = Callable[[StoredLog], VerifyReport]


def with_rows(stored: StoredLog, rows: Sequence[StoredRow]) -> StoredLog:
    return replace(stored, rows=tuple(rows))


def with_row(stored: StoredLog, position: int, **changes: Any) -> StoredLog:
    rows = list(stored.rows)
    rows[position] = replace(rows[position], **changes)
    return with_rows(stored, rows)


def renumbered(rows: Sequence[StoredRow]) -> list[StoredRow]:
    return [replace(row, position=position) for position, row in enumerate(rows)]


@pytest.mark.parametrize("position", range(ENTRIES))
def test_one_flipped_bit_in_any_entry_is_found_at_that_entry(stored: StoredLog, check: Check, position: int) -> None:
    report = check(with_row(stored, position, leaf=flipped(stored.rows[position].leaf, 7 + 977 * position)))
    assert (report.exit_code, first_index(report)) == (4, position)


@pytest.mark.parametrize("position", range(ENTRIES))
def test_one_flipped_bit_with_its_hash_made_anew_is_found_at_that_entry(
    stored: StoredLog, check: Check, position: int
) -> None:
    """Every append was signed, and here each was of one entry: so the range that the checkpoints leave is one entry."""
    leaf = stored.rows[position].leaf.replace(b'"recorded_at":17', b'"recorded_at":18')
    report = check(with_row(stored, position, leaf=leaf, leaf_hash=leaf_hash(leaf)))
    assert (report.exit_code, first_index(report)) == (4, position)


@pytest.mark.parametrize("size", range(ENTRIES + 1))
def test_one_flipped_bit_in_any_checkpoint_is_found(stored: StoredLog, check: Check, size: int) -> None:
    note = stored.checkpoints[size][1].encode()
    notes = list(stored.checkpoints)
    notes[size] = (size, flipped(note, 3 + 61 * size).decode("utf-8", "replace"))
    report = check(replace(stored, checkpoints=tuple(notes)))
    assert (report.exit_code, report.findings[0].checkpoint) == (4, size)


@pytest.mark.parametrize("position", range(ENTRIES))
def test_an_entry_that_was_cut_out_is_missed(stored: StoredLog, check: Check, position: int) -> None:
    rows = [row for row in stored.rows if row.position != position]
    report = check(with_rows(stored, rows))
    assert (report.exit_code, first_index(report)) == (4, position)


@pytest.mark.parametrize("position", range(ENTRIES))
def test_an_entry_that_was_cut_out_with_the_gap_closed_is_missed(
    stored: StoredLog, check: Check, position: int
) -> None:
    rows = [row for row in stored.rows if row.position != position]
    report = check(with_rows(stored, renumbered(rows)))
    assert (report.exit_code, first_index(report)) == (4, position)


@pytest.mark.parametrize("position", range(ENTRIES - 1))
def test_two_entries_that_were_swapped_are_found(stored: StoredLog, check: Check, position: int) -> None:
    rows = list(stored.rows)
    rows[position], rows[position + 1] = rows[position + 1], rows[position]
    report = check(with_rows(stored, renumbered(rows)))
    assert (report.exit_code, first_index(report)) == (4, position)


@pytest.mark.parametrize("position", range(ENTRIES))
def test_an_entry_that_was_doubled_is_found(stored: StoredLog, check: Check, position: int) -> None:
    rows = [*stored.rows[: position + 1], *stored.rows[position:]]
    report = check(with_rows(stored, renumbered(rows)))
    assert (report.exit_code, first_index(report)) == (4, position + 1)


def test_an_entry_that_was_appended_is_found(true_log: Path) -> None:
    leaf = leaf_at(true_log, 5).replace(b'"index":5', b'"index":%d' % ENTRIES)
    write(true_log, ("INSERT INTO entries VALUES (?, ?, ?)", (ENTRIES, leaf, leaf_hash(leaf))))
    report = verify(true_log, expected_key=None)
    assert (report.exit_code, first_index(report)) == (4, ENTRIES)


def test_rows_that_were_changed_on_the_disk_are_found(true_log: Path) -> None:
    """The cases above, once each in the file itself."""
    pristine = (true_log / "log.sqlite").read_bytes()
    swap = "UPDATE entries SET position = ? WHERE position = ?"
    for at, statements in {
        7: [("UPDATE entries SET leaf = ? WHERE position = ?", (flipped(leaf_at(true_log, 7), 400), 7))],
        9: [("DELETE FROM entries WHERE position = ?", (9,))],
        11: [(swap, (-1, 11)), (swap, (11, 12)), (swap, (12, -1))],
    }.items():
        write(true_log, *statements)
        report = verify(true_log, expected_key=None)
        assert (report.exit_code, first_index(report)) == (4, at)
        (true_log / "log.sqlite").write_bytes(pristine)


@pytest.mark.parametrize("kept", [0, 1, 5, 14, ENTRIES - 1])
def test_a_tail_that_was_cut_off_is_missed(true_log: Path, kept: int) -> None:
    write(true_log, ("DELETE FROM entries WHERE position >= ?", (kept,)))
    report = verify(true_log, expected_key=None)
    assert report.exit_code == 4
    assert first_index(report) == kept


def test_a_checkpoint_of_another_key_is_found(true_log: Path) -> None:
    text = note_at(true_log, ENTRIES).split("\n\n")[0] + "\n"
    forged = sign_note(text, "collab/woods", SigningKey(b"\x02" * 32))
    write(true_log, ("UPDATE checkpoints SET note = ? WHERE size = ?", (forged, ENTRIES)))
    report = verify(true_log, expected_key=None)
    assert report.exit_code == 4
    assert (report.findings[0].checkpoint, first_index(report)) == (ENTRIES, ENTRIES - 1)


def test_a_log_signed_anew_by_another_key_is_found_by_who_knows_the_key_or_reads_the_sites(true_log: Path) -> None:
    own, other = read_log(true_log).log_key.key, SigningKey(b"\x02" * 32)
    resign(true_log, other)
    found = verify(true_log, expected_key=None).findings  # the sites signed for whose log they spoke
    assert {"written for another federation" in finding.message for finding in found} == {True}
    assert found[0].index == 1
    report = verify(true_log, expected_key=own)
    assert (report.exit_code, "another key" in report.findings[0].message) == (4, True)


def resign(folder: Path, key: SigningKey) -> None:
    """What a forger can do: sign every checkpoint anew, and put the other key beside."""
    stored = read_log(folder)
    for size, note in stored.checkpoints:
        text = note.split("\n\n")[0] + "\n"
        write(folder, ("UPDATE checkpoints SET note = ? WHERE size = ?", (sign_note(text, "collab/woods", key), size)))
    line = type(stored.log_key)("collab/woods", key.verify_key()).vkey()
    (folder / "log.vkey").write_text(line + "\n")


def test_a_checkpoint_moved_to_another_size_is_found(true_log: Path) -> None:
    write(true_log, ("UPDATE checkpoints SET note = ? WHERE size = ?", (note_at(true_log, 9), 12)))
    report = verify(true_log, expected_key=None)
    assert (report.exit_code, report.findings[0].checkpoint) == (4, 12)


def test_the_last_checkpoint_cannot_be_dropped(true_log: Path) -> None:
    write(true_log, ("DELETE FROM checkpoints WHERE size = ?", (ENTRIES,)))
    report = verify(true_log, expected_key=None)
    assert (report.exit_code, first_index(report)) == (4, ENTRIES - 1)


def test_a_log_without_checkpoints_is_none(true_log: Path) -> None:
    write(true_log, ("DELETE FROM checkpoints", ()))
    assert verify(true_log, expected_key=None).exit_code == 4


def blob_names(pristine_log: Path) -> list[str]:
    return sorted(path.name for path in (pristine_log / "blobs").iterdir())


@pytest.mark.parametrize("number", range(8))
def test_one_flipped_bit_in_any_blob_is_found_with_the_entry_that_names_it(true_log: Path, number: int) -> None:
    path = true_log / "blobs" / blob_names(true_log)[number]
    path.write_bytes(flipped(path.read_bytes(), 1001 * number))
    report = verify(true_log, expected_key=None)
    assert report.exit_code == 4
    assert [finding.blob for finding in report.findings] == [path.name]
    assert report.findings[0].index is not None


def test_there_are_eight_blobs(pristine_log: Path) -> None:
    assert len(blob_names(pristine_log)) == 8


@pytest.mark.parametrize("tampering", ["leaf", "checkpoint", "blob"])
def test_the_command_ends_with_4_and_names_the_place(
    true_log: Path, capsys: pytest.CaptureFixture[str], tampering: str
) -> None:
    if tampering == "leaf":
        write(true_log, ("UPDATE entries SET leaf = ? WHERE position = 13", (flipped(leaf_at(true_log, 13), 99),)))
    elif tampering == "checkpoint":
        write(true_log, ("UPDATE checkpoints SET note = replace(note, '13', '14') WHERE size = 13", ()))
    else:
        path = true_log / "blobs" / blob_names(true_log)[3]
        path.write_bytes(flipped(path.read_bytes(), 99))
    code, report = exit_code_of(true_log, capsys)
    assert code == 4
    findings = report["findings"]
    assert isinstance(findings, list)
    place = findings[0][{"leaf": "index", "checkpoint": "checkpoint", "blob": "blob"}[tampering]]
    assert place == (path.name if tampering == "blob" else 13)


def read_or_error(folder: Path) -> StoredLog | str:
    try:
        return read_log(folder)
    except CollabError as error:
        return error.message


def test_no_flipped_bit_of_the_database_file_changes_what_is_read_unnoticed(true_log: Path) -> None:
    """A bit of the file either changes nothing that is read (free space, page headers), or is found."""
    path = true_log / "log.sqlite"
    original, honest = path.read_bytes(), read_log(true_log)
    found = 0
    for bit in range(17, len(original) * 8, len(original) * 8 // 150):
        path.write_bytes(flipped(original, bit))
        read = read_or_error(true_log)
        if isinstance(read, str):
            found += 1
        elif (read.rows, read.checkpoints) != (honest.rows, honest.checkpoints):
            report = verify(true_log, expected_key=None)
            assert report.exit_code == 4
            assert report.findings
            found += 1
    assert found > 50


def test_the_tree_of_the_stored_leaves_is_the_signed_one(pristine_log: Path) -> None:
    tree = Tree()
    for row in read_log(pristine_log).rows:
        tree.append(row.leaf)
    assert verify(pristine_log, expected_key=None).root == tree.root().hex()


@pytest.mark.parametrize("middle", [6, 20])
def test_a_range_is_named_when_several_entries_share_a_checkpoint(true_log: Path, middle: int) -> None:
    write(true_log, ("DELETE FROM checkpoints WHERE size IN (?, ?)", (middle, middle + 1)))
    leaf = leaf_at(true_log, middle).replace(b'"recorded_at":17', b'"recorded_at":18')
    write(true_log, ("UPDATE entries SET leaf = ?, leaf_hash = ? WHERE position = ?", (leaf, leaf_hash(leaf), middle)))
    report = verify(true_log, expected_key=None)
    assert report.exit_code == 4
    assert first_index(report) == middle - 1
    assert f"one of the entries {middle - 1} to {middle + 1}" in report.findings[0].message


def signed_again(stored: StoredLog, rows: Sequence[StoredRow]) -> StoredLog:
    """What only the keeper of the log's key can do: other rows, with hashes and every checkpoint made anew."""
    key, tree, notes = SigningKey(b"\x01" * 32), Tree(), []
    notes.append((0, Checkpoint(stored.log_key.name, 0, tree.root().hex()).sign(key)))
    for row in rows:
        size = tree.append(row.leaf) + 1
        notes.append((size, Checkpoint(stored.log_key.name, size, tree.root().hex()).sign(key)))
    hashed = [replace(row, leaf_hash=leaf_hash(row.leaf)) for row in rows]
    return replace(stored, rows=tuple(hashed), checkpoints=tuple(notes))


def test_an_entry_that_was_written_as_another_number_is_found_whoever_signed_it(
    stored: StoredLog, check: Check
) -> None:
    assert check(signed_again(stored, stored.rows)).findings == ()
    rows = list(stored.rows)
    rows[9] = replace(rows[9], leaf=rows[9].leaf.replace(b'"index":9,', b'"index":8,'))
    report = check(signed_again(stored, rows))
    assert (report.exit_code, first_index(report)) == (4, 9)
    assert "was written as number 8" in next(f.message for f in report.findings if f.index == 9)


def test_an_empty_log_without_any_checkpoint_is_wrong_unless_its_write_ahead_log_may_be_missing(
    stored: StoredLog, check: Check
) -> None:
    empty = replace(stored, rows=(), checkpoints=(), wal_may_be_missing=False)
    assert [finding.message for finding in check(empty).findings] == ["there is no signed checkpoint"]
    report = check(replace(empty, wal_may_be_missing=True))
    assert (report.exit_code, report.findings) == (5, ())
    assert "the WAL is missing" in report.incomplete[0].message


def test_a_log_that_its_keeper_wrote_anew_is_found_by_who_kept_a_checkpoint(
    stored: StoredLog, pristine_log: Path
) -> None:
    """All of it holds by itself: only what a site kept tells that there was another history."""
    kept = dict(stored.checkpoints)[20]
    rows = list(stored.rows)
    rows[4] = replace(rows[4], leaf=rows[4].leaf.replace(b'"recorded_at":17', b'"recorded_at":18'))
    anew = signed_again(stored, rows)
    blobs = BlobReader(pristine_log / "blobs")
    assert verify_stored(anew, blobs, expected_key=stored.log_key).findings == ()
    for note, held in ((kept, 0), (dict(stored.checkpoints)[4], 1), (dict(anew.checkpoints)[20], 1)):
        report = verify_stored(anew, blobs, expected_key=stored.log_key, seen=[note])
        assert (report.seen_held, report.exit_code) == (held, 0 if held else 4)
    report = verify_stored(anew, blobs, expected_key=None, seen=[kept.split("\n\n")[0] + "\n"])
    assert [finding.checkpoint for finding in report.findings] == [20]
    assert "the log was rewritten" in report.findings[0].message
