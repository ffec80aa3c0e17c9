# SPDX-License-Identifier: Apache-2.0
"""An honest log passes, whole, read-only and without torch; what is only missing is called incomplete."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from privacy.audit.recomputation import replay
from privacy.audit.verification import verify
from privacy.base.errors import IntegrityError, SettingsError
from privacy.log.keys import SigningKey
from privacy.log.note import NoteKey


def key_of(folder: Path) -> NoteKey:
    return NoteKey.parse((folder / "log.vkey").read_text().strip())


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_an_honest_log_passes_with_everything_checked(true_log: Path) -> None:
    report = verify(true_log, expected_key=key_of(true_log).key)
    assert (report.findings, report.incomplete, report.exit_code) == ((), (), 0)
    assert report.key_pinned
    # the opening, 3 sites, 2 rounds of 4 entries, 3 evaluations of 5, the end; and a checkpoint of size 0
    assert report.entries == 1 + 3 + 2 * 4 + 3 * 5 + 1
    assert report.checkpoints == report.entries + 1
    assert report.epsilons_checked == 2 * 2 + 3 * 2 - 1
    assert report.blobs_checked == 1 + 1 + 4 + 2
    (run,) = report.runs
    assert (run.run_id, run.rounds_aggregated, run.closed, run.simulated) == ("spring", 2, True, True)


def test_an_honest_log_replays_bit_for_bit(true_log: Path) -> None:
    report = replay(true_log)
    assert (report.findings, report.incomplete, report.exit_code) == ((), (), 0)
    assert (report.rounds, report.rounds_replayed, report.updates_checked) == (2, 2, 4)


def test_checking_writes_nothing_into_the_folder(true_log: Path) -> None:
    before = contents(true_log)
    for path in true_log.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    true_log.chmod(0o555)
    assert verify(true_log, expected_key=None).exit_code == 0
    assert replay(true_log).exit_code == 0
    true_log.chmod(0o755)
    assert contents(true_log) == before


def test_a_log_that_is_being_written_is_read_with_its_newest_entries(
    build_log: Callable[..., Path], tmp_path: Path
) -> None:
    """The write-ahead log of a killed coordinator holds entries that the main file lacks."""
    snapshot = tmp_path / "killed"

    def kill_before_the_end(place: str, value: object) -> object:
        if place == "closed":
            shutil.copytree(tmp_path / "live", snapshot, ignore=shutil.ignore_patterns("*-shm", "log.lock"))
        return value

    build_log(tmp_path / "live", kill_before_the_end)
    assert (snapshot / "log.sqlite-wal").stat().st_size > 0
    before = contents(snapshot)
    report = verify(snapshot, expected_key=None)
    assert (report.findings, report.entries, report.exit_code) == ((), 27, 5)
    assert contents(snapshot) == before


def test_the_key_of_another_log_is_found(true_log: Path) -> None:
    report = verify(true_log, expected_key=SigningKey(b"\x02" * 32).verify_key())
    assert report.exit_code == 4
    assert "another key" in report.findings[0].message


def test_an_open_run_and_missing_blobs_are_incomplete_and_name_their_entry(
    build_log: Callable[..., Path], tmp_path: Path
) -> None:
    folder = build_log(tmp_path / "open", lambda place, value: None if "run_closed" in place else value)
    report = verify(folder, expected_key=None)
    assert (report.findings, report.exit_code) == ((), 5)
    assert [finding.index for finding in report.incomplete] == [0]
    shutil.rmtree(folder / "blobs")
    report = verify(folder, expected_key=None)
    assert (report.findings, report.exit_code, report.blobs_checked) == ((), 5, 0)
    assert len(report.incomplete) == 1 + 8
    replayed = replay(folder)
    assert (replayed.findings, replayed.exit_code, replayed.rounds_replayed) == ((), 5, 0)


def test_a_checkpoint_that_a_site_kept_finds_a_log_that_was_cut_whole(true_log: Path) -> None:
    with sqlite3.connect(true_log / "log.sqlite") as database:
        (kept,) = database.execute("SELECT note FROM checkpoints WHERE size = 20").fetchone()
        database.execute("DELETE FROM entries WHERE position >= 15")
        database.execute("DELETE FROM checkpoints WHERE size > 15")
    database.close()
    assert verify(true_log, expected_key=None).exit_code == 5
    report = verify(true_log, expected_key=None, seen=[kept])
    assert report.exit_code == 4
    assert (report.findings[0].index, report.findings[0].checkpoint) == (15, 20)


def test_a_checkpoint_that_a_site_kept_is_continued_by_an_honest_log(true_log: Path) -> None:
    with sqlite3.connect(true_log / "log.sqlite") as database:
        notes = [note for (note,) in database.execute("SELECT note FROM checkpoints")]
    database.close()
    assert verify(true_log, expected_key=None, seen=notes).exit_code == 0


def test_a_folder_without_a_log_is_wrong_usage(tmp_path: Path, true_log: Path) -> None:
    with pytest.raises(SettingsError):
        verify(tmp_path / "nothing", expected_key=None)
    (true_log / "log.vkey").unlink()
    with pytest.raises(SettingsError):
        verify(true_log, expected_key=None)


@pytest.mark.parametrize("name", ["log.sqlite", "log.vkey"])
def test_a_file_that_cannot_be_read_at_all_is_refused(true_log: Path, name: str) -> None:
    (true_log / name).write_bytes(b"\xff" * 5000)
    with pytest.raises(IntegrityError):
        verify(true_log, expected_key=None)


def test_the_auditor_loads_neither_torch_nor_flower_nor_the_coordinator(
    true_log: Path,
) -> None:
    program = (
        "import sys; from pathlib import Path; from privacy.audit.cli import main\n"
        "code = main(['verify', sys.argv[1], '--json']) or main(['replay', sys.argv[1], '--json'])\n"
        "heavy = {'torch', 'transformers', 'opacus', 'flwr', 'spacy', 'presidio_analyzer', 'coordinator', 'client'}\n"
        "assert code == 0, code\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(true_log)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
