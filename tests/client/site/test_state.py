# SPDX-License-Identifier: Apache-2.0
"""A site's memory survives it: a checkpoint, an opening and a reply are there after a crash, unchanged."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from client.site.state import SiteState
from privacy.log.keys import SigningKey
from privacy.protocol.checkpoint import Checkpoint
from privacy.protocol.messages import Header, Refusal, SignedMessage, seal


def reply(payload: bytes = b"numbers" * 1000) -> SignedMessage:
    return seal(
        Refusal(plan_digest="0" * 64, reason="policy", seen_tree_size=7),
        Header(
            kind="refusal",
            run_id="spring",
            server_round=1,
            attempt=1,
            phase="update",
            sender="clinic",
            context_digest="1" * 64,
            log_vkey="collab/woods+e973f7aa+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c",
            recipient="coordinator",
        ),
        SigningKey(b"\x01" * 32),
        payload=payload,
    )


@pytest.mark.parametrize("payload", [b"", b"numbers" * 1000])
def test_a_reply_comes_back_byte_for_byte_after_a_restart(tmp_path: Path, payload: bytes) -> None:
    state = SiteState(tmp_path / "state.sqlite")
    assert state.reply("0" * 64, "update") is None
    state.remember_reply("0" * 64, "update", reply(payload))
    state.close()
    again = SiteState(tmp_path / "state.sqlite")
    assert again.reply("0" * 64, "update") == reply(payload)
    assert again.reply("0" * 64, "evaluate") is None
    again.close()


def test_a_plan_has_one_reply_for_good(tmp_path: Path) -> None:
    state = SiteState(tmp_path / "state.sqlite")
    state.remember_reply("0" * 64, "update", reply())
    with pytest.raises(sqlite3.IntegrityError):
        state.remember_reply("0" * 64, "update", reply(b"other"))
    assert state.reply("0" * 64, "update") == reply()
    state.close()


def test_each_log_has_its_own_last_checkpoint(tmp_path: Path) -> None:
    state = SiteState(tmp_path / "state.sqlite")
    first, other = Checkpoint("collab/a", 3, "a" * 64), Checkpoint("collab/b", 9, "b" * 64)
    for checkpoint in (first, other, Checkpoint("collab/a", 5, "c" * 64)):
        state.remember_seen(checkpoint)
    state.close()
    again = SiteState(tmp_path / "state.sqlite")
    assert again.seen("collab/a") == Checkpoint("collab/a", 5, "c" * 64)
    assert again.seen("collab/b") == other
    assert again.seen("collab/c") is None
    again.close()


def test_what_a_site_remembers_is_its_owners_alone(tmp_path: Path) -> None:
    state = SiteState(tmp_path / "state.sqlite")
    state.remember_reply("0" * 64, "update", reply())
    assert (tmp_path / "state.sqlite").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state" / "payloads").stat().st_mode & 0o777 == 0o700
    state.close()


def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    state = SiteState(tmp_path / "state.sqlite")
    state.remember_seen(Checkpoint("collab/a", 3, "a" * 64))
    with pytest.raises(sqlite3.Error):
        state.remember_seen(Checkpoint("collab/a", "many", "c" * 64))  # type: ignore[arg-type]
    assert state.seen("collab/a") == Checkpoint("collab/a", 3, "a" * 64)
    state.close()
