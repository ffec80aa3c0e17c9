# SPDX-License-Identifier: Apache-2.0
"""What a site, or somebody in its place, may send: anything. A lie is refused by name, logged, and moves no model.

Each attack is made on cedar's replies of a real run. Afterwards the log must be one that the auditor finds sound, and
the model the one that the other sites alone make.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privacy.audit.recomputation import replay
from privacy.audit.verification import verify
from privacy.base.canonical import digest_of
from privacy.base.identifiers import sha256
from privacy.log.keys import SigningKey
from privacy.protocol.anonymization_check import EntityRecall
from privacy.protocol.messages import Envelope, Refusal, SignedMessage, SiteUpdate, seal
from privacy.protocol.plans import EncodingPlan
from privacy.update.quantize import encode

MakeStage = Callable[..., Any]
Twist = Callable[[Any, SignedMessage, SignedMessage], SignedMessage]


def resealed(player: Any, reply: SignedMessage, key: SigningKey | None = None, **fields: Any) -> SignedMessage:
    """`reply` under changed envelope fields, signed again."""
    body, payload = fields.pop("body", reply.body), fields.pop("payload", reply.payload)
    unsigned = reply.envelope.model_copy(update={"body_digest": sha256(body), **fields, "signature": ""})
    signature = (key or player.key).sign("collab/envelope/v2", unsigned.signed_bytes()).hex()
    return SignedMessage(unsigned.model_copy(update={"signature": signature}), body, payload)


def with_body(change: Callable[[Any], Any]) -> Twist:
    """The site signs another body than an honest one would."""

    def twist(player: Any, asked: SignedMessage, reply: SignedMessage) -> SignedMessage:
        body = change(SiteUpdate.model_validate_json(reply.body))
        return seal(body, reply.envelope.header, player.key, reply.payload)

    return twist


def with_payload(payload: bytes) -> Twist:
    """The site signs for another payload than an honest one would make."""

    def twist(player: Any, asked: SignedMessage, reply: SignedMessage) -> SignedMessage:
        change = with_body(
            lambda update: update.model_copy(update={"payload_digest": sha256(payload), "payload_bytes": len(payload)})
        )
        return replace(change(player, asked, reply), payload=payload)

    return twist


def integers(size: int, value: int) -> bytes:
    return encode(np.full(size, value, np.int32))


def claims(**changes: Any) -> Twist:
    return with_body(lambda body: body.model_copy(update={"spent": body.spent.model_copy(update=changes)}))


def other_events(body: Any) -> Any:
    event = body.spent.events[0].model_copy(update={"noise_multiplier": "2"})
    return body.model_copy(update={"spent": body.spent.model_copy(update={"events": (*body.spent.events, event)})})


def paid(body: Any) -> Any:
    """More epsilon than any of it costs."""
    return body.model_copy(update={"spent": body.spent.model_copy(update={"epsilon": "100"})})


def flipped(data: bytes, at: int = 5) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def mechanism_said(**said: Any) -> Twist:
    """Another statement of the mechanism check."""
    return with_body(
        lambda body: body.model_copy(update={"mechanism_check": body.mechanism_check.model_copy(update=said)})
    )


def checked(**changes: Any) -> Twist:
    """Another self-check than an honest one. `person` and `url` are (found, planted); None leaves one out."""

    def change(body: Any) -> Any:
        check = body.self_check
        recall = dict(check.recall)
        for name in {"person", "url"} & set(changes):
            figures = changes.pop(name)
            recall.pop(name)
            if figures is not None:
                recall[name] = EntityRecall(found=figures[0], planted=figures[1])
        said = check.model_copy(update={"recall": recall, **changes})
        return body.model_copy(update={"self_check": said})

    return lambda p, a, r: with_body(change)(p, a, r)


SIZE = 123
ATTACKS: dict[str, tuple[Twist, str]] = {
    "forged signature": (lambda p, a, r: resealed(p, r, SigningKey(b"f" * 32)), "signature"),
    "no signature": (
        lambda p, a, r: replace(r, envelope=r.envelope.model_copy(update={"signature": ""})),
        "signature",
    ),
    "another site's name": (lambda p, a, r: resealed(p, r, sender="birch"), "signature"),
    "the coordinator's own words": (lambda p, a, r: a, "signature"),
    "altered body": (lambda p, a, r: replace(r, body=flipped(r.body)), "signature"),
    "altered envelope": (
        lambda p, a, r: replace(r, envelope=r.envelope.model_copy(update={"attempt": 7})),
        "signature",
    ),
    "another run": (lambda p, a, r: resealed(p, r, run_id="autumn"), "replayed"),
    "another round": (lambda p, a, r: resealed(p, r, server_round=2), "replayed"),
    "another phase": (lambda p, a, r: resealed(p, r, phase="evaluate"), "replayed"),
    "another context": (lambda p, a, r: resealed(p, r, context_digest="0" * 64), "replayed"),
    "another kind": (lambda p, a, r: resealed(p, r, kind="site_metrics"), "malformed"),
    "a body that is no update": (lambda p, a, r: resealed(p, r, body=b'{"x":1}'), "malformed"),
    "a body that is no JSON": (lambda p, a, r: resealed(p, r, body=b"\x80\x04K"), "malformed"),
    "no body": (lambda p, a, r: resealed(p, r, body=b""), "malformed"),
    "a body in another encoding": (lambda p, a, r: resealed(p, r, body=r.body + b"\n"), "malformed"),
    "a body with one key twice": (
        lambda p, a, r: resealed(p, r, body=r.body[:-1] + b',"seen_tree_size":1}'),
        "malformed",
    ),
    "another plan in the body": (with_body(lambda b: b.model_copy(update={"plan_digest": "0" * 64})), "malformed"),
    "another number of steps": (with_body(lambda b: b.model_copy(update={"num_steps": 1})), "malformed"),
    "another encoding": (
        with_body(lambda b: b.model_copy(update={"encoding": EncodingPlan(dtype="int32", scale_log2=21)})),
        "malformed",
    ),
    "wrong payload digest": (with_body(lambda b: b.model_copy(update={"payload_digest": "0" * 64})), "integrity"),
    "altered payload": (lambda p, a, r: replace(r, payload=flipped(r.payload)), "integrity"),
    "no payload": (lambda p, a, r: replace(r, payload=b""), "integrity"),
    "wrong length": (with_body(lambda b: b.model_copy(update={"payload_bytes": 4})), "integrity"),
    "a shorter payload": (with_payload(integers(SIZE - 1, 0)), "wrong_shape"),
    "a longer payload": (with_payload(integers(SIZE + 1, 0)), "wrong_shape"),
    "a payload of half integers": (with_payload(integers(SIZE, 0)[:-1]), "wrong_shape"),
    "a payload over the clip norm": (with_payload(integers(SIZE, 1 << 29)), "clip_exceeded"),
    "the least integers": (with_payload(integers(SIZE, -(1 << 31))), "clip_exceeded"),
    "a payload over every limit": (lambda p, a, r: replace(r, payload=bytes(4 << 20)), "malformed"),
    "no privacy claimed": (with_body(lambda b: b.model_copy(update={"spent": None})), "malformed"),
    "no event claimed": (claims(events=(), epsilon="0"), "malformed"),
    "an event that nobody asked for": (with_body(other_events), "malformed"),
    "an event that nobody asked for, though it is paid": (with_body(lambda b: paid(other_events(b))), "malformed"),
    "less epsilon than it cost": (claims(epsilon="0.01"), "malformed"),
    "epsilon at another delta": (claims(delta="0.1"), "malformed"),
    "epsilon for another unit": (claims(unit="record"), "malformed"),
    "no self-check": (with_body(lambda b: b.model_copy(update={"self_check": None})), "malformed"),
    "no mechanism check": (with_body(lambda b: b.model_copy(update={"mechanism_check": None})), "malformed"),
    "another noise tested": (mechanism_said(noise_multiplier="9"), "malformed"),
    "a test left out": (mechanism_said(tests=("noise_sigma",)), "malformed"),
    "more found than planted": (checked(person=(501, 500)), "malformed"),
    "fewer notes than asked for": (checked(notes=59), "malformed"),
    "an anonymizer below the floor": (checked(person=(400, 500)), "recall_below_floor"),
    "an identifier with a floor left out": (checked(person=None), "recall_below_floor"),
    "too few planted to judge": (checked(url=(9, 9)), "recall_below_floor"),
    "a log longer than there is": (with_body(lambda b: b.model_copy(update={"seen_tree_size": 10**9})), "log_forked"),
}


def in_round_one(twist: Twist, phase: str = "update") -> Twist:
    def only(player: Any, asked: SignedMessage, reply: SignedMessage) -> SignedMessage:
        here = (asked.envelope.phase, asked.envelope.server_round) == (phase, 1)
        return twist(player, asked, reply) if here else reply

    return only


def sound(folder: Path) -> None:
    found = verify(folder, expected_key=None)
    assert found.exit_code == 0, found.findings
    assert replay(folder).exit_code == 0


@pytest.fixture(scope="module")
def honest_first_model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Filled by the first attack: every other one must leave the same model behind."""
    return {}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_lying_update_is_refused_with_its_reason_and_moves_nothing(
    make_stage: MakeStage, name: str, honest_first_model: dict[str, str]
) -> None:
    twist, reason = ATTACKS[name]
    floors = {"min_recall": {"person": 0.9, "url": 0.5}}
    stage = make_stage(training={"rounds": 1}, rounds={"evaluate": False}, anonymization=floors)
    stage.players["cedar"].twist = in_round_one(twist)
    stage.run()
    assert stage.refusals() == [("cedar", "update", 1, "coordinator", reason)]
    (aggregated,) = stage.bodies("round_aggregated")
    assert aggregated.included == ("alder", "birch")
    assert honest_first_model.setdefault("model", aggregated.model_out) == aggregated.model_out
    sound(stage.folder)


