# SPDX-License-Identifier: Apache-2.0
"""A run that does not fit as a whole costs nothing; a person can ask what one would cost; a lost memory stops all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.cli import main
from client.settings.site_settings import SiteFolder
from client.site.budget import cost_of_run, planned_events
from privacy.base.canonical import canonical_bytes
from privacy.base.errors import BudgetExceeded, IntegrityError, PlanRefused
from privacy.dp import accounting
from privacy.dp.filtering import epsilon_filter
from privacy.dp.ledger import Charge, Release

Clinic = Any
Make = Callable[..., Clinic]


def total(clinic: Clinic) -> float:
    """What the whole run of three rounds costs by the accountant that charges."""
    return accounting.epsilon(clinic.recipe.opened.outline.events(), 1e-3)


def limited(clinic: Clinic, limit: float) -> Clinic:
    """The same site under another limit, as if it had enrolled with it."""
    toml = clinic.folder.toml
    line = next(line for line in toml.read_text().splitlines() if line.startswith("epsilon_limit"))
    toml.write_text(toml.read_text().replace(line, f"epsilon_limit = {limit}"))
    clinic.folder = SiteFolder(toml)
    clinic.site.budget._settings, clinic.site.budget._policy = clinic.folder.settings, clinic.folder.settings.policy
    return clinic


def check(clinic: Clinic, run_id: str = "spring") -> None:
    clinic.site.budget.check_run(run_id, clinic.recipe.opened)


# The whole run --------------------------------------------------------------------------------------------------------


def test_the_whole_run_is_updates_and_evaluations_together(make_clinic: Make) -> None:
    clinic = make_clinic()
    outline = clinic.recipe.opened.outline
    planned = planned_events(outline, clinic.folder.settings)
    assert [one.partition for one in planned].count("train") == outline.planned_rounds == 3
    assert [one.partition for one in planned].count("dev") == outline.evaluations > 0
    policy = clinic.folder.settings.policy.model_copy(update={"send_metrics": False})
    at_home = planned_events(outline, clinic.folder.settings.model_copy(update={"policy": policy}))
    assert {one.partition for one in at_home} == {"train"}
    role = clinic.folder.settings.site.model_copy(update={"role": "evaluator"})
    assert planned_events(outline, clinic.folder.settings.model_copy(update={"site": role})) == ()


@pytest.mark.parametrize(("spare", "fits"), [(0.0001, True), (-0.01, False)])
def test_a_first_run_fits_to_the_last_figure_and_not_a_hundredth_more(
    make_clinic: Make, spare: float, fits: bool
) -> None:
    clinic = make_clinic()
    limited(clinic, round(total(clinic) + spare, 4))
    if fits:
        check(clinic)
        clinic.hello()
        replies = [clinic.count(0)]
        for number in (1, 2, 3):
            replies += [clinic.ask(number), clinic.count(number)]
        assert {reply.envelope.kind for reply in replies} == {"site_update", "site_metrics"}
        return
    with pytest.raises(BudgetExceeded, match="refuses run spring as a whole: it would bring epsilon to"):
        check(clinic)
    assert clinic.charged() == ()


def test_what_a_run_was_charged_counts_once_when_it_goes_on(make_clinic: Make) -> None:
    clinic = make_clinic()
    limited(clinic, round(total(clinic) + 0.0001, 4))
    clinic.hello()
    for number in (1, 2):
        assert clinic.ask(number).envelope.kind == "site_update"
        check(clinic)
    assert clinic.count(2).envelope.kind == "site_metrics"
    check(clinic)


def test_a_round_that_was_charged_twice_counts_twice(make_clinic: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an attempt that failed was charged stays charged: with a second one the run no longer fits as a whole."""
    clinic = make_clinic()
    limited(clinic, round(total(clinic) + 0.0001, 4))
    clinic.hello()
    entry = clinic.planned(1)

    def killed(*given: object) -> None:
        raise KeyboardInterrupt

    message = clinic.message(entry, "update", clinic.initial)
    with monkeypatch.context() as crash:
        crash.setattr(clinic.site.pipeline, "train", killed)
        with pytest.raises(KeyboardInterrupt):
            clinic.site.answer(message)
    assert len(clinic.charged()) == 1
    check(clinic)
    again = cost_of_run(clinic.site.ledger, clinic.folder.settings, None, "spring", clinic.recipe.opened.outline)
    assert float(again.epsilon) <= float(clinic.folder.settings.policy.epsilon_limit)
    clinic.site.ledger.reserve(
        "notes",
        "patient",
        Charge("spring", clinic.charged()[0].events, "20", "0.001"),
        Release("clinic", 1, "train", clinic.charged()[0].plan_digest, bytes(32)),
    )
    with pytest.raises(BudgetExceeded):
        check(clinic)


def test_another_run_is_held_to_the_filter_with_all_that_was_charged(make_clinic: Make) -> None:
    clinic = make_clinic()
    clinic.hello()
    assert clinic.ask(1).envelope.kind == "site_update"
    events = [event for row in clinic.charged() for event in row.events]
    outline = clinic.recipe.opened.outline
    found = cost_of_run(
        clinic.site.ledger, clinic.folder.settings, clinic.site.pipeline.records.split(), "autumn", outline
    )
    first = clinic.site.ledger.first_run("notes")
    whole = epsilon_filter([*events, *outline.events()], 1e-3, first.favourite)
    assert found.binding[1] == "filter"
    assert float(found.binding[0]) == pytest.approx(whole, abs=2e-4)
    limited(clinic, round(whole + 0.001, 3))
    check(clinic, "autumn")
    limited(clinic, round(whole - 0.01, 3))
    with pytest.raises(BudgetExceeded, match=r"by filter; prv says"):
        check(clinic, "autumn")
    assert [row.run_id for row in clinic.charged()] == ["spring"]


