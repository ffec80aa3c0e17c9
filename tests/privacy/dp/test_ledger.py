# SPDX-License-Identifier: Apache-2.0
"""The ledger charges first, for good, once, and across processes, runs and crashes."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import stat
import subprocess
import sys
import textwrap

import pytest

from privacy.base.errors import BudgetExceeded, CollabError, ContractError, IntegrityError, PlanRefused
from privacy.dp import pld
from privacy.dp.composition import Accounted
from privacy.dp.ledger import Charge, Ledger, Release
from privacy.dp.params import PrivacyEvent, epsilon_string
from privacy.dp.pld import epsilon_pld
from privacy.dp.reservations import PinnedSplit

DELTA = "0.00001"


def event(steps=10, partition="train", noise="1", rate="0.1"):
    return PrivacyEvent(noise_multiplier=noise, sample_rate=rate, steps=steps, partition=partition)


PLAN = (event(80), event(9, "dev", noise="2", rate="1"))
"""What run-1 is planned for, unless a test says otherwise."""


def reserve(
    ledger,
    number,
    *,
    events=None,
    limit="8",
    dataset="notes",
    unit="patient",
    run_id="run-1",
    nonce=None,
    planned=(),
    split=None,
    seen=("", 0),
):
    return ledger.reserve(
        dataset,
        unit,
        Charge(run_id, tuple(events or [event()]), limit, DELTA, split, tuple(planned or PLAN)),
        Release(
            "hospital_a",
            number,
            "train",
            f"{number:064x}",
            number.to_bytes(32, "big") if nonce is None else nonce,
            seen,
        ),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path):
    return Ledger(path, accountant=pld.account)


def test_epsilon_is_that_of_the_whole_history_and_not_a_sum(ledger):
    first, second = reserve(ledger, 1), reserve(ledger, 2)
    whole = epsilon_pld([event(20)], 1e-5)
    assert whole <= float(second.epsilon_after) < whole + 1e-3
    assert float(second.epsilon_after) < 2 * float(first.epsilon_after)
    assert ledger.spent("notes", "patient", DELTA).epsilon == second.epsilon_after
    assert ledger.spent("notes", "patient", DELTA).events == (event(), event())


def test_a_reservation_over_the_limit_is_refused_with_the_figures_and_writes_nothing(ledger):
    reserve(ledger, 1)
    before = ledger.history("notes", "patient")
    with pytest.raises(BudgetExceeded) as refused:
        reserve(ledger, 2, limit="2.5")
    assert refused.value.epsilon_after > epsilon_pld([event(20)], 1e-5)
    assert f"by filter; pld says {epsilon_string(epsilon_pld([event(20)], 1e-5))})" in str(refused.value)
    assert (refused.value.epsilon_limit, refused.value.site, refused.value.server_round) == (2.5, "hospital_a", 2)
    assert ledger.history("notes", "patient") == before


def test_the_history_outlives_the_process_the_run_and_the_limit(path):
    reserve(Ledger(path, accountant=pld.account), 1)
    reserve(Ledger(path, accountant=pld.account), 2, run_id="run-2")
    again = Ledger(path, accountant=pld.account)
    assert [row.run_id for row in again.history("notes", "patient")] == ["run-1", "run-2"]
    assert again.spent("notes", "patient", DELTA, run_id="run-2").events == (event(),)
    one_run = float(again.spent("notes", "patient", DELTA, run_id="run-2").epsilon)
    assert one_run < float(again.spent("notes", "patient", DELTA).epsilon)


def test_datasets_have_ledgers_of_their_own(ledger):
    first = reserve(ledger, 1)
    assert reserve(ledger, 2, dataset="letters").epsilon_after == first.epsilon_after
    assert reserve(ledger, 3, dataset="rows", unit="record").epsilon_after == first.epsilon_after
    assert len(ledger.history("notes", "patient")) == 1
    assert ledger.spent("unknown", "record", DELTA).epsilon == "0"


@pytest.mark.parametrize(("first", "other"), [("patient", "record"), ("record", "patient")])
def test_a_data_set_has_one_unit_and_the_other_is_refused(ledger, first, other):
    """An account of the other unit would start at 0, though it is the same people's data."""
    reserve(ledger, 1, unit=first)
    before = ledger.reservations()
    with pytest.raises(PlanRefused, match=f"charged under unit {first}, and the policy now says {other}") as refused:
        reserve(ledger, 2, unit=other)
    assert refused.value.reason == "policy"
    assert ledger.reservations() == before
    assert reserve(ledger, 3, unit=first).number == 2