def test_the_model_after_an_attack_is_the_one_without_the_attacker(make_stage: MakeStage) -> None:
    silent, lying = (make_stage(name, training={"rounds": 1}) for name in ("silent", "lying"))
    silent.players["cedar"].away = {("update", 1)}
    lying.players["cedar"].twist = in_round_one(ATTACKS["a payload over the clip norm"][0])
    assert silent.run().final_model == lying.run().final_model


def test_better_figures_of_the_same_anonymizer_in_a_later_round_are_refused(make_stage: MakeStage) -> None:
    stage = make_stage(rounds={"evaluate": False})
    cedar = stage.players["cedar"]
    better = cedar.self_check.model_copy(update={"recall": {"url": EntityRecall(planted=30, found=29)}})
    cedar.change = lambda phase, number, body: (
        body.model_copy(update={"self_check": better}) if (phase, number) == ("update", 2) else body
    )
    stage.run()
    assert stage.refusals() == [("cedar", "update", 2, "coordinator", "malformed")]
    sound(stage.folder)


def test_a_site_whose_own_floor_does_not_hold_is_not_asked_again(make_stage: MakeStage) -> None:
    stage = make_stage(rounds={"evaluate": False})
    stage.players["cedar"].refuse = {("update", 1): "recall_below_floor"}
    stage.run()
    assert stage.refusals() == [("cedar", "update", 1, "site", "recall_below_floor")]
    assert [sorted(body.plan.cohort) for body in stage.bodies("round_planned")][1] == ["alder", "birch"]
    sound(stage.folder)


