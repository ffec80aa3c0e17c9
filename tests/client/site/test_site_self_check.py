# SPDX-License-Identifier: Apache-2.0
"""A site whose anonymizer is too weak does not train: nothing is read, nothing charged, and only a code leaves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from client.settings.policy import DEFAULT_MIN_RECALL
from client.site.events import SelfCheckEvent
from privacy.protocol.anonymization_check import AnonymizationPlan
from privacy.protocol.messages import SiteUpdate
from privacy.text import self_check

Clinic = Any
MakeClinic = Callable[..., Any]


def checks(clinic: Clinic) -> list[SelfCheckEvent]:
    return [event for event in clinic.site.reports.events("spring") if isinstance(event, SelfCheckEvent)]


def never(*_: Any) -> Any:
    pytest.fail("the site read its texts")


def made(make_clinic: MakeClinic, *, asked: dict[str, float] | None = None, notes: int = 2, **own: float) -> Clinic:
    """A clinic with its own floors, in a run whose plans ask for others. PERSON is at .75 with today's rules."""
    base = dict.fromkeys(DEFAULT_MIN_RECALL, 0.0)
    policy = {"unit": "patient", "epsilon_limit": 20.0, "delta": 1e-3, "size_bucket": 8, "min_recall": base | own}
    return make_clinic(policy=policy, anonymization={"min_recall": asked or {}, "self_check_notes": notes})


def test_every_update_of_a_run_says_what_the_anonymizer_found_and_it_is_measured_once(clinic: Clinic) -> None:
    first, second = (clinic.opened_reply(clinic.ask(number), SiteUpdate) for number in (1, 2))
    assert first.self_check == second.self_check == clinic.site.state.self_check("spring")
    assert first.self_check.notes == 2
    (event,) = checks(clinic)
    assert event.recall == first.self_check.recall


@pytest.mark.parametrize(
    ("asked", "own"),
    [
        ({}, {"person": 1.0}),
        ({"person": 1.0}, {}),
        ({"person": 0.01}, {"person": 1.0}),
        ({"person": 1.0}, {"person": 0.01}),
    ],
    ids=["the site's", "the plan's", "a plan cannot loosen", "a plan can tighten"],
)
def test_below_a_floor_nothing_is_read_trained_or_charged(
    make_clinic: MakeClinic, asked: dict[str, float], own: dict[str, float]
) -> None:
    clinic = made(make_clinic, asked=asked, notes=12, **own)  # in 2 notes every name is found once in 150 times
    clinic.site.pipeline.records.anonymized = never
    reply = clinic.hello()
    assert clinic.reason(reply) == "recall_below_floor"
    assert clinic.charged() == ()
    (sentence,) = clinic.sentences()
    assert "a floor of 1 needs at least" in sentence
    assert "nothing was read or trained" in sentence
    assert b"needs at least" not in clinic.wire(reply)


def test_a_floor_that_holds_lets_the_site_train(make_clinic: MakeClinic) -> None:
    clinic = made(make_clinic, asked={"us_ssn": 0.8}, person=0.3)
    assert clinic.hello().envelope.kind == "site_hello"
    update = clinic.opened_reply(clinic.ask(), SiteUpdate)
    assert update.self_check.recall["us_ssn"].planted >= 10
    assert update.self_check.notes > 2  # more were invented until the floor could be judged


def test_a_restart_in_the_run_shows_the_same_figures_without_measuring_again(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = clinic.opened_reply(clinic.ask(1), SiteUpdate).self_check
    clinic.site.state.close()
    clinic.start()
    monkeypatch.setattr(self_check, "check", lambda *_: pytest.fail("measured again"))
    assert clinic.opened_reply(clinic.ask(2), SiteUpdate).self_check == before
    assert len(checks(clinic)) == 1


def test_a_site_that_lost_its_state_measures_the_same_so_that_nobody_can_try_for_luck(clinic: Clinic) -> None:
    before = clinic.opened_reply(clinic.ask(1), SiteUpdate).self_check
    clinic.site.state._db.execute("delete from self_checks")
    clinic.site.state.close()
    clinic.start()
    assert clinic.opened_reply(clinic.ask(2), SiteUpdate).self_check == before
    assert len(checks(clinic)) == 2


def test_another_engine_in_the_same_run_is_measured_anew(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    before = clinic.opened_reply(clinic.ask(1), SiteUpdate).self_check
    clinic.site.state.remember_self_check("spring", before.model_copy(update={"engine_fingerprint": "0" * 64}))
    clinic.site.state.close()
    clinic.start()
    after = clinic.opened_reply(clinic.ask(2), SiteUpdate).self_check
    assert after.engine_fingerprint == before.engine_fingerprint
    assert len(checks(clinic)) == 2


def test_two_sites_with_one_engine_invent_different_notes(make_clinic: MakeClinic) -> None:
    one, two = make_clinic(), make_clinic()
    for clinic in (one, two):
        clinic.hello()
    first, second = (clinic.opened_reply(clinic.ask(), SiteUpdate).self_check for clinic in (one, two))
    assert first.engine_fingerprint == second.engine_fingerprint
    assert first.recall != second.recall


def test_a_private_list_leaves_no_trace_in_what_is_sent(make_clinic: MakeClinic) -> None:
    plain, listed = make_clinic(), make_clinic(text={"deny_list": ("Mercy Ward", "fever")})
    prints = []
    for clinic in (plain, listed):
        clinic.hello()
        prints.append(clinic.opened_reply(clinic.ask(), SiteUpdate).self_check.engine_fingerprint)
        used = clinic.site.pipeline.records.anonymized().report.engine_fingerprint
        assert (used == prints[-1]) == (clinic is plain)
        assert (used.encode() in clinic.wire(clinic.ask(2))) == (clinic is plain)
    assert prints[0] == prints[1]


def test_a_plan_without_a_self_check_is_refused(clinic: Clinic) -> None:
    """An older coordinator's plan cannot even be logged any more, so it is put before the site's own door."""
    with pytest.raises(Exception, match="no self-check") as refused:
        clinic.site.self_check.of("spring", None, clinic.recipe.opened)
    assert refused.value.reason == "policy"  # type: ignore[attr-defined]


def test_a_later_plan_that_asks_for_more_notes_than_the_run_began_with_is_refused(clinic: Clinic) -> None:
    clinic.ask(1)
    more = AnonymizationPlan(self_check_notes=900, min_recall={})
    assert clinic.reason(clinic.ask(2, anonymization=more)) == "policy"  # it departs from what the run was opened for
    assert len(clinic.charged()) == 1


def test_a_sites_own_floors_have_defaults_and_are_shown(make_clinic: MakeClinic) -> None:
    clinic = make_clinic(policy={"unit": "patient", "min_recall": {"person": 0.25}})
    floors_now = clinic.folder.settings.policy.min_recall
    assert floors_now == {**DEFAULT_MIN_RECALL, "person": 0.25}
    assert json.dumps(floors_now) != json.dumps(dict(DEFAULT_MIN_RECALL))


def test_the_figures_are_told_at_home(clinic: Clinic) -> None:
    clinic.ask()
    (event,) = checks(clinic)
    assert event.sentence.startswith("self-check: 2 invented notes, recall ")
    assert re.search(r"PERSON [01]\.\d\d", event.sentence)
