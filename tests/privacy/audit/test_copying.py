# SPDX-License-Identifier: Apache-2.0
"""A copy of a log verifies, whatever the coordinator does meanwhile; one made by hand says what it lacks."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from coordinator.journal import Journal
from privacy.audit import stored
from privacy.audit.blobs import BlobReader
from privacy.audit.cli import main
from privacy.audit.copying import copy_log
from privacy.audit.database import LogChanged, opened
from privacy.audit.recomputation import replay
from privacy.audit.stored import read_log
from privacy.audit.verification import verify
from privacy.base.errors import CollabError, IntegrityError, SettingsError, Unreachable
from privacy.log.keys import SigningKey
from privacy.protocol.entries import ReplyRefused, RunClosed

Capture = pytest.CaptureFixture[str]
KEY = SigningKey(b"\x31" * 32)


def refused(number: int) -> ReplyRefused:
    return ReplyRefused(
        site=f"s{number}", phase="update", plan_digest="b" * 64, by="coordinator", reason="no_reply", envelope=None
    )


def writing(folder: Path) -> Journal:
    """A coordinator in the middle of a phase: its entries stand in the write-ahead log alone."""
    journal = Journal.open(folder, KEY, "collab/copied", lambda: 7)
    for number in range(9):
        journal.append("run", 1, refused(number))
    return journal


def tree_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_copy_holds_all_and_verifies(true_log: Path, tmp_path: Path) -> None:
    before = tree_of(true_log)
    copied = copy_log(true_log, tmp_path / "evidence")
    assert (copied.log.rows, copied.blobs) == (read_log(true_log).rows, 8)
    assert verify(tmp_path / "evidence", expected_key=None) == verify(true_log, expected_key=None)
    assert replay(tmp_path / "evidence").exit_code == 0
    assert tree_of(true_log) == before


def test_a_copy_of_an_open_run_has_its_newest_entries_and_needs_no_write_ahead_log(tmp_path: Path) -> None:
    with writing(tmp_path / "live") as journal:
        copied = copy_log(tmp_path / "live", tmp_path / "evidence")
        assert len(copied.log.rows) == journal.tree_size == 9
        assert copied.log.checkpoints[-1][1] == journal.checkpoint
        assert sorted(path.name for path in (tmp_path / "evidence").iterdir()) == ["blobs", "log.sqlite", "log.vkey"]
        journal.append("run", 1, refused(9))
    assert not read_log(tmp_path / "evidence").wal_may_be_missing


def test_copies_made_while_a_coordinator_writes_are_each_of_one_moment(tmp_path: Path) -> None:
    """Appends and settled phases run against the copying; every copy must end on its own signed checkpoint."""
    folder, stop = tmp_path / "live", threading.Event()
    journal = Journal.open(folder, KEY, "collab/copied", lambda: 7)

    def write() -> None:
        number = 0
        while not stop.is_set():
            journal.append("run", 1, *[refused(number + at) for at in range(3)])
            number += 1
            if number % 3 == 0:
                journal.settle()

    writer = threading.Thread(target=write)
    writer.start()
    sizes = []
    try:
        for number in range(12):
            try:
                copy_log(folder, tmp_path / f"copy{number}", "none")
            except Unreachable:
                continue  # written too fast: said so, and nothing is left
            report = verify(tmp_path / f"copy{number}", expected_key=KEY.verify_key())
            assert not [finding for finding in report.findings if "opening" not in finding.message]
            sizes.append(report.entries)
    finally:
        stop.set()
        writer.join()
        journal.close()
    assert sizes == sorted(sizes)
    assert not list(tmp_path.glob(".copy*"))


def test_a_copy_is_private_whatever_the_umask(true_log: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        copy_log(true_log, tmp_path / "evidence")
    finally:
        os.umask(before)
    for path in [tmp_path / "evidence", *(tmp_path / "evidence").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path.name


def test_blobs_are_copied_linked_or_left_out(true_log: Path, tmp_path: Path) -> None:
    (true_log / "blobs" / "notes.txt").write_text("no blob")
    (true_log / "blobs" / ("f" * 64)).symlink_to("/etc/hostname")
    for kind, links in (("copy", 1), ("link", 2)):
        folder = tmp_path / f"made_by_{kind}"
        assert copy_log(true_log, folder, kind).blobs == 8  # type: ignore[arg-type]
        held = list((folder / "blobs").iterdir())
        assert len(held) == 8
        assert {path.stat().st_nlink for path in held} == {links}
        shutil.rmtree(folder)
    assert copy_log(true_log, tmp_path / "bare", "none").blobs == 0
    assert not (tmp_path / "bare" / "blobs").exists()
    assert verify(tmp_path / "bare", expected_key=None).exit_code == 5
    assert not BlobReader(tmp_path / "bare" / "blobs").has("0" * 64)


def test_a_copy_is_whole_or_absent(true_log: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(SettingsError, match="there already"):
        copy_log(true_log, tmp_path / "there")
    with pytest.raises(SettingsError, match="no folder to make"):
        copy_log(true_log, tmp_path / "no" / "parent")
    with pytest.raises(SettingsError, match="there is no folder"):
        copy_log(tmp_path / "nothing", tmp_path / "evidence")
    (true_log / "log.sqlite").write_bytes(b"\xff" * 9000)
    with pytest.raises(IntegrityError):
        copy_log(true_log, tmp_path / "evidence")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "there"]


def test_a_log_that_does_not_hold_is_copied_as_it_is(true_log: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(true_log / "log.sqlite")) as database, database:
        database.execute("DELETE FROM entries WHERE position = 10")
    copy_log(true_log, tmp_path / "evidence")
    assert verify(tmp_path / "evidence", expected_key=None) == verify(true_log, expected_key=None)


def test_a_file_copied_without_its_write_ahead_log_is_told_so_and_not_called_damaged(
    tmp_path: Path, capsys: Capture
) -> None:
    """What docs once said to do with an open run: all of it stood in log.sqlite-wal."""
    with writing(tmp_path / "live"):
        (tmp_path / "bare").mkdir()
        for name in ("log.sqlite", "log.vkey"):
            shutil.copyfile(tmp_path / "live" / name, tmp_path / "bare" / name)
    for command in ("verify", "replay", "show"):
        assert main([command, str(tmp_path / "bare")]) == 5
        said = capsys.readouterr().err
        assert "the WAL is missing" in said
        assert "collab-audit copy" in said


def test_after_each_phase_a_plain_copy_of_the_file_is_whole(tmp_path: Path) -> None:
    with writing(tmp_path / "live") as journal:
        journal.settle()
        assert (tmp_path / "live" / "log.sqlite-wal").stat().st_size == 0
        (tmp_path / "bare").mkdir()
        for name in ("log.sqlite", "log.vkey"):
            shutil.copyfile(tmp_path / "live" / name, tmp_path / "bare" / name)
        assert len(read_log(tmp_path / "bare").rows) == 9
        journal.append("run", 1, RunClosed(outcome="done", rounds_aggregated=0, final_model="a" * 64))
        kept = journal.checkpoint
    report = verify(tmp_path / "bare", expected_key=None, seen=[kept])
    cut = [finding.message for finding in report.findings if "the log was cut here" in finding.message]
    assert len(cut) == 1
    assert "or the WAL is missing" in cut[0]
    assert report.exit_code == 4


def test_a_cut_log_that_needs_no_write_ahead_log_has_no_innocent_explanation(true_log: Path, tmp_path: Path) -> None:
    copy_log(true_log, tmp_path / "evidence")
    with closing(sqlite3.connect(tmp_path / "evidence" / "log.sqlite")) as database, database:
        database.execute("DELETE FROM checkpoints WHERE size > 20")
    report = verify(tmp_path / "evidence", expected_key=None)
    assert report.exit_code == 4
    assert "WAL" not in report.findings[0].message


def test_settling_waits_for_no_reader_and_survives_one(tmp_path: Path) -> None:
    with writing(tmp_path / "live") as journal:
        with closing(sqlite3.connect(tmp_path / "live" / "log.sqlite", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM entries").fetchone()
            journal.append("run", 1, refused(9))
            journal.settle()
            assert reader.execute("SELECT count(*) FROM entries").fetchone() == (9,)
            reader.execute("COMMIT")
        assert journal.append("run", 1, refused(10))[0].index == 10


def test_the_command_says_what_it_copied_and_what_comes_next(true_log: Path, tmp_path: Path, capsys: Capture) -> None:
    to = str(tmp_path / "evidence")
    assert main(["copy", str(true_log), to]) == 0
    assert "copied 28 entries, 29 checkpoints, 8 blobs" in capsys.readouterr().out
    assert main(["copy", str(true_log), to]) == 2
    assert "there already" in capsys.readouterr().err
    assert main(["copy", str(true_log), to + "2", "--no-blobs", "--link-blobs"]) == 2


@pytest.mark.parametrize("harm", ["vkey", "pipe"])
def test_what_is_no_regular_file_is_not_copied(true_log: Path, tmp_path: Path, harm: str) -> None:
    harmed: dict[str, Callable[[], Any]] = {
        "vkey": lambda: (true_log / "log.vkey").unlink(),
        "pipe": lambda: ((true_log / "log.vkey").unlink(), os.mkfifo(true_log / "log.vkey")),
    }
    harmed[harm]()
    with pytest.raises(CollabError):
        copy_log(true_log, tmp_path / "evidence")
    assert not (tmp_path / "evidence").exists()


def test_a_file_that_is_written_while_it_is_read_is_read_again(true_log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two phases the newest entries move into the file itself, under the reader's hands."""
    honest, reads = read_log(true_log).rows, count()

    @contextmanager
    def disturbed(path: Path) -> Iterator[sqlite3.Connection]:
        with opened(path) as database:
            yield database
            if next(reads) < 2:
                os.utime(path, ns=(1, 1 + next(reads)))

    monkeypatch.setattr(stored, "opened", disturbed)
    assert read_log(true_log).rows == honest
    assert next(reads) > 2
    reads = count(-1000)
    with pytest.raises(Unreachable, match="too fast"):
        read_log(true_log)
    with pytest.raises(LogChanged), opened(true_log / "log.sqlite"):
        os.utime(true_log / "log.sqlite", ns=(1, 77))


def test_a_disk_that_fills_in_the_middle_leaves_nothing(
    true_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, whole = count(), shutil.copyfileobj

    def full(source: Any, target: Any, length: int) -> None:
        whole(source, target, length)
        if next(copied) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        copy_log(true_log, tmp_path / "evidence")
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