def test_a_replayed_update_of_an_earlier_round_is_refused(make_stage: MakeStage) -> None:
    stage, kept = make_stage(), []

    def replaying(player: Any, asked: SignedMessage, reply: SignedMessage) -> SignedMessage:
        if asked.envelope.phase == "update":
            kept.append(reply)
            return kept[0]
        return reply

    stage.players["cedar"].twist = replaying
    stage.run()
    assert stage.refusals() == [("cedar", "update", 2, "coordinator", "replayed")]
    sound(stage.folder)


def test_an_unknown_kind_is_malformed_before_anything_of_it_is_looked_at(make_stage: MakeStage) -> None:
    stage = make_stage(training={"rounds": 1}, rounds={"evaluate": False})

    def strange(player: Any, asked: SignedMessage, reply: SignedMessage) -> SignedMessage:
        fields = reply.envelope.model_dump() | {"kind": "site_poem"}
        return replace(reply, envelope=Envelope.model_construct(**fields))

    stage.players["cedar"].twist = in_round_one(strange)
    stage.run()
    assert stage.refusals() == [("cedar", "update", 1, "coordinator", "malformed")]
    sound(stage.folder)


METRICS_LIES: dict[str, Callable[[Any], Any]] = {
    "counts by class that nobody asked for": lambda b: b.model_copy(update={"actual": (1,)}),
    "no count of what was right": lambda b: b.model_copy(update={"correct": None, "incorrect": None}),
    "more right than the declared size allows": lambda b: b.model_copy(update={"correct": 4 * 300 + 72 + 1}),
    "as many right as fit in a float": lambda b: b.model_copy(update={"correct": 2**53 - 1}),
    "fewer wrong than noise explains": lambda b: b.model_copy(update={"incorrect": -(2**53 - 1)}),
    "more noise than was asked": lambda b: b.model_copy(update={"noise_std": "1000000000"}),
    "a last digit more": lambda b: b.model_copy(update={"noise_std": "4.500000001"}),
    "no noise": lambda b: b.model_copy(update={"noise_std": "0"}),
    "less noise than was asked": lambda b: b.model_copy(update={"noise_std": "0.5"}),
    "no privacy claimed": lambda b: b.model_copy(update={"spent": None}),
    "no event claimed": lambda b: b.model_copy(update={"spent": b.spent.model_copy(update={"events": ()})}),
    "less epsilon than it cost": lambda b: b.model_copy(
        update={"spent": b.spent.model_copy(update={"epsilon": "0.01"})}
    ),
    "another plan": lambda b: b.model_copy(update={"plan_digest": "0" * 64}),
}


