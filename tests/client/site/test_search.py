# SPDX-License-Identifier: Apache-2.0
"""A search on private data says its price first, is charged like any other training, and is never charged twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.cli import main
from privacy.base.randomness import PublicSeed
from privacy.protocol.model_request import ModelRequest, write_request

TRIALS = """
[search]
target_epsilon = 4.0
steps = 2
sample_rate = 0.5
[[trials]]
head_learning_rate = 0.5
[[trials]]
head_learning_rate = 2.0
max_grad_norm = 0.5
"""


@pytest.fixture
def searched(make_clinic: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """searched(*more, **changes): the clinic, and what `search` with these options answers."""

    def run(*more: str, trials: str = TRIALS, clinic: Any = None, **changes: Any) -> tuple[Any, int]:
        made = clinic or make_clinic(**changes)
        seed = PublicSeed.from_integer(0).hex()
        write_request(
            tmp_path / "task.json",
            ModelRequest(task=made.contract.task, training=made.contract.training, public_seed=seed),
        )
        (tmp_path / "trials.toml").write_text(trials)
        monkeypatch.chdir(made.root)
        files = ("--task", str(tmp_path / "task.json"), "--trials", str(tmp_path / "trials.toml"))
        given = ("--site", "clinic", "search", *files, "--pretrained", str(made.tiny), *more)
        return made, main(list(given))

    return run


def purposes(clinic: Any) -> list[str]:
    return [row.purpose for row in clinic.site.ledger.history("notes", "patient")]


def test_the_price_is_said_before_anything_is_trained(searched: Any, capsys: pytest.CaptureFixture[str]) -> None:
    clinic, code = searched("--dry-run")
    said = " ".join(capsys.readouterr().out.split())
    assert code == 0
    assert "trains 2 models on your private data" in said
    assert "from 0 to 3.9" in said
    assert "of 20 (unit: patient" in said
    assert purposes(clinic) == []


def test_nobody_to_agree_means_no_search(searched: Any, capsys: pytest.CaptureFixture[str]) -> None:
    clinic, code = searched()
    assert code == 2
    assert "nobody is here to agree" in capsys.readouterr().err
    clinic, code = searched("--json", clinic=clinic)
    assert code == 2
    assert purposes(clinic) == []


def test_trials_are_charged_and_those_done_are_not_repeated(searched: Any, capsys: pytest.CaptureFixture[str]) -> None:
    clinic, code = searched("--yes", "--json")
    first = json.loads(capsys.readouterr().out)
    assert code == 0
    assert [trial["trial"] for trial in first["trials"]] == [1, 2]
    assert purposes(clinic) == ["search", "search"]
    history = clinic.site.ledger.history("notes", "patient")
    assert [[event.partition for event in row.events] for row in history] == [["train", "dev"]] * 2
    spent = clinic.site.ledger.spent("notes", "patient", "0.001").epsilon
    assert float(spent) <= 4.0
    assert float(first["price"]["epsilon_after"]) == pytest.approx(float(spent), abs=1e-3)
    assert not clinic.site.ledger.unsettled("notes", "patient")
    clinic, code = searched("--yes", "--json", clinic=clinic)
    again = json.loads(capsys.readouterr().out)
    assert again["trials"] == first["trials"]
    assert again["price"]["trials"] == 0
    assert purposes(clinic) == ["search", "search"]


def test_a_search_that_is_too_dear_is_refused_before_anything_of_it_is_charged(
    searched: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    clinic, code = searched("--yes", policy={"epsilon_limit": 3.0})
    assert code == 3
    assert "as a whole: it would bring epsilon to" in capsys.readouterr().err
    assert purposes(clinic) == []


def test_a_search_keeps_the_sites_own_policy(searched: Any, capsys: pytest.CaptureFixture[str]) -> None:
    clinic, code = searched("--yes", policy={"max_grad_norm": 0.7})
    assert code == 3
    assert "max_grad_norm" in capsys.readouterr().err
    assert purposes(clinic) == []
