# SPDX-License-Identifier: Apache-2.0
"""The log's writer: all or nothing, one writer, and never a log that does not agree with what was signed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from coordinator.journal import Journal
from privacy.base.canonical import canonical_bytes
from privacy.base.errors import ContractError, IntegrityError, LogForked, SettingsError, StorageFailed
from privacy.log.keys import SigningKey
from privacy.log.merkle import Tree
from privacy.log.note import NoteKey
from privacy.protocol.checkpoint import check_proof, open_checkpoint
from privacy.protocol.entries import ReplyRefused, RunClosed

KEY = SigningKey(b"\x21" * 32)
ORIGIN = "collab/journal-test"


def ticking() -> Callable[[], int]:
    ticks = count(1_700_000_000_000)
    return lambda: next(ticks)


def closed(rounds: int = 0) -> RunClosed:
    return RunClosed(outcome="done", rounds_aggregated=rounds, final_model="a" * 64)


def refused(site: str) -> ReplyRefused:
    return ReplyRefused(
        site=site, phase="update", plan_digest="b" * 64, by="coordinator", reason="no_reply", envelope=None
    )


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path, KEY, ORIGIN, ticking()) as opened:
        yield opened


def test_a_new_log_is_empty_signed_and_names_its_key(journal: Journal, tmp_path: Path) -> None:
    assert journal.tree_size == 0
    assert journal.entries() == []
    assert open_checkpoint(journal.checkpoint, journal.log_key).size == 0
    assert NoteKey.parse((tmp_path / "log.vkey").read_text().strip()).key.hex() == KEY.verify_key().hex()


def test_entries_and_their_checkpoint_come_together(journal: Journal) -> None:
    first = journal.append("run_a", 1, refused("a"), refused("b"))
    second = journal.append("run_b", 0, closed())
    assert [entry.index for entry in first + second] == [0, 1, 2] == list(range(journal.tree_size))
    assert [entry.recorded_at - 1_700_000_000_000 for entry in first + second] == [0, 0, 1]
    assert journal.entries() == first + second
    assert journal.entries("run_b") == second
    tree = Tree()
    for entry in first + second:
        tree.append(canonical_bytes(entry))
    signed = open_checkpoint(journal.checkpoint, journal.log_key)
    assert (signed.size, signed.root) == (3, tree.root().hex())


def test_every_proof_convinces_a_site_that_follows(journal: Journal) -> None:
    seen, size = None, 0
    for step in range(20):
        entries = journal.append("run", step, *[refused(f"s{number}") for number in range(step % 3 + 1)])
        seen = check_proof(entries[0], journal.prove(entries[0].index, size), journal.log_key, seen)
        size = seen.size
    assert size == journal.tree_size


def test_a_reopened_log_goes_on_where_it_was(journal: Journal, tmp_path: Path) -> None:
    before = journal.append("run", 1, refused("a"))
    note = journal.checkpoint
    journal.close()
    with Journal.open(tmp_path, KEY, ORIGIN, ticking()) as again:
        assert again.entries() == before
        assert again.checkpoint == note
        assert again.append("run", 2, closed())[0].index == 1


def test_a_second_coordinator_cannot_open_the_same_log(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="another coordinator"):
        Journal.open(tmp_path, KEY, ORIGIN, ticking())
    journal.append("run", 0, closed())


def test_a_closed_journal_is_not_written(journal: Journal) -> None:
    journal.close()
    with pytest.raises(SettingsError, match="closed"):
        journal.append("run", 0, closed())


@pytest.mark.parametrize(("key", "origin"), [(SigningKey(b"\x22" * 32), ORIGIN), (KEY, "collab/another")])
def test_a_log_is_not_continued_with_another_key_or_origin(
    journal: Journal, tmp_path: Path, key: SigningKey, origin: str
) -> None:
    journal.append("run", 0, closed())
    journal.close()
    with pytest.raises(IntegrityError):
        Journal.open(tmp_path, key, origin, ticking())


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("value", [0.5, "x" * (5 << 20), "not a digest", None])
def test_a_body_that_could_not_be_read_back_changes_nothing(journal: Journal, value: object) -> None:
    note = journal.checkpoint
    with pytest.raises(ContractError):
        journal.append("run", 0, closed(), closed().model_copy(update={"final_model": value}))
    assert (journal.tree_size, journal.checkpoint) == (0, note)
    assert journal.append("run", 0) == []
    assert journal.append("run", 0, closed())[0].index == 0


def test_what_the_log_does_not_hold_is_not_proven(journal: Journal) -> None:
    journal.append("run", 0, closed(), closed())
    for index in (-1, 2):
        with pytest.raises(ContractError):
            journal.prove(index, 0)
    with pytest.raises(LogForked, match="restored from a copy"):
        journal.prove(0, 3)


TAMPERED = {
    "entry cut": "DELETE FROM entries WHERE position = 2",
    "entry renamed": "UPDATE entries SET position = 9 WHERE position = 4",
    "entry altered": "UPDATE entries SET leaf = CAST(replace(leaf, 'run', 'ran') AS BLOB) WHERE position = 1",
    "leaf hash altered": "UPDATE entries SET leaf_hash = zeroblob(32) WHERE position = 1",
    "tail cut": "DELETE FROM entries WHERE position >= 3",
    "tail of checkpoints cut": "DELETE FROM checkpoints WHERE size > 2",
    "all checkpoints cut": "DELETE FROM checkpoints",
    "everything cut": "DELETE FROM entries",
    "checkpoint altered": "UPDATE checkpoints SET note = replace(replace(note, 'A', 'B'), 'a', 'b')",
}


@pytest.mark.parametrize("fault", list(TAMPERED))
def test_a_log_that_does_not_agree_with_its_checkpoint_is_not_continued(
    journal: Journal, tmp_path: Path, fault: str
) -> None:
    for site in "abcde":
        journal.append("run", 1, refused(site))
    journal.close()
    with sqlite3.connect(tmp_path / "log.sqlite") as database:
        assert database.execute(TAMPERED[fault]).rowcount > 0
    database.close()
    with pytest.raises(IntegrityError):
        Journal.open(tmp_path, KEY, ORIGIN, ticking())


def test_a_damaged_file_is_not_continued(journal: Journal, tmp_path: Path) -> None:
    journal.append("run", 1, refused("a"))
    journal.close()
    (tmp_path / "log.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(IntegrityError):
        Journal.open(tmp_path, KEY, ORIGIN, ticking())


def test_a_database_that_is_full_takes_nothing_and_goes_on_when_it_has_room(journal: Journal) -> None:
    journal.append("run", 1, refused("a"))
    before, note = journal.entries(), journal.checkpoint
    database = journal._connection()
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(StorageFailed) as full:
        journal.append("run", 2, *[refused(f"s{number}") for number in range(500)])
    assert full.value.exit_code == 5
    assert (journal.entries(), journal.checkpoint) == (before, note)
    added = journal.append("run", 2, *[refused(f"s{number}") for number in range(500)])
    assert journal.tree_size == 501 == added[-1].index + 1


FULL_DISK = """
import resource, sys
from pathlib import Path
from coordinator.journal import Journal
from privacy.protocol.entries import ReplyRefused
from privacy.log.keys import SigningKey
from privacy.base.errors import StorageFailed