@pytest.mark.parametrize("name", METRICS_LIES)
def test_lying_counts_are_refused_and_the_figures_come_from_the_others(make_stage: MakeStage, name: str) -> None:
    stage = make_stage(training={"rounds": 1})
    change = METRICS_LIES[name]
    stage.players["cedar"].change = lambda phase, number, body: (
        change(body) if (phase, number) == ("evaluate", 1) else body
    )
    stage.run()
    assert stage.refusals() == [("cedar", "evaluate", 1, "coordinator", "malformed")]
    assert [body.sites for body in stage.bodies("round_evaluated")] == [
        ("alder", "birch", "cedar"),
        ("alder", "birch"),
    ]
    sound(stage.folder)


HELLO_LIES: dict[str, dict[str, Any]] = {
    "another policy": {"policy_digest": "0" * 64},
    "another bucket": {"size_bucket": 5},
    "another role": {"role": "evaluator"},
    "not simulated": {"simulated": False},
    "another opening": {"context_digest": "0" * 64},
}


@pytest.mark.parametrize("name", HELLO_LIES)
def test_a_site_that_is_not_what_it_was_admitted_as_takes_no_part(make_stage: MakeStage, name: str) -> None:
    stage = make_stage(training={"rounds": 1}, rounds={"evaluate": False})
    stage.players["cedar"].change = lambda phase, number, body: (
        body.model_copy(update=HELLO_LIES[name]) if phase == "hello" else body
    )
    stage.run()
    assert stage.refusals() == [("cedar", "hello", 1, "coordinator", "policy")]
    assert stage.players["cedar"].trained == []
    sound(stage.folder)