@pytest.mark.parametrize("change", ["withdrawn", "fractions", "delta"])
def test_what_no_charge_could_pass_is_said_at_once(make_clinic: Make, change: str) -> None:
    clinic = make_clinic()
    clinic.hello()
    assert clinic.ask(1).envelope.kind == "site_update"
    settings = clinic.folder.settings
    if change == "withdrawn":
        clinic.site.ledger.withdraw("notes")
    if change == "fractions":
        data = settings.data.model_copy(update={"dev_fraction": 0.5})
        clinic.site.pipeline.records._settings = settings.model_copy(update={"data": data})
    if change == "delta":
        clinic.site.budget._settings = settings.model_copy(
            update={"policy": settings.policy.model_copy(update={"delta": 1e-4})}
        )
    with pytest.raises(PlanRefused) as refused:
        check(clinic)
    assert refused.value.reason == "policy"


# What a person asks ---------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(clinic: Clinic, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    monkeypatch.chdir(clinic.root)

    def ask(content: bytes, *more: str) -> tuple[int, str]:
        Path("plan.json").write_bytes(content + b"\n")
        capsys.readouterr()
        code = main(["--site", "clinic", "budget", "--plan", "plan.json", *more])
        said = capsys.readouterr()
        return code, said.out + said.err

    return ask


def test_a_person_is_told_what_a_run_would_cost_and_nothing_is_charged(clinic: Clinic, asked: Any) -> None:
    outline = clinic.recipe.opened.outline
    code, said = asked(canonical_bytes(outline), "--json")
    told = json.loads(said)
    assert (code, told["fits"], told["epsilon_now"], told["unit"], told["delta"]) == (0, True, "0", "patient", "0.001")
    assert (told["by_after"], told["rounds"], told["evaluations"]) == ("prv", 3, outline.evaluations)
    assert float(told["epsilon_after"]) == pytest.approx(total(clinic), abs=1e-4)
    assert float(told["epsilon_left"]) == pytest.approx(20 - float(told["epsilon_after"]))
    assert clinic.charged() == ()
    code, said = asked(canonical_bytes(outline))
    assert code == 0
    assert "YES: the whole run fits, by prv" in said


def test_an_opened_run_counts_what_it_was_charged_and_a_new_one_is_held_to_the_filter(
    clinic: Clinic, asked: Any
) -> None:
    assert clinic.ask(1).envelope.kind == "site_update"
    code, said = asked(canonical_bytes(clinic.opened), "--json")
    goes_on = json.loads(said)
    assert (code, goes_on["run_id"], goes_on["by_after"]) == (0, "spring", "prv")
    assert float(goes_on["epsilon_after"]) == pytest.approx(total(clinic), abs=1e-4)
    again = json.loads(asked(canonical_bytes(clinic.recipe.opened.outline), "--json")[1])
    assert again["by_after"] == "filter"
    assert float(again["epsilon_after"]) > float(goes_on["epsilon_after"]) + 1


def test_a_run_that_does_not_fit_ends_with_exit_code_3(clinic: Clinic, asked: Any) -> None:
    limited(clinic, 2.0)
    code, said = asked(canonical_bytes(clinic.recipe.opened.outline), "--json")
    assert (code, json.loads(said)["fits"], json.loads(said)["epsilon_left"]) == (3, False, "0")
    code, said = asked(canonical_bytes(clinic.recipe.opened.outline))
    assert code == 3
    assert "NO: the whole run would bring epsilon to" in " ".join(said.split())


def test_a_run_of_the_other_unit_is_no_plan_for_this_site(clinic: Clinic, asked: Any) -> None:
    outline = clinic.recipe.opened.outline
    private = outline.privacy.model_copy(update={"unit": "record"})
    code, said = asked(canonical_bytes(outline.model_copy(update={"unit": "record", "privacy": private})))
    assert code == 3
    assert "this site's unit is the patient" in said


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"kind":"run_closed"}', b"\xff"])
def test_a_file_that_is_no_plan_is_said_to_be_none(asked: Any, content: bytes) -> None:
    code, said = asked(content)
    assert code == 4
    assert "plan.json is no plan of a whole run" in said


# Memories -------------------------------------------------------------------------------------------------------------


def test_a_memory_of_the_log_that_is_gone_stops_the_site(clinic: Clinic) -> None:
    """Deleting state.sqlite alone: a missing memory has seen nothing, and the ledger was charged under more."""
    assert clinic.ask().envelope.kind == "site_update"
    clinic.site.state.close()
    for file in clinic.folder.home.glob("state.sqlite*"):
        file.unlink()
    with pytest.raises(IntegrityError, match="is an old copy, or missing: the ledger was charged at size") as stopped:
        clinic.start()
    assert "bring back the newest state.sqlite" in str(stopped.value)


def test_a_site_that_was_never_charged_may_lose_its_memory(clinic: Clinic) -> None:
    clinic.site.state.close()
    for file in clinic.folder.home.glob("state.sqlite*"):
        file.unlink()
    assert clinic.start().state.seen("collab/valley") is None