def refused(site):
    facts = dict(phase="update", plan_digest="b" * 64, by="coordinator", reason="no_reply", envelope=None)
    return ReplyRefused(site=site, **facts)

folder = Path(sys.argv[1])
open_log = lambda: Journal.open(folder, SigningKey(bytes([33]) * 32), "collab/full", lambda: 0)
journal = open_log()
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
acknowledged = 0
try:
    for step in range(10_000):
        journal.append("run", 1, *[refused(f"s{number}") for number in range(20)])
        acknowledged += 20
except StorageFailed as error:
    assert error.exit_code == 5, error
else:
    raise SystemExit("a full disk went unnoticed")
assert acknowledged > 0
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
kept = journal.tree_size
assert kept in (acknowledged, acknowledged + 20), (kept, acknowledged)
journal.append("run", 2, refused("after"))
journal.close()
assert open_log().tree_size == kept + 1
print("resumed")
"""


def test_a_full_disk_loses_no_acknowledged_entry_and_writing_goes_on_when_it_is_free(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, "resumed\n"), result.stderr


def test_a_copy_from_an_older_day_cannot_prove_what_a_site_has_seen(journal: Journal, tmp_path: Path) -> None:
    journal.append("run", 1, refused("a"))
    journal.close()
    shutil.copytree(tmp_path, tmp_path / "backup")
    with Journal.open(tmp_path, KEY, ORIGIN, ticking()) as newer:
        seen = newer.append("run", 2, refused("b"))[-1].index + 1
    with Journal.open(tmp_path / "backup", KEY, ORIGIN, ticking()) as restored, pytest.raises(LogForked):
        restored.prove(0, seen)


WRITER = """
import os, sys
from pathlib import Path
from coordinator.journal import Journal
from privacy.protocol.entries import ReplyRefused
from privacy.log.keys import SigningKey

