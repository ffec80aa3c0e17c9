# SPDX-License-Identifier: Apache-2.0
"""A site answers once, and only what stands in the log that it has been watching."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from client.site.door import Unsigned
from coordinator.planning import evaluation_plan, round_plan
from privacy.log.keys import SigningKey
from privacy.protocol.delivery import Delivery
from privacy.protocol.entries import EvaluationPlanned, RoundPlanned, RunClosed
from privacy.protocol.messages import Refusal, SignedMessage, SiteHello, SiteMetrics, SiteUpdate

Clinic = Any
MakeClinic = Callable[..., Any]


def test_a_site_answers_an_opening_a_plan_and_an_evaluation_each_under_its_own_key(clinic: Clinic) -> None:
    update = clinic.opened_reply(clinic.ask(), SiteUpdate)
    metrics = clinic.opened_reply(clinic.count(), SiteMetrics)
    assert update.spent is not None
    assert [event.partition for event in metrics.spent.events] == ["train", "dev"]
    assert float(metrics.spent.epsilon) > float(update.spent.epsilon) > 0
    assert metrics.noise_std != "0"
    assert [row.purpose for row in clinic.charged()] == ["train", "evaluate"]
    assert clinic.site.ledger.unsettled("notes", "patient") == ()


def test_a_hello_says_what_the_site_declared_and_no_exact_figure(clinic: Clinic) -> None:
    hello = clinic.opened_reply(clinic.site.answer(clinic.message(clinic.opened, "hello")), SiteHello)
    assert (hello.size_bucket, hello.role, hello.simulated) == (8, "trainer", False)
    assert hello.policy_digest == clinic.folder.settings.policy_digest


def test_a_plan_answered_twice_gets_the_same_bytes_and_is_charged_once(clinic: Clinic) -> None:
    entry = clinic.planned()
    first = clinic.site.answer(clinic.message(entry, "update", clinic.initial))
    again = clinic.site.answer(clinic.message(entry, "update", clinic.initial, attempt=2))
    clinic.site.state.close()
    clinic.start()
    restarted = clinic.site.answer(clinic.message(entry, "update", clinic.initial))
    assert clinic.wire(first) == clinic.wire(again) == clinic.wire(restarted)
    assert first.envelope.kind == "site_update"
    assert len(clinic.charged()) == 1


def test_an_evaluation_answered_twice_gets_the_same_noise_and_is_charged_once(clinic: Clinic) -> None:
    plan = evaluation_plan(clinic.recipe, clinic.run, 0, ("clinic",))
    entry = clinic.log(0, EvaluationPlanned(plan=plan))
    first, again = (clinic.site.answer(clinic.message(entry, "evaluate", clinic.initial)) for _ in range(2))
    assert clinic.wire(first) == clinic.wire(again)
    assert len(clinic.charged()) == 1


def test_a_delivery_that_the_coordinator_did_not_sign_gets_nothing_signed_and_leaves_no_trace(clinic: Clinic) -> None:
    entry = clinic.planned()
    forged = clinic.message(entry, "update", clinic.initial, key=SigningKey(b"f" * 32))
    honest = clinic.message(entry, "update", clinic.initial)
    altered = SignedMessage(honest.envelope, honest.body.replace(b'"num_steps":2', b'"num_steps":3'), honest.payload)
    for message in (forged, altered):
        with pytest.raises(Unsigned):
            clinic.site.answer(message)
    assert clinic.charged() == ()
    assert clinic.sentences() == []


@pytest.mark.parametrize(
    "fields", [{"recipient": "hospital_b"}, {"log_vkey": "collab/other+00000000+AAAA"}, {"recipient": "coordinator"}]
)
def test_what_was_written_for_somebody_else_gets_nothing_signed(clinic: Clinic, fields: dict[str, str]) -> None:
    before = clinic.site.reports.events("spring")
    with pytest.raises(Unsigned, match="nothing was signed"):
        clinic.site.answer(clinic.message(clinic.planned(), "update", clinic.initial, **fields))
    assert clinic.site.reports.events("spring") == before


@pytest.mark.parametrize(
    "fields",
    [
        {"run_id": "autumn"},
        {"server_round": 2},
        {"context_digest": "0" * 64},
        {"kind": "site_update"},
    ],
)
def test_an_envelope_about_something_else_than_its_entry_is_a_replay(clinic: Clinic, fields: dict[str, Any]) -> None:
    message = clinic.message(clinic.planned(), "update", clinic.initial, **fields)
    assert clinic.reason(clinic.site.answer(message)) == "replayed"
    assert clinic.charged() == ()


@pytest.mark.parametrize("changes", [{"run_id": "autumn"}, {"server_round": 2}])
def test_a_plan_that_names_another_run_or_round_than_its_entry_is_refused(
    clinic: Clinic, changes: dict[str, Any]
) -> None:
    assert clinic.reason(clinic.ask(**changes)) == "replayed"
    assert clinic.reason(clinic.count(**changes)) == "replayed"
    assert clinic.charged() == ()


def test_an_entry_asked_in_another_phase_is_malformed(clinic: Clinic) -> None:
    assert (
        clinic.reason(clinic.site.answer(clinic.message(clinic.planned(), "evaluate", clinic.initial))) == "malformed"
    )
    closed = clinic.log(3, RunClosed(outcome="done", rounds_aggregated=0, final_model="0" * 64))
    assert clinic.reason(clinic.site.answer(clinic.message(closed, "update"))) == "malformed"


def test_a_run_that_was_never_opened_here_is_unknown(make_clinic: MakeClinic) -> None:
    clinic = make_clinic()
    clinic.log(0, clinic.recipe.opened)
    assert clinic.reason(clinic.ask()) == "run_unknown"
    assert clinic.reason(clinic.count()) == "run_unknown"


def test_a_run_is_opened_once(clinic: Clinic) -> None:
    second = clinic.log(0, clinic.recipe.opened.model_copy(update={"planned_rounds": 900}))
    assert clinic.reason(clinic.site.answer(clinic.message(second, "hello"))) == "replayed"
    assert clinic.site.state.run("spring") == clinic.recipe.opened


def test_a_plan_that_is_not_in_the_log_is_refused(clinic: Clinic) -> None:
    entry = clinic.planned()
    secret = entry.model_copy(
        update={"body": RoundPlanned(plan=entry.body.plan.model_copy(update={"public_seed": "00" * 32}))}
    )
    body = Delivery(entry=secret, proof=clinic.journal.prove(entry.index, clinic.seen()))
    assert clinic.reason(clinic.site.answer(clinic.message(secret, "update", clinic.initial, body=body))) == "integrity"
    assert clinic.charged() == ()


def test_a_log_that_was_rewritten_is_a_fork_and_what_was_seen_is_kept(clinic: Clinic) -> None:
    seen = clinic.site.state.seen("collab/valley")
    other = clinic.open_journal(clinic.root / "rewritten")
    other.append("spring", 0, clinic.recipe.opened.model_copy(update={"public_seed": "00" * 32}))
    clinic.journal, kept = other, clinic.journal
    assert clinic.reason(clinic.ask()) == "log_forked"
    assert clinic.site.state.seen("collab/valley") == seen
    assert clinic.charged() == ()
    other.close()
    clinic.journal = kept
    assert clinic.ask().envelope.kind == "site_update"


def test_a_log_that_was_cut_back_is_a_fork(clinic: Clinic) -> None:
    clinic.planned(1)
    clinic.ask(2)
    assert clinic.seen() == 3
    cut = clinic.open_journal(clinic.root / "cut")
    cut.append("spring", 0, clinic.recipe.opened)
    clinic.journal, kept = cut, clinic.journal
    plan = round_plan(clinic.recipe, clinic.run, 3, ("clinic",))
    (entry,) = cut.append("spring", 3, RoundPlanned(plan=plan))
    charged = clinic.charged()
    assert (
        clinic.reason(clinic.site.answer(clinic.message(entry, "update", clinic.initial, from_size=1))) == "log_forked"
    )
    assert clinic.charged() == charged
    cut.close()
    clinic.journal = kept


def test_a_proof_from_the_wrong_size_is_stale_and_the_refusal_says_the_right_one(clinic: Clinic) -> None:
    entry = clinic.planned()
    reply = clinic.site.answer(clinic.message(entry, "update", clinic.initial, from_size=0))
    assert clinic.reason(reply) == "stale_proof"
    size = clinic.opened_reply(reply, Refusal).seen_tree_size
    assert size == 1
    again = clinic.site.answer(clinic.message(entry, "update", clinic.initial, from_size=size, attempt=2))
    assert again.envelope.kind == "site_update"