@pytest.mark.parametrize("phase", ["hello", "update", "evaluate"])
def test_no_site_can_stop_the_others_by_claiming_a_log_longer_than_there_is(make_stage: MakeStage, phase: str) -> None:
    stage = make_stage()

    def boast(asked_phase: str, number: int, body: Any) -> Any:
        return body.model_copy(update={"seen_tree_size": 10**9}) if asked_phase == phase else body

    stage.players["cedar"].change = boast
    assert stage.run().rounds_aggregated == 2
    assert {reason for *_, reason in stage.refusals()} <= {"log_forked", "stale_proof"}
    assert stage.run().rounds_aggregated == 2
    sound(stage.folder)


@pytest.mark.parametrize("reason", ["stale_proof", "log_forked"])
def test_nor_by_a_refusal_that_does(make_stage: MakeStage, reason: str) -> None:
    stage = make_stage()

    def boast(player: Any, asked: SignedMessage, reply: SignedMessage) -> SignedMessage:
        body = Refusal(plan_digest=reply.envelope.context_digest, reason=reason, seen_tree_size=10**9)
        return player.sealed(asked, "refusal", reply.envelope.context_digest, body)

    stage.players["cedar"].twist = boast
    assert stage.run().rounds_aggregated == 2
    assert {reason for *_, reason in stage.refusals()} == {reason}
    sound(stage.folder)


def test_a_site_whose_last_reply_was_lost_is_asked_once_more_from_what_it_saw(make_stage: MakeStage) -> None:
    stage = make_stage()
    cedar = stage.players["cedar"]

    def lose(player: Any, asked: SignedMessage, reply: SignedMessage) -> SignedMessage:
        if (asked.envelope.phase, asked.envelope.server_round) == ("evaluate", 0):
            raise ConnectionError("the reply is lost on its way")
        return reply

    cedar.twist = lose
    stage.run()
    assert stage.refusals() == [("cedar", "evaluate", 0, "coordinator", "no_reply")]
    assert cedar.asked.count(("update", 1)) == 2  # the first proof began where the coordinator last heard of it
    assert cedar.asked.count(("update", 2)) == 1
    assert len(cedar.trained) == 2
    sound(stage.folder)


def test_a_site_that_always_says_stale_proof_is_asked_twice_and_then_left_out(make_stage: MakeStage) -> None:
    stage = make_stage(training={"rounds": 1}, rounds={"evaluate": False})

    def stale(player: Any, asked: SignedMessage, reply: SignedMessage) -> SignedMessage:
        body = player.refusal(reply.envelope.context_digest, "stale_proof")
        return player.sealed(asked, "refusal", reply.envelope.context_digest, body)

    stage.players["cedar"].twist = in_round_one(stale)
    stage.run()
    assert stage.players["cedar"].asked.count(("update", 1)) == 2
    assert stage.refusals() == [("cedar", "update", 1, "site", "stale_proof")]


def test_a_refusal_about_another_plan_is_no_refusal_of_this_one(make_stage: MakeStage) -> None:
    stage = make_stage(training={"rounds": 1}, rounds={"evaluate": False})

    def elsewhere(player: Any, asked: SignedMessage, reply: SignedMessage) -> SignedMessage:
        return player.sealed(asked, "refusal", "0" * 64, player.refusal("0" * 64, "budget_exceeded"))

    stage.players["cedar"].twist = in_round_one(elsewhere)
    stage.run()
    assert stage.refusals() == [("cedar", "update", 1, "coordinator", "replayed")]
    sound(stage.folder)


def test_what_is_logged_of_a_refused_reply_is_an_envelope_and_a_code(make_stage: MakeStage) -> None:
    stage = make_stage(training={"rounds": 1}, rounds={"evaluate": False})
    stage.players["cedar"].twist = in_round_one(ATTACKS["a body that is no update"][0])
    stage.run()
    (refused,) = stage.bodies("reply_refused")
    assert set(refused.model_dump()) == {"kind", "site", "phase", "plan_digest", "by", "reason", "envelope"}
    (plan,) = stage.bodies("round_planned")
    assert refused.plan_digest == digest_of(plan.plan)
