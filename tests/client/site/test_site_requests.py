# SPDX-License-Identifier: Apache-2.0
"""What a plan may ask of a site: a no costs nothing, and leaves the building as a code."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from client.site.door import Unsigned
from client.site.events import AnsweredWithoutDataEvent, TrainedEvent
from client.site.pipeline import SitePipeline
from privacy.base.errors import AnonymizationError
from privacy.base.identifiers import sha256
from privacy.protocol.messages import SiteMetrics, SiteUpdate
from privacy.update.delta import model_bytes, model_vector

Clinic = Any
MakeClinic = Callable[..., Any]


def test_a_refusal_by_policy_says_the_figures_at_home_and_a_code_outside(make_clinic: MakeClinic) -> None:
    clinic = make_clinic(policy={"min_noise_multiplier": 3.25})
    reply = clinic.hello()
    assert clinic.reason(reply) == clinic.reason(clinic.ask()) == clinic.reason(clinic.count()) == "policy"
    sentence = clinic.sentences()[0]
    assert "noise_multiplier is 1.5" in sentence
    assert "at least 3.25" in sentence
    assert b"3.25" not in clinic.wire(reply)
    assert clinic.charged() == ()


def test_a_round_over_the_budget_is_refused_before_any_training(
    make_clinic: MakeClinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = make_clinic(policy={"epsilon_limit": 0.25})
    monkeypatch.setattr(clinic.site.pipeline, "train", lambda *_: pytest.fail("trained without budget"))
    assert clinic.reason(clinic.hello()) == clinic.reason(clinic.ask()) == "budget_exceeded"
    assert "of 0.2500 (unit: patient" in clinic.sentences()[0]
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
        assert clinic.reason(clinic.site.answer(clinic.message(entry, "update", payload))) == "model_mismatch"
    assert clinic.charged() == ()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_planned_model_with_a_number_that_is_none_is_refused(clinic: Clinic, value: float) -> None:
    number = clinic.initial.rfind(np.float32(model_vector(clinic.contract, clinic.initial)[-1]).tobytes())
    poisoned = clinic.initial[:number] + np.float32(value).tobytes() + clinic.initial[number + 4 :]
    entry = clinic.planned(model_digest=sha256(poisoned))
    assert clinic.reason(clinic.site.answer(clinic.message(entry, "update", poisoned))) == "not_finite"
    assert clinic.charged() == ()


def test_a_pretrained_model_that_is_not_at_the_site_is_a_mismatch(make_clinic: MakeClinic) -> None:
    clinic = make_clinic(model={"paths": {}})
    assert clinic.reason(clinic.hello()) == "model_mismatch"
    assert clinic.reason(clinic.ask()) == "run_unknown"
    assert clinic.charged() == ()


def test_another_first_model_than_the_site_itself_builds_is_a_mismatch(make_clinic: MakeClinic) -> None:
    clinic = make_clinic()
    clinic.recipe.opened.__dict__["initial_model_digest"] = "0" * 64
    assert clinic.reason(clinic.hello()) == "model_mismatch"
    assert clinic.reason(clinic.ask(model_digest=sha256(clinic.initial))) == "run_unknown"
    assert clinic.charged() == ()


def test_data_that_is_not_there_says_only_that(make_clinic: MakeClinic) -> None:
    clinic = make_clinic()
    clinic.hello()
    clinic.folder.data_files[0].unlink()
    assert clinic.reason(clinic.ask()) == "data_unusable"
    assert clinic.charged() == ()


@pytest.mark.parametrize("labels", [(), (("unsure", "well", "ill"),), (("yes", "no"), ("ill", "well", "unsure"))])
def test_a_task_may_have_the_labels_that_the_policy_lists_in_any_order(make_clinic: MakeClinic, labels: Any) -> None:
    clinic = make_clinic(policy={"labels": labels})
    clinic.hello()
    assert clinic.ask().envelope.kind == "site_update"


def test_a_run_with_more_evaluations_than_the_policy_allows_is_refused_when_it_opens(make_clinic: MakeClinic) -> None:
    clinic = make_clinic(policy={"max_evaluations": 2})
    assert clinic.reason(clinic.hello()) == "policy"  # the whole run is known when it opens
    assert "asks for 4 evaluations" in clinic.sentences()[0]
    for number in (0, 1):
        assert clinic.reason(clinic.count(number)) == "policy"
    assert clinic.charged() == ()


def test_a_run_that_was_refused_too_often_gets_nothing_signed_any_more(make_clinic: MakeClinic) -> None:
    clinic = make_clinic(policy={"max_refusals": 2})
    clinic.hello()
    for number in (1, 2):
        assert clinic.reason(clinic.ask(number, update_clip_norm="101")) == "policy"
    with pytest.raises(Unsigned, match="2 times"):
        clinic.ask(3, update_clip_norm="101")
    assert len(clinic.sentences()) == 2
    assert clinic.ask(3).envelope.kind == "site_update"  # what it may ask for is answered all the same


def test_a_site_that_refused_to_train_is_not_charged_for_evaluations_either(make_clinic: MakeClinic) -> None:
    clinic = make_clinic()
    clinic.hello()
    assert clinic.reason(clinic.ask(update_clip_norm="101")) == "policy"
    for number in (0, 1):
        assert clinic.reason(clinic.count(number)) == "policy"
    assert clinic.charged() == ()


def test_a_model_with_a_number_over_the_policys_bound_is_refused_before_data_are_read(
    make_clinic: MakeClinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = make_clinic(policy={"max_weight": 1000.0})
    clinic.hello()
    monkeypatch.setattr(clinic.site.pipeline.records, "anonymized", lambda: pytest.fail("the data were read"))
    above = float(np.nextafter(np.float32(1000), np.float32(np.inf)))
    for value in (above, -above, 3e38):
        vector = model_vector(clinic.contract, clinic.initial).copy()
        vector[3] = value
        payload = model_bytes(clinic.contract, vector)
        entry = clinic.planned(model_digest=sha256(payload))
        assert clinic.reason(clinic.site.answer(clinic.message(entry, "update", payload))) == "policy"
    assert clinic.charged() == ()


def test_numbers_that_run_away_leave_the_model_as_it_was_and_are_told_at_home(make_clinic: MakeClinic) -> None:
    """A learning rate can bring noise alone to where floats overflow: what overflows first would tell of texts."""
    clinic = make_clinic(policy={"max_weight": 1.0}, training={"head_learning_rate": 100.0})
    clinic.hello()
    reply = clinic.ask()
    assert clinic.opened_reply(reply, SiteUpdate).num_steps == 2
    assert set(reply.payload) == {0}
    (event,) = [event for event in clinic.site.reports.events("spring") if isinstance(event, TrainedEvent)]
    assert event.ran_away
    assert "RAN AWAY" in event.sentence
    assert len(clinic.charged()) == 1


def test_what_was_not_foreseen_is_answered_as_by_a_site_without_data_and_told_at_home(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crafted model made an evaluation fail as `bug` where a text was there, free and without limit."""

    def broken(*_: Any) -> None:
        raise RuntimeError("Jane Doe has a fever")

    monkeypatch.setattr(clinic.site.pipeline, "train", broken)
    monkeypatch.setattr(clinic.site.pipeline, "count", broken)
    update, metrics = clinic.ask(), clinic.count(1)
    assert (update.envelope.kind, metrics.envelope.kind) == ("site_update", "site_metrics")
    assert b"Jane" not in clinic.wire(update) + clinic.wire(metrics)
    whys = [e.why for e in clinic.site.reports.events("spring") if isinstance(e, AnsweredWithoutDataEvent)]
    assert whys == ["unforeseen RuntimeError"] * 2
    assert len(clinic.charged()) == 2


@pytest.mark.parametrize("error", [RuntimeError("Jane"), OSError("disk"), AnonymizationError("Jane"), MemoryError()])
def test_what_fails_without_data_as_well_leaves_as_one_code_whatever_it_was(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: Any) -> None:
        raise error

    monkeypatch.setattr(SitePipeline, "train", broken)
    reply = clinic.ask()
    assert clinic.reason(reply) == "bug"
    assert len(clinic.charged()) == 1


def test_the_answer_leaves_when_the_policy_says_and_not_when_it_is_made(
    make_clinic: MakeClinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic, slept = make_clinic(policy={"answer_after_seconds": 1000.0}), []
    monkeypatch.setattr(time, "sleep", slept.append)
    clinic.hello()
    clinic.ask()
    clinic.ask(update_clip_norm="101")
    assert [950 < seconds <= 1000 for seconds in slept] == [True] * 3
    slow = make_clinic(policy={"answer_after_seconds": 1e-9})
    slow.hello()
    slow.ask()
    assert [e.kind for e in slow.site.reports.events("spring")].count("took_longer") == 2
    assert slept[3:] == [0.0, 0.0]


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
