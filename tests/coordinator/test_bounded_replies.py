# SPDX-License-Identifier: Apache-2.0
"""What a site says is bounded before it is logged, is for this federation's coordinator, and ends no run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from privacy.audit.recomputation import replay
from privacy.audit.verification import verify
from privacy.log.keys import SigningKey
from privacy.log.note import NoteKey
from privacy.protocol.messages import SignedMessage, SiteHello

MakeStage = Callable[..., Any]


def sound(folder: Path) -> None:
    found = verify(folder, expected_key=None)
    assert found.exit_code == 0, found.findings
    assert replay(folder).exit_code == 0


def says(**changes: Any) -> Callable[[SiteHello], SiteHello]:
    return lambda hello: hello.model_copy(update=changes)


HELLO_LIES: dict[str, Callable[[SiteHello], SiteHello]] = {
    "four million bytes": says(software={f"k{at}": "x" * 65_000 for at in range(64)}),
    "just over the bound of a body": says(software={f"k{at:02}": "x" * 1100 for at in range(60)}),
    "a device that steers a terminal": says(device="\x1b]0;owned\x07\x1b[2Jcpu"),
    "a device that turns the line around": says(device="cpu \u202egnp"),
    "a version with a line of its own": says(software={"collab": "1\nround 1: lost"}),
    "a thousand versions": says(software={f"k{at}": "1" for at in range(1000)}),
    "a bucket of 2^53": says(size_bucket=2**53 - 1),
    "a million threads": says(threads=10**6),
}


@pytest.mark.parametrize("name", HELLO_LIES)
def test_what_a_site_says_of_itself_ends_no_run_and_reaches_no_terminal(make_stage: MakeStage, name: str) -> None:
    """A hello of 4,194,254 bytes stopped the run for ever, and control characters went raw to people's terminals."""
    stage = make_stage(training={"rounds": 1})
    stage.players["cedar"].change = lambda phase, number, body: HELLO_LIES[name](body) if phase == "hello" else body
    closed = stage.run()
    assert (closed.outcome, closed.rounds_aggregated) == ("done", 1)
    said = {(site, by, reason) for site, _, _, by, reason in stage.refusals()}
    assert said == {("cedar", "coordinator", "malformed")}
    assert all(len(entry.model_dump_json()) < 16_000 for entry in stage.entries())
    sound(stage.folder)


@pytest.mark.parametrize("field", ["log_vkey", "recipient"])
def test_an_answer_that_was_written_for_elsewhere_is_refused(make_stage: MakeStage, field: str) -> None:
    stage = make_stage(training={"rounds": 1}, rounds={"evaluate": False})
    other = {"log_vkey": NoteKey("collab/hills", SigningKey(b"\x09" * 32).verify_key()).vkey(), "recipient": "alder"}

    def elsewhere(player: Any, asked: SignedMessage, reply: SignedMessage) -> SignedMessage:
        if reply.envelope.phase != "update":
            return reply
        unsigned = reply.envelope.model_copy(update={field: other[field], "signature": ""})
        signature = player.key.sign(unsigned.domain, unsigned.signed_bytes()).hex()
        return replace(reply, envelope=unsigned.model_copy(update={"signature": signature}))

    stage.players["cedar"].twist = elsewhere
    stage.run()
    assert stage.refusals() == [("cedar", "update", 1, "coordinator", "replayed")]
    sound(stage.folder)


def test_a_refusal_that_names_another_plan_is_no_refusal_of_this_one(make_stage: MakeStage) -> None:
    stage = make_stage(training={"rounds": 1}, rounds={"evaluate": False})
    stage.players["cedar"].refuse = {("update", 1): "policy"}
    stage.players["cedar"].change = lambda phase, number, body: (
        body.model_copy(update={"plan_digest": "0" * 64}) if phase == "update" else body
    )
    stage.run()
    assert stage.refusals() == [("cedar", "update", 1, "coordinator", "replayed")]
    sound(stage.folder)


def test_the_log_holds_what_a_site_signed_when_it_said_no(make_stage: MakeStage) -> None:
    """Its reason was the coordinator's word before: only the envelope was logged."""
    stage = make_stage(training={"rounds": 1}, rounds={"evaluate": False})
    stage.players["cedar"].refuse = {("update", 1): "policy"}
    stage.run()
    (refused,) = stage.bodies("reply_refused")
    assert (refused.refusal.reason, refused.refusal.plan_digest) == ("policy", refused.plan_digest)
    sound(stage.folder)
