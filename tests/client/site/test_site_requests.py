# SPDX-License-Identifier: Apache-2.0
"""What a plan may ask of a site: a no costs nothing, and leaves the building as a code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from coordinator.planning import round_plan
from privacy.audit.entries import RoundPlanned
from privacy.exchange.messages import SiteMetrics, SiteUpdate
from privacy.identifiers import sha256
from privacy.update.delta import model_bytes, model_vector

Clinic = Any
MakeClinic = Callable[..., Any]


def test_a_refusal_by_policy_says_the_figures_at_home_and_a_code_outside(make_clinic: MakeClinic) -> None:
    clinic = make_clinic(policy={"min_noise_multiplier": 3.25})
    clinic.hello()
    reply = clinic.ask()
    assert clinic.reason(reply) == "policy"
    (sentence,) = clinic.sentences()
    assert "noise_multiplier is 1.5" in sentence
    assert "at least 3.25" in sentence
    assert b"3.25" not in clinic.wire(reply)
    assert clinic.charged() == ()


def test_a_round_over_the_budget_is_refused_before_any_training(
    make_clinic: MakeClinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = make_clinic(policy={"epsilon_limit": 0.25})
    clinic.hello()
    monkeypatch.setattr(clinic.site.material, "train", lambda *_: pytest.fail("trained without budget"))
    reply = clinic.ask()
    assert clinic.reason(reply) == "budget_exceeded"
    (sentence,) = clinic.sentences()
    assert "of 0.25 (unit: patient)" in sentence
    assert clinic.charged() == ()
    assert clinic.reason(clinic.count()) == "budget_exceeded"
    assert clinic.charged() == ()


def test_a_round_is_planned_once_so_that_no_run_has_more_rounds_than_were_allowed(clinic: Clinic) -> None:
    clinic.ask(1)
    charged = clinic.charged()
    assert clinic.reason(clinic.ask(1, public_seed="00" * 32)) == "replayed"
    assert clinic.charged() == charged


def test_a_site_that_keeps_its_metrics_says_only_no(make_clinic: MakeClinic) -> None:
    clinic = make_clinic(policy={"send_metrics": False})
    clinic.hello()
    assert clinic.reason(clinic.count()) == "policy"
    assert clinic.charged() == ()
    assert clinic.ask().envelope.kind == "site_update"


def test_a_model_that_is_not_the_planned_one_is_refused(clinic: Clinic) -> None:
    entry = clinic.planned()
    vector = model_vector(clinic.contract, clinic.initial) + np.float32(1)
    for payload in (model_bytes(clinic.contract, vector), clinic.initial[:-1], b""):
        assert clinic.reason(clinic.site.answer(clinic.parcel(entry, "update", payload))) == "model_mismatch"
    assert clinic.charged() == ()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_planned_model_with_a_number_that_is_none_is_refused(clinic: Clinic, value: float) -> None:
    number = clinic.initial.rfind(np.float32(model_vector(clinic.contract, clinic.initial)[-1]).tobytes())
    poisoned = clinic.initial[:number] + np.float32(value).tobytes() + clinic.initial[number + 4 :]
    entry = clinic.planned(model_digest=sha256(poisoned))
    assert clinic.reason(clinic.site.answer(clinic.parcel(entry, "update", poisoned))) == "not_finite"
    assert clinic.charged() == ()


def test_a_pretrained_model_that_is_not_at_the_site_is_a_mismatch(make_clinic: MakeClinic) -> None:
    clinic = make_clinic(model={"paths": {}})
    clinic.hello()
    assert clinic.reason(clinic.ask()) == "model_mismatch"
    assert clinic.charged() == ()


def test_another_first_model_than_the_site_itself_builds_is_a_mismatch(make_clinic: MakeClinic) -> None:
    clinic = make_clinic()
    clinic.recipe.opened.__dict__["initial_model_digest"] = "0" * 64
    clinic.hello()
    assert clinic.reason(clinic.ask(model_digest=sha256(clinic.initial))) == "model_mismatch"
    assert clinic.charged() == ()


def test_a_label_outside_the_plan_refuses_the_round_and_costs_nothing(make_clinic: MakeClinic) -> None:
    clinic = make_clinic(label="undecided")
    clinic.hello()
    reply = clinic.ask()
    assert clinic.reason(reply) == "label_unknown"
    assert b"undecided" not in clinic.wire(reply)
    assert "undecided" not in "".join(clinic.sentences())
    assert clinic.charged() == ()


def test_text_that_cannot_be_anonymized_is_not_trained_on(make_clinic: MakeClinic) -> None:
    clinic = make_clinic(text={"max_characters": 10})
    clinic.hello()
    assert clinic.reason(clinic.ask()) == "anonymization_failed"
    assert clinic.charged() == ()


def test_data_that_is_not_there_says_only_that(make_clinic: MakeClinic) -> None:
    clinic = make_clinic()
    clinic.hello()
    clinic.folder.data_files[0].unlink()
    assert clinic.reason(clinic.ask()) == "data_unusable"
    assert clinic.charged() == ()


def test_an_update_that_is_not_finite_is_not_sent(make_clinic: MakeClinic) -> None:
    clinic = make_clinic(training={"head_learning_rate": 100.0})
    clinic.hello()
    plan = round_plan(clinic.recipe, clinic.history, 1, ("clinic",))
    train = clinic.site.material.train

    def diverging(*arguments: Any) -> Any:
        trained = train(*arguments)
        trained.vector[-1] = np.nan
        return trained

    clinic.site.material.train = diverging  # type: ignore[method-assign]
    reply = clinic.site.answer(clinic.parcel(clinic.log(1, RoundPlanned(plan=plan)), "update", clinic.initial))
    assert clinic.reason(reply) == "not_finite"
    assert len(clinic.charged()) == 1  # it was trained: it stays charged
    assert len(clinic.site.ledger.unsettled("notes", "patient")) == 1


def test_what_was_not_foreseen_is_a_bug_and_says_no_more(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("Jane Doe has a fever")

    monkeypatch.setattr(clinic.site.material, "train", broken)
    reply = clinic.ask()
    assert clinic.reason(reply) == "bug"
    assert b"Jane" not in clinic.wire(reply)
    assert clinic.sentences() == ["unforeseen RuntimeError"]


def test_a_run_without_noise_is_refused_unless_the_site_allows_it(make_clinic: MakeClinic) -> None:
    private, public = (
        make_clinic(privacy={"mode": "none"}),
        make_clinic(privacy={"mode": "none"}, policy={"allow_non_private": True}),
    )
    for clinic in (private, public):
        clinic.hello()
    assert private.reason(private.ask()) == "policy"
    assert private.reason(private.count()) == "policy"
    update = public.opened_reply(public.ask(), SiteUpdate)
    metrics = public.opened_reply(public.count(), SiteMetrics)
    assert (update.spent, metrics.spent, metrics.noise_std) == (None, None, "0")
    assert public.charged() == ()