def refused(site):
    facts = dict(phase="update", plan_digest="b" * 64, by="coordinator", reason="no_reply", envelope=None)
    return ReplyRefused(site=site, **facts)

journal = Journal.open(Path(sys.argv[1]), SigningKey(bytes([33]) * 32), "collab/journal-test", lambda: 0)
while True:
    journal.append("run", 1, *[refused(f"s{number}") for number in range(1 + journal.tree_size % 4)])
    size, root = journal.checkpoint.split("\\n")[1:3]
    os.write(1, f"{size} {root}\\n".encode())
"""


@pytest.mark.slow
def test_no_kill_loses_an_acknowledged_entry_or_forks_the_log(tmp_path: Path) -> None:
    import random
    import time

    generator, kills = random.Random(7), 25
    seen = None
    for _ in range(kills):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(generator.uniform(0, 0.25))
        writer.kill()
        acknowledged = [first, *writer.stdout.read().split("\n")[:-1]][-1].split()
        writer.wait()
        with Journal.open(tmp_path, KEY, ORIGIN, ticking()) as journal:
            assert journal.tree_size >= int(acknowledged[0])
            index = int(acknowledged[0]) - 1
            seen = check_proof(
                journal.entries()[index], journal.prove(index, seen.size if seen else 0), journal.log_key, seen
            )
    assert seen is not None
    assert seen.size > kills


def test_every_commit_is_on_the_disk_before_it_is_told(journal: Journal) -> None:
    """synchronous=FULL (2): an fsync before COMMIT returns, also of the write-ahead log; NORMAL is 1, OFF is 0."""
    database = journal._connection()
    asked = {name: database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")}
    assert asked == {"synchronous": 2, "journal_mode": "wal"}
    assert database.execute("PRAGMA fullfsync").fetchone() == (1,)


@pytest.mark.parametrize(
    "harm",
    [
        "CREATE VIEW more AS SELECT 1",
        "CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM checkpoints; END",
        "CREATE INDEX i ON entries (leaf_hash)",
    ],
)
def test_a_log_that_holds_more_than_our_tables_is_not_continued(journal: Journal, tmp_path: Path, harm: str) -> None:
    journal.append("run", 0, closed())
    journal.close()
    with closing(sqlite3.connect(tmp_path / "log.sqlite")) as database, database:
        database.execute(harm)
    with pytest.raises(IntegrityError, match="something else than the two tables"):
        Journal.open(tmp_path, KEY, ORIGIN, ticking())


def test_all_that_is_written_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Journal.open(tmp_path / "made", KEY, ORIGIN, ticking()) as opened:
            opened.append("run", 0, closed())
            modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "made").iterdir()}
    finally:
        os.umask(before)
    assert modes.pop("log.sqlite-wal") == 0o600
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o700
