# SPDX-License-Identifier: Apache-2.0
"""The ledger's file survives kills at every step, one flipped bit, an old copy, a jumping clock and its own past."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privacy.base.canonical import digest_of
from privacy.base.errors import CollabError, IntegrityError, PlanRefused
from privacy.dp.composition import Accounted
from privacy.dp.ledger import Charge, Ledger, Release
from privacy.dp.params import PrivacyEvent
from privacy.dp.reservations import PinnedSplit

DELTA = "0.00001"
EVENT = PrivacyEvent(noise_multiplier="1", sample_rate="0.1", steps=10, partition="train")


def steps(events, delta):
    """An accountant that is quick: an eighth of epsilon for ten steps."""
    return Accounted(sum(event.steps for event in events) / 80, "prv")


def opened(path):
    return Ledger(path, accountant=steps)


def reserve(
    ledger,
    number,
    *,
    delta=DELTA,
    dataset="notes",
    limit="80",
    purpose="train",
    run_id="run",
    events=(EVENT,),
    unit="patient",
    split=None,
):
    return ledger.reserve(
        dataset,
        unit,
        Charge(run_id, events, limit, delta, split),
        Release("hospital_a", number, purpose, f"{number:064x}", number.to_bytes(32, "big")),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


# Killed ---------------------------------------------------------------------------------------------------------------

KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from privacy.dp import ledger_chain
    from privacy.dp.composition import Accounted
    from privacy.dp.ledger import Charge, Ledger, Release
    from privacy.dp.params import PrivacyEvent

    die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
    event = PrivacyEvent(noise_multiplier="1", sample_rate="0.1", steps=10, partition="train")

    def reserve(ledger, number):
        return ledger.reserve("notes", "patient", Charge("run", (event,), "8", "0.00001"),
            Release("hospital_a", number, "train", f"{number:064x}", number.to_bytes(32, "big")))

    path, step = Path(sys.argv[1]), sys.argv[2]
    ledger = Ledger(path, accountant=lambda events, delta: Accounted(len(events) / 8, "prv"))
    ledger.settle(reserve(ledger, 1))
    append, write = ledger_chain.Transaction.append, ledger_chain.write_private
    if step == "before the entry is committed":
        ledger_chain.Transaction.append = lambda page, kind, body: (append(page, kind, body), die())
    if step == "between entry and head":
        ledger_chain.write_private = die
    if step == "after the head":
        ledger_chain.write_private = lambda *given: (write(*given), die())
    second = reserve(ledger, 2)
    if step == "in training":
        die()
    if step == "before the settlement is committed":
        ledger_chain.Transaction.append = lambda page, kind, body: (append(page, kind, body), die())
    if step == "between settlement and head":
        ledger_chain.write_private = die
    ledger.settle(second)
    die()
    """
)


@pytest.mark.parametrize(
    ("step", "charged", "unsettled"),
    [
        ("before the entry is committed", 1, 0),
        ("between entry and head", 2, 1),
        ("after the head", 2, 1),
        ("in training", 2, 1),
        ("before the settlement is committed", 2, 1),
        ("between settlement and head", 2, 0),
        ("after all of it", 2, 0),
    ],
)
def test_a_process_killed_at_any_step_leaves_a_ledger_that_opens_and_forgets_no_charge(path, step, charged, unsettled):
    """What was not yet committed was not yet trained: only that may be missing."""
    assert subprocess.run([sys.executable, "-c", KILLED, str(path), step], check=False).returncode == -9
    ledger = opened(path)
    assert [row.server_round for row in ledger.history("notes", "patient")] == list(range(1, charged + 1))
    assert len(ledger.unsettled("notes", "patient")) == unsettled
    reserve(ledger, 3)
    assert opened(path).spent("notes", "patient", DELTA).epsilon == f"{(charged + 1) / 8:g}"


# Altered --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A ledger with every kind of entry, its log written back into the one file."""
    path = tmp_path_factory.mktemp("whole") / "ledger.sqlite"
    ledger = opened(path)
    ledger.settle(reserve(ledger, 1, split=PinnedSplit("a" * 64, "b" * 64)))
    reserve(ledger, 2, dataset="letters")
    ledger.withdraw("letters")
    db = sqlite3.connect(path)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return path


