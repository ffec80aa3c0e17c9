# SPDX-License-Identifier: Apache-2.0
"""What the ledger refuses whatever the limit: a closed data set, another delta or version, an epsilon that falls."""

from __future__ import annotations

import sqlite3
import time

import pytest

from privacy.base.errors import BudgetExceeded, ContractError, IntegrityError, PlanRefused
from privacy.dp.composition import Accounted
from privacy.dp.ledger import Charge, Ledger, Release
from privacy.dp.params import PrivacyEvent

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
    unit="patient",
    split=None,
):
    return ledger.reserve(
        dataset,
        unit,
        Charge(run_id, (EVENT,), limit, delta, split),
        Release("hospital_a", number, purpose, f"{number:064x}", number.to_bytes(32, "big")),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


def test_a_withdrawn_data_set_is_closed_for_good_and_keeps_its_history(path):
    ledger = opened(path)
    reserve(ledger, 1)
    ledger.withdraw("notes")
    ledger.withdraw("notes")
    for unit in ("patient", "record"):
        with pytest.raises(PlanRefused, match="withdrawn") as refused:
            reserve(opened(path), 2, unit=unit)
        assert refused.value.reason == "policy"
    assert len(opened(path).history("notes", "patient")) == 1
    assert reserve(ledger, 3, dataset="letters").number == 2


def test_the_delta_of_the_first_charge_stays(path):
    ledger = opened(path)
    reserve(ledger, 1)
    assert ledger.delta("notes", "patient") == DELTA
    for other in ("0.0001", "0.000001"):
        with pytest.raises(PlanRefused, match=r"at delta 0\.00001 since its first charge"):
            reserve(ledger, 2, delta=other)
    reserve(ledger, 3, dataset="letters", delta="0.0001")


def test_another_run_another_coordinator_and_another_task_add_to_the_same_history(path):
    for number, (run_id, purpose) in enumerate(
        [("spring", "train"), ("of-another-coordinator", "train"), ("x", "search")], 1
    ):
        last = reserve(opened(path), number, run_id=run_id, purpose=purpose)
        assert last.epsilon_after == f"{number / 8:g}"
    with pytest.raises(BudgetExceeded):
        reserve(opened(path), 9, limit="0.45")


def test_an_accountant_that_contradicts_itself_releases_nothing(path):
    reserve(opened(path), 1)
    forgetful = Ledger(path, accountant=lambda events, delta: Accounted(0.01, "prv"))
    with pytest.raises(ContractError, match="contradicts itself"):
        reserve(forgetful, 2)
    assert len(opened(path).history("notes", "patient")) == 1


@pytest.mark.parametrize(("less", "sound"), [(0.0299, True), (0.0301, False)])
def test_an_epsilon_that_falls_by_more_than_the_accountants_error_releases_nothing(path, less, sound):
    """Less than that is the error of two sound answers, and the larger one stays on record."""

    def falling(events, delta):
        return Accounted(1.0 if len(events) < 2 else 1.0 - less, "prv")

    reserve(Ledger(path, accountant=falling), 1)
    if sound:
        assert reserve(Ledger(path, accountant=falling), 2).epsilon_after == "1"
        return
    with pytest.raises(ContractError, match="contradicts itself"):
        reserve(Ledger(path, accountant=falling), 2)
    assert len(opened(path).history("notes", "patient")) == 1


def test_every_connection_waits_for_the_disk(path, monkeypatch):
    """With synchronous OFF or NORMAL a power cut takes back a charge whose release has left."""
    connect, levels = sqlite3.connect, []

    class Watched(sqlite3.Connection):
        def close(self):
            levels.append((self.execute("PRAGMA synchronous").fetchone()[0], self.in_transaction))
            super().close()

    monkeypatch.setattr(sqlite3, "connect", lambda *given, **more: connect(*given, **more, factory=Watched))
    ledger = opened(path)
    ledger.settle(reserve(ledger, 1))
    assert len(levels) >= 3
    assert set(levels) == {(2, False)}


def test_a_file_of_the_version_before_is_taken_over_and_one_of_a_later_version_refused(path):
    """An older collab must refuse this one's file: it would read a change of names as a split like any other."""
    reserve(opened(path), 1)
    for version, sound in ((2, True), (3, True), (4, False), (1, False)):
        with sqlite3.connect(path) as db:
            db.execute(f"PRAGMA user_version={version}")
        if not sound:
            with pytest.raises(IntegrityError, match="version 3"):
                opened(path)
            continue
        assert len(opened(path).history("notes", "patient")) == 1
        assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (3,)


def test_a_withdrawal_of_one_unit_in_an_older_file_closes_the_data_set(path):
    ledger = opened(path)
    reserve(ledger, 1)
    with ledger._chain.transaction() as page:
        page.append("withdrawal", {"dataset": "notes", "unit": "record"})
    assert opened(path).withdrawn("notes")
    with pytest.raises(PlanRefused, match="withdrawn"):
        reserve(opened(path), 2)


def test_a_clock_that_jumps_changes_nothing(path, monkeypatch):
    """No entry holds a time, and none is looked at but to wait for a lock."""
    ledger = opened(path)
    for number, now in enumerate((2e9, 0.0, 4e9), 1):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        ledger.settle(reserve(ledger, number))
    monkeypatch.undo()
    assert [row.server_round for row in opened(path).history("notes", "patient")] == [1, 2, 3]
    bodies = sqlite3.connect(path).execute("SELECT body FROM entry").fetchall()
    assert not any("time" in body or "_at" in body for (body,) in bodies)