def test_a_crash_between_reserving_and_settling_stays_charged(path):
    ledger = Ledger(path, accountant=pld.account)
    done, lost = reserve(ledger, 1), reserve(ledger, 2)
    ledger.settle(done)
    ledger.settle(done)
    restarted = Ledger(path, accountant=pld.account)
    assert restarted.unsettled("notes", "patient") == (lost,)
    assert restarted.spent("notes", "patient", DELTA).epsilon == lost.epsilon_after


def test_a_process_killed_right_after_reserving_has_paid(path):
    program = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from privacy.dp.composition import Accounted
        from privacy.dp.ledger import Charge, Ledger, Release
        from privacy.dp.params import PrivacyEvent
        event = PrivacyEvent(noise_multiplier="1", sample_rate="0.1", steps=10, partition="train")
        Ledger(Path(sys.argv[1]), accountant=lambda events, delta: Accounted(float(len(events)), "prv")).reserve(
            "notes", "patient", Charge("run", (event,), "8", "0.00001"),
            Release("hospital_a", 1, "train", "0" * 64, bytes(32)))
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == -9
    ledger = Ledger(path, accountant=pld.account)
    assert [row.nonce for row in ledger.unsettled("notes", "patient")] == [bytes(32)]
    assert ledger.spent("notes", "patient", DELTA).events == (event(),)


def test_a_nonce_serves_once_even_for_another_dataset(ledger):
    reserve(ledger, 1)
    with pytest.raises(IntegrityError, match="nonce was used before"):
        reserve(ledger, 2, dataset="letters", nonce=(1).to_bytes(32, "big"))
    assert ledger.history("letters", "patient") == ()


def test_only_its_owner_may_read_the_ledger(ledger, path):
    reserve(ledger, 1)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    os.chmod(path, 0o644)
    Ledger(path, accountant=pld.account)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET body = '{}'",
        "DELETE FROM entry",
        "DELETE FROM entry WHERE kind = 'settlement'",
    ],
)
def test_the_file_itself_refuses_update_and_delete(ledger, path, statement):
    ledger.settle(reserve(ledger, 1))
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        sqlite3.connect(path).execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE entry SET body = replace(body, \'"epsilon_limit":"8"\', \'"epsilon_limit":"99"\') WHERE number = 1',
        "UPDATE entry SET body = replace(body, 'notes', 'other') WHERE number = 2",
        "UPDATE entry SET kind = 'settlement' WHERE number = 2",
        "DELETE FROM entry WHERE number = 1",
        "UPDATE entry SET number = 9 WHERE number = 3",
    ],
)
def test_a_change_behind_the_triggers_is_found(ledger, path, statement):
    for number in (1, 2, 3):
        reserve(ledger, number)
    db = sqlite3.connect(path)
    db.executescript("DROP TRIGGER entry_UPDATE; DROP TRIGGER entry_DELETE;" + statement + ";")
    db.close()
    with pytest.raises(IntegrityError, match="altered or removed"):
        reserve(ledger, 4)