def told(ledger):
    """All that a ledger says."""
    accounts = [("notes", "patient"), ("letters", "patient")]
    return [(ledger.history(*one), ledger.unsettled(*one), ledger.withdrawn(one[0])) for one in accounts]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_is_found_or_changes_nothing_that_the_ledger_says(whole, tmp_path, data):
    """A file of SQLite has bytes that mean nothing (free space, counters): there a flip may pass."""
    folder = tmp_path / f"{time.monotonic_ns()}"
    folder.mkdir()
    for name in ("ledger.sqlite", "ledger.head"):
        shutil.copy(whole.with_name(name), folder / name)
    bytes_ = bytearray(whole.read_bytes())
    used = [at for at, byte in enumerate(bytes_) if byte]
    at = data.draw(st.sampled_from(used))
    bytes_[at] ^= 1 << data.draw(st.integers(0, 7))
    (folder / "ledger.sqlite").write_bytes(bytes_)
    try:
        found = told(opened(folder / "ledger.sqlite"))
    except CollabError:
        return
    assert found == told(opened(whole))


@pytest.mark.parametrize("kind", ["first_run", "reservation", "settlement", "split", "withdrawal"])
def test_a_changed_letter_in_any_kind_of_entry_is_found(whole, tmp_path, kind):
    shutil.copytree(whole.parent, tmp_path / "copy")
    path = tmp_path / "copy" / "ledger.sqlite"
    db = sqlite3.connect(path)
    names = ("entry_UPDATE", "entry_DELETE")
    triggers = [db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0] for name in names]
    for name in names:
        db.execute(f"DROP TRIGGER {name}")
    db.execute("UPDATE entry SET body = replace(replace(body, 'notes', 'notez'), ':1', ':2') WHERE kind = ?", (kind,))
    db.execute("UPDATE entry SET body = replace(body, 'letters', 'lettres') WHERE kind = ?", (kind,))
    for sql in triggers:
        db.execute(sql)
    db.commit()
    db.close()
    with pytest.raises(IntegrityError, match=r"entry \d of the privacy ledger was altered"):
        opened(path)


# Restored -------------------------------------------------------------------------------------------------------------


def test_an_old_copy_is_refused_and_the_newest_one_accepted_again(path, tmp_path):
    ledger = opened(path)
    reserve(ledger, 1)
    backup = tmp_path / "backup"
    with sqlite3.connect(path) as db:
        db.execute("VACUUM INTO ?", (str(backup),))
    reserve(ledger, 2)
    newest = {file.name: file.read_bytes() for file in path.parent.glob("ledger.sqlite*")}
    for file in path.parent.glob("ledger.sqlite*"):
        file.unlink()
    shutil.copy(backup, path)
    with pytest.raises(IntegrityError, match="it is an old copy") as refused:
        opened(path)
    assert "newest ledger.sqlite" in (refused.value.next_step or "")
    path.unlink()
    for name, content in newest.items():
        (path.parent / name).write_bytes(content)
    assert len(opened(path).history("notes", "patient")) == 2


def test_a_ledger_that_was_deleted_is_missed(path):
    reserve(opened(path), 1)
    for file in path.parent.glob("ledger.sqlite*"):
        file.unlink()
    with pytest.raises(IntegrityError, match="ends at entry 0"):
        opened(path)


def test_another_history_of_the_same_length_is_refused(path, tmp_path):
    reserve(opened(path), 1)
    other = tmp_path / "other" / "ledger.sqlite"
    other.parent.mkdir()
    reserve(opened(other), 9)
    for file in path.parent.glob("ledger.sqlite*"):
        file.unlink()
    with sqlite3.connect(other) as db:
        db.execute("VACUUM INTO ?", (str(path),))
    with pytest.raises(IntegrityError, match="not the one that its head was written for"):
        opened(path)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"digest":"' + b"0" * 64 + b'","number":0}'])
