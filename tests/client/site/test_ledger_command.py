# SPDX-License-Identifier: Apache-2.0
"""The ledger's command tells what was spent and how far the rest reaches; an old copy is noticed at the start."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from client.cli import main
from client.site import account as accounts_room
from privacy.base.errors import BudgetExceeded, IntegrityError
from privacy.dp.ledger import Charge, Ledger, Release
from privacy.protocol.messages import Refusal, SignedMessage

Clinic = Any


def command(clinic: Clinic, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.chdir(clinic.root)
    return main(["--site", "clinic", *words])


@pytest.fixture
def trained(clinic: Clinic) -> Clinic:
    """A clinic that answered two rounds and an evaluation."""
    for reply in (clinic.ask(), clinic.ask(2), clinic.count(2)):
        assert reply.envelope.kind != "refusal"
    return clinic


def test_the_ledger_tells_totals_runs_and_a_forecast(
    trained: Clinic, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command(trained, monkeypatch, "ledger", "--json", "--plot", str(tmp_path / "ledger.svg")) == 0
    (row,) = json.loads(capsys.readouterr().out)["accounts"]
    assert (row["dataset"], row["unit"], row["releases"], row["unsettled"]) == ("notes", "patient", 3, 0)
    assert [run["run_id"] for run in row["runs"]] == ["spring"]
    assert row["runs"][0]["epsilon"] == row["epsilon_prv"]
    assert abs(float(row["epsilon_prv"]) - float(row["epsilon_pld"])) < 0.03
    assert float(row["epsilon_left"]) == pytest.approx(20 - float(row["epsilon_spent"]))
    assert row["forecast"]["rounds"] > 1
    drawn = ElementTree.fromstring((tmp_path / "ledger.svg").read_text())
    assert len([one for one in drawn.iter() if one.tag.endswith("path")]) == 3
    assert command(trained, monkeypatch, "ledger") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"the budget allows {row['forecast']['rounds']} more rounds of 2 steps at noise multiplier 1.5" in shown


def test_the_forecast_is_what_a_real_ledger_allows_and_not_one_round_more(trained: Clinic, tmp_path: Path) -> None:
    (account,) = accounts_room.accounts(trained.folder)
    event = accounts_room.last_round(account)
    assert event is not None
    rounds = accounts_room.forecast(account, event).rounds
    shutil.copy(trained.folder.ledger.with_suffix(".head"), tmp_path / "ledger.head")
    with sqlite3.connect(trained.folder.ledger) as db:
        db.execute("VACUUM INTO ?", (str(tmp_path / "ledger.sqlite"),))
    ledger = Ledger(tmp_path / "ledger.sqlite")

    def reserve(number: int, steps: int) -> None:
        ledger.reserve(
            "notes",
            "patient",
            Charge("next", (event.model_copy(update={"steps": steps}),), account.epsilon_limit or "", account.delta),
            Release("clinic", number, "train", f"{number:064x}", number.to_bytes(32, "big")),
        )

    reserve(1, event.steps * rounds)
    with pytest.raises(BudgetExceeded):
        reserve(2, event.steps)


def test_a_round_of_ones_own_can_be_forecast_and_nonsense_is_refused(
    make_clinic: Callable[..., Clinic], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clinic = make_clinic(policy={"epsilon_limit": 6.0})  # few rounds are left, and soon counted
    for reply in (clinic.hello(), clinic.ask()):
        assert reply.envelope.kind != "refusal"

    def rounds(*more: str) -> int:
        assert command(clinic, monkeypatch, "ledger", "--json", *more) == 0
        return int(json.loads(capsys.readouterr().out)["accounts"][0]["forecast"]["rounds"])

    assert rounds("--noise-multiplier", "6") > rounds() > rounds("--steps", "40")
    assert command(clinic, monkeypatch, "ledger", "--sample-rate", "7") == 2
    assert "no such round" in capsys.readouterr().err


def test_a_withdrawn_data_set_refuses_the_next_round(
    trained: Clinic, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(trained, monkeypatch, "withdraw") == 2
    assert "nobody is here to agree" in capsys.readouterr().err
    assert command(trained, monkeypatch, "withdraw", "--yes") == 0
    reply: SignedMessage = trained.ask(3)
    assert trained.opened_reply(reply, Refusal).reason == "policy"
    assert "withdrawn" in trained.sentences()[-1]
    assert command(trained, monkeypatch, "ledger", "--json") == 0
    out = capsys.readouterr().out
    (row,) = json.loads(out[out.index("{") :])["accounts"]
    assert row["withdrawn"] is True
    assert row["forecast"]["rounds"] == 0


@pytest.mark.parametrize("memory", ["ledger", "state"])
def test_an_old_copy_of_ledger_or_state_is_noticed_when_the_site_starts(clinic: Clinic, memory: str) -> None:
    """Both files of the ledger come from the backup: its own head does not tell, what the site sent does."""
    assert clinic.ask().envelope.kind == "site_update"
    names = ["ledger.sqlite", "ledger.head"] if memory == "ledger" else ["state.sqlite"]
    backup = clinic.root / "backup"
    backup.mkdir()
    clinic.site.state.close()
    for name in names:
        file = clinic.folder.home / name
        if file.suffix == ".head":
            shutil.copy(file, backup / name)
            continue
        with sqlite3.connect(file) as db:
            db.execute("VACUUM INTO ?", (str(backup / name),))
    clinic.start()
    assert clinic.ask(2).envelope.kind == "site_update"
    clinic.site.state.close()
    for name in names:
        for left in clinic.folder.home.glob(f"{name}*"):
            left.unlink()
        shutil.copy(backup / name, clinic.folder.home / name)
    with pytest.raises(IntegrityError, match="old copy"):
        clinic.start()