def test_a_full_disk_refuses_and_keeps_what_was_there(path, monkeypatch):
    ledger = Ledger(path, accountant=lambda events, delta: Accounted(1.0, "prv"))
    reserve(ledger, 1)
    pages = sqlite3.connect(path).execute("PRAGMA page_count").fetchone()[0]
    connect = sqlite3.connect

    def full(*arguments, **options):
        db = connect(*arguments, **options)
        db.execute(f"PRAGMA max_page_count={pages}")
        return db

    with monkeypatch.context() as disk:
        disk.setattr(sqlite3, "connect", full)
        with pytest.raises(CollabError, match="full") as refused:
            reserve(ledger, 2, events=[event()] * 200, limit="1000")
    assert "free disk space" in str(refused.value)
    assert len(ledger.history("notes", "patient")) == 1
    reserve(ledger, 2)


def test_an_epsilon_that_is_no_number_releases_nothing(path):
    for nonsense in (math.nan, math.inf, -0.1):
        ledger = Ledger(path, accountant=lambda events, delta, value=nonsense: Accounted(value, "prv"))
        with pytest.raises(ContractError):
            reserve(ledger, 1)
        assert ledger.history("notes", "patient") == ()


def test_two_processes_cannot_both_spend_what_is_left(path):
    """Each wants 40 steps and the limit pays for 40: one is charged, the other is refused with the sum's figure."""
    Ledger(path, accountant=pld.account)
    program = textwrap.dedent(
        """
        import json, sys, time
        from pathlib import Path
        from privacy.dp.ledger import Charge, Ledger, Release
        from privacy.dp.params import PrivacyEvent
        from privacy.dp.pld import account
        from privacy.base.errors import BudgetExceeded
        path, me, limit = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
        event = PrivacyEvent(noise_multiplier="1", sample_rate="0.1", steps=40, partition="train")
        def slow(events, delta):
            time.sleep(0.3)
            return account(events, delta)
        ledger = Ledger(path, accountant=slow)
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            row = ledger.reserve("notes", "record", Charge("run", (event,), limit, "0.00001", None, (event,)),
                Release("hospital_a", me, "train", "0" * 64, bytes([me]) * 32))
            print(json.dumps(["charged", float(row.epsilon_after)]))
        except BudgetExceeded as refused:
            print(json.dumps(["refused", refused.epsilon_after]))
        """
    )
    one, both = (epsilon_pld([event(steps)], 1e-5) for steps in (40, 80))
    limit = f"{(one + both) / 2:.2f}1"
    command = [sys.executable, "-c", program, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([*command, str(me), limit], **pipes) for me in (1, 2)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = sorted(json.loads(process.communicate()[0]) for process in processes)
    assert [verdict for verdict, _ in answers] == ["charged", "refused"]
    assert answers[0][1] == pytest.approx(one, abs=1e-3)
    assert answers[1][1] >= both
    assert len(Ledger(path, accountant=pld.account).history("notes", "record")) == 1


def test_the_default_accountant_is_prv(path):
    from privacy.dp.accounting import epsilon

    row = reserve(Ledger(path), 1)
    assert float(row.epsilon_after) == pytest.approx(epsilon([event()], 1e-5), abs=1e-4)
    assert Ledger(path).spent("notes", "patient", DELTA).accountant == "prv"


def test_what_is_signed_is_the_label_of_the_accountant_that_answered(path):
    """PRV leaves more than 5,000 steps to PLD: its figure is not signed as PRV's."""
    reserve(Ledger(path), 1, events=[event(6000, noise="4", rate="0.01")])
    spent = Ledger(path).spent("notes", "patient", DELTA)
    assert (spent.epsilon, spent.accountant) == ("0.7268", "pld")


# The split ------------------------------------------------------------------------------------------------------------


def split(drawn="1", named="a"):
    return PinnedSplit(drawn * 64, named * 64)


def test_a_data_set_keeps_the_key_and_fractions_that_its_budget_was_spent_under(path):
    reserve(Ledger(path, accountant=pld.account), 1, split=split())
    for number, other in ((2, "2"), (3, "3")):
        before = Ledger(path, accountant=pld.account).reservations()
        with pytest.raises(PlanRefused, match="split of notes"):
            reserve(Ledger(path, accountant=pld.account), number, split=split(drawn=other))
        assert Ledger(path, accountant=pld.account).reservations() == before
    reserve(Ledger(path, accountant=pld.account), 4, split=split())


def test_under_new_names_train_and_dev_compose_in_sequence_for_good(path):
    """A unit that got another name may have been in both parts: the maximum over them would be too low."""
    train, dev = event(20), event(1, "dev", noise="2", rate="1")
    ledger = Ledger(path, accountant=pld.account)
    reserve(ledger, 1, events=[train], limit="50", split=split())
    apart = reserve(ledger, 2, events=[dev], limit="50", split=split())
    assert float(apart.epsilon_after) == pytest.approx(epsilon_pld([train, dev], 1e-5), abs=1e-4)
    assert not ledger.in_sequence("notes", "patient")
    renamed = reserve(ledger, 3, events=[dev], limit="50", split=split(named="b"))
    together = epsilon_pld([train, event(2, "train", noise="2", rate="1")], 1e-5)
    assert float(renamed.epsilon_after) == pytest.approx(together, abs=1e-4)
    assert float(renamed.epsilon_after) > float(apart.epsilon_after) + 0.5
    back = reserve(Ledger(path, accountant=pld.account), 4, events=[dev], limit="50", split=split())
    assert float(back.epsilon_after) > float(renamed.epsilon_after)
    assert Ledger(path, accountant=pld.account).in_sequence("notes", "patient")
    assert ledger.spent("notes", "patient", DELTA).epsilon == back.epsilon_after
    assert float(back.filter_after) > float(back.epsilon_after)


def test_new_names_that_are_refused_change_nothing(path):
    """Only a charge under new names moves units between parts."""
    ledger = Ledger(path, accountant=pld.account)
    reserve(ledger, 1, split=split())
    for refused in ({"limit": "0.5"}, {"unit": "record"}, {"nonce": (1).to_bytes(32, "big")}):
        with pytest.raises(CollabError):
            reserve(ledger, 2, split=split(named="b"), **refused)
    assert not ledger.in_sequence("notes", "patient")
    reserve(ledger, 2, dataset="letters", split=split(named="b"))
    assert not ledger.in_sequence("notes", "patient")


# The limit ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("over", [0, 0.0001, 0.01])
def test_the_limit_is_the_limit_and_not_a_hair_more(path, over):
    """What is reported is rounded up to four places: a history that comes to the limit exactly is the last to fit."""
    after = 1.2345 + over
    ledger = Ledger(path, accountant=lambda events, delta: Accounted(after, "prv"))
    if over == 0:
        assert reserve(ledger, 1, limit="1.2345", planned=[event()]).epsilon_after == "1.2345"
        return
    with pytest.raises(BudgetExceeded):
        reserve(ledger, 1, limit="1.2345", planned=[event()])
    assert ledger.reservations() == ()


def test_a_refusal_says_whose_figure_binds(path):
    ledger = Ledger(path, accountant=pld.account)
    with pytest.raises(BudgetExceeded, match=r"of 1\.0000 \(unit: patient, by filter; pld says 3\.\d+\)") as refused:
        reserve(ledger, 1, limit="1", events=[event(20)], planned=[event(20)])
    assert refused.value.accountant == "filter"
    late = Ledger(path, accountant=lambda events, delta: Accounted(3.0 if len(events) > 1 else 0.5, "prv"))
    reserve(late, 1, limit="1", events=[event(1)], planned=[event(20)])
    with pytest.raises(BudgetExceeded, match=r"to 3\.0000 of 1\.0000 \(unit: patient, by prv\)") as refused:
        reserve(late, 2, limit="1", events=[event(1)])
    assert refused.value.accountant == "prv"