def test_a_head_that_is_missing_or_altered_is_no_reason_to_go_on(path, content):
    reserve(opened(path), 1)
    head = path.with_suffix(".head")
    head.unlink()
    with pytest.raises(IntegrityError, match="head"):
        opened(path)
    head.write_bytes(content)
    with pytest.raises(IntegrityError, match="head"):
        opened(path)


# The first version ----------------------------------------------------------------------------------------------------

FIRST_VERSION = """
CREATE TABLE reservation (
    number INTEGER PRIMARY KEY, dataset TEXT NOT NULL, unit TEXT NOT NULL, delta TEXT NOT NULL, events TEXT NOT NULL,
    site TEXT NOT NULL, run_id TEXT NOT NULL, server_round INTEGER NOT NULL, purpose TEXT NOT NULL,
    plan_digest TEXT NOT NULL, nonce TEXT NOT NULL UNIQUE, epsilon_limit TEXT NOT NULL, epsilon_after TEXT NOT NULL,
    row_digest TEXT NOT NULL) STRICT;
CREATE TABLE settlement (reservation INTEGER PRIMARY KEY REFERENCES reservation (number)) STRICT;
CREATE TABLE split (
    dataset TEXT NOT NULL, unit TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (dataset, unit)) STRICT;
"""


def first_version(path: Path, *, altered: bool = False, units: tuple[str, str] = ("patient", "patient")) -> None:
    """A file as the code before this wrote it: two reservations, the first settled, and a pinned split."""
    db = sqlite3.connect(path)
    db.executescript(FIRST_VERSION)
    previous = "0" * 64
    events = '[{"noise_multiplier":"1","sample_rate":"0.1","steps":10,"partition":"train"}]'
    for number in (1, 2):
        values = [number, "notes", units[number - 1], DELTA, events, "hospital_a", "run", number, "train"]
        values += [f"{number:064x}", number.to_bytes(32, "big").hex(), "8", f"0.{number}"]
        previous = digest_of({"previous": previous, "row": values})
        values[11] = "80" if altered else "8"
        db.execute(f"INSERT INTO reservation VALUES ({', '.join('?' * 14)})", [*values, previous])
    db.execute("INSERT INTO settlement VALUES (1)")
    db.execute("INSERT INTO split VALUES ('notes', 'patient', ?)", ("a" * 64,))
    db.commit()
    db.close()


def test_a_ledger_of_the_first_version_is_taken_over_with_all_that_it_said(path):
    first_version(path)
    ledger = opened(path)
    history = ledger.history("notes", "patient")
    assert [(row.server_round, row.events, row.epsilon_after) for row in history] == [
        (1, (EVENT,), "0.1"),
        (2, (EVENT,), "0.2"),
    ]
    assert ledger.unsettled("notes", "patient") == history[1:]
    with pytest.raises(PlanRefused, match="split of notes"):
        reserve(ledger, 3, split=PinnedSplit("b" * 64, "c" * 64))
    assert reserve(ledger, 3, split=PinnedSplit("a" * 64, "c" * 64)).epsilon_after == "0.375"
    assert not ledger.in_sequence("notes", "patient")
    reserve(ledger, 4, split=PinnedSplit("a" * 64, "d" * 64))
    assert ledger.in_sequence("notes", "patient")
    assert len(opened(path).history("notes", "patient")) == 4


def test_an_altered_ledger_of_the_first_version_is_not_taken_over(path):
    first_version(path, altered=True)
    with pytest.raises(IntegrityError, match="entry 1 of the privacy ledger was altered"):
        opened(path)


def test_a_file_in_which_both_units_were_charged_is_closed_under_both(path):
    """No epsilon of either covers what was released for the other."""
    first_version(path, units=("patient", "record"))
    ledger = opened(path)
    assert ledger.accounts() == [("notes", "patient"), ("notes", "record")]
    for unit in ("patient", "record"):
        with pytest.raises(PlanRefused, match="under both units by an earlier version"):
            reserve(ledger, 3, unit=unit)
