# SPDX-License-Identifier: Apache-2.0
"""A reply that the log cannot hold refuses that one reply: the run, its other sites and its log go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator import journal as journals
from coordinator.journal import MAX_ENTRY_BYTES, Journal
from privacy.audit.verification import verify
from privacy.base.canonical import canonical_bytes
from privacy.base.errors import ContractError
from privacy.log.keys import SigningKey
from privacy.protocol.entries import RunOpened
from privacy.protocol.messages import MAX_BODY_BYTES

MakeStage = Callable[..., Any]
LONG = {f"library_{number}": "x" * 128 for number in range(64)}


def talkative(phase: str) -> Callable[[str, int, Any], Any]:
    """A site that says as much as it may, in its hello, or claims all events over and over."""

    def change(at: str, number: int, body: Any) -> Any:
        if at != phase or not hasattr(body, "seen_tree_size") or not hasattr(body, "software"):
            return body
        return body.model_copy(update={"software": LONG})

    return change


def test_one_reply_too_long_for_the_log_is_refused_and_the_run_goes_on(
    make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is set to what an honest run needs: one hello passes it."""
    honest = make_stage("honest")
    honest.run()
    longest = max(len(canonical_bytes(entry)) for entry in honest.entries())
    monkeypatch.setattr(journals, "MAX_ENTRY_BYTES", longest + 600)
    stage = make_stage("one")
    stage.players["cedar"].change = talkative("hello")
    closed = stage.run()
    assert (closed.outcome, closed.rounds_aggregated) == ("done", 2)
    assert {(site, phase, by, reason) for site, phase, _, by, reason in stage.refusals()} == {
        ("cedar", "hello", "coordinator", "malformed")
    }
    assert [body.included for body in stage.bodies("round_aggregated")] == [("alder", "birch")] * 2
    assert verify(stage.folder, expected_key=None).exit_code == 0


@pytest.mark.parametrize(("phase", "kind"), [("update", "UpdateReceived"), ("evaluate", "MetricsReceived")])
def test_so_it_is_in_every_phase(make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch, phase: str, kind: str) -> None:
    """The journal's own no is what is tried: it says it of cedar's replies of one phase."""
    stage, append = make_stage(), Journal.append

    def refusing(self: Journal, run_id: str, server_round: int, *bodies: Any) -> Any:
        if any(type(body).__name__ == kind and body.site == "cedar" for body in bodies):
            raise ContractError("an entry is longer than the log's longest")
        return append(self, run_id, server_round, *bodies)

    monkeypatch.setattr(Journal, "append", refusing)
    assert stage.run().rounds_aggregated == 2
    assert {(site, at, by, reason) for site, at, _, by, reason in stage.refusals()} == {
        ("cedar", phase, "coordinator", "malformed")
    }
    assert verify(stage.folder, expected_key=None).exit_code == 0


def opened_with(stage: Any, padding: int) -> RunOpened:
    return stage.recipe.opened.model_copy(update={"settings": {"padding": "x" * padding}})


def test_an_entry_just_over_the_bound_changes_nothing_and_one_at_the_bound_is_kept(
    make_stage: MakeStage, tmp_path: Path
) -> None:
    stage = make_stage()
    with Journal.open(tmp_path / "log", SigningKey(b"\x21" * 32), "collab/bound", lambda: 7) as journal:
        (empty,) = journal.append("run", 0, opened_with(stage, 0))
        room = MAX_ENTRY_BYTES - len(canonical_bytes(empty))
        note = journal.checkpoint
        for too_much in (room + 1, MAX_BODY_BYTES, 3 * MAX_BODY_BYTES):
            with pytest.raises(ContractError):
                journal.append("run", 0, opened_with(stage, 0), opened_with(stage, too_much))
            assert (journal.tree_size, journal.checkpoint) == (1, note)
        (kept,) = journal.append("run", 0, opened_with(stage, room))
        assert len(canonical_bytes(kept)) == MAX_ENTRY_BYTES
        proof = journal.prove(kept.index, 1)
    assert len(canonical_bytes(kept)) + len(canonical_bytes(proof)) + 64 < MAX_BODY_BYTES
    with Journal.open(tmp_path / "log", SigningKey(b"\x21" * 32), "collab/bound", lambda: 7) as again:
        assert again.tree_size == 2


@pytest.mark.parametrize("padding", ["\ud800", 0.5, {"UPPER": 1}, {"a": 1 << 60}])
def test_a_body_without_a_canonical_form_changes_nothing(make_stage: MakeStage, tmp_path: Path, padding: Any) -> None:
    stage = make_stage()
    body = stage.recipe.opened.model_copy(update={"settings": {"padding": padding}})
    with Journal.open(tmp_path / "log", SigningKey(b"\x21" * 32), "collab/bound", lambda: 7) as journal:
        note = journal.checkpoint
        with pytest.raises(ContractError):
            journal.append("run", 0, body)
        assert (journal.tree_size, journal.checkpoint) == (0, note)
