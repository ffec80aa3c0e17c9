# SPDX-License-Identifier: Apache-2.0
"""A site says only what it was asked, once, within its quota, in its own objects; a new process knows what it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from coordinator.wire.slots import NONSENSE, NOT_ASKED, PASS, TOO_LATE, TOO_LONG, TWICE, Announced, PushedMessage, Slots
from privacy.base.identifiers import sha256

RUN, A, B, NOW = 7, 11, 12, 1000.0
LIMIT = 8 << 20


def content(kind: str, body: bytes, *children: str) -> bytes:
    return f"{kind} {','.join(children)} {len(body)}".encode() + b"\x00" + body


def asked(message_id: str = "model-a", node: int = A, **changes: object) -> PushedMessage:
    facts = PushedMessage(message_id, RUN, node, "train", "1", NOW + 60, (message_id, "model"))
    return replace(facts, **changes)  # type: ignore[arg-type]


class Reply:
    """A reply of two objects with its bytes."""

    def __init__(self, said: bytes = b"said", **changes: object) -> None:
        self.leaf = content("ConfigRecord", said)
        self.root = content("Message", b"", sha256(self.leaf))
        ids = (sha256(self.root), sha256(self.leaf))
        children: dict[str, tuple[str, ...]] = {ids[0]: (ids[1],), ids[1]: ()}
        plain = Announced(ids[0], RUN, A, 1, "model-a", "train", NOW + 30, children)
        self.announced = replace(plain, **changes)  # type: ignore[arg-type]


@pytest.fixture
def slots() -> Slots:
    made = Slots(LIMIT)
    made.ask(asked(), now=NOW)
    made.ask(asked("model-b", B), now=NOW)
    return made


def test_a_site_answers_what_it_was_asked(slots: Slots) -> None:
    reply = Reply()
    assert slots.announce(A, reply.announced, now=NOW) == PASS
    assert slots.announce(A, reply.announced, now=NOW) == PASS  # after a call whose answer was lost
    for data in (reply.leaf, reply.root, reply.root):
        assert slots.may_push(A, RUN, sha256(data), data, now=NOW) == PASS
    assert slots.stored(A)[0] == len(reply.leaf) + len(reply.root)
    assert slots.stored(B)[0] == 0


@pytest.mark.parametrize(
    ("node", "change", "verdict"),
    [
        (A, {"reply_to": ""}, NOT_ASKED),
        (A, {"reply_to": "nothing that was sent"}, NOT_ASKED),
        (A, {"reply_to": "model-b"}, NOT_ASKED),
        (A, {"source": B}, NOT_ASKED),
        (A, {"source": B, "reply_to": "model-b"}, NOT_ASKED),
        (B, {}, NOT_ASKED),
        (B, {"source": B}, NOT_ASKED),
        (A, {"target": B}, NOT_ASKED),
        (A, {"run_id": 8}, NOT_ASKED),
        (A, {"kind": "query"}, NOT_ASKED),
        (A, {"expires": NOW + 62}, NOT_ASKED),
        (A, {"expires": 1e9 + NOW}, NOT_ASKED),
        (A, {"expires": float("nan")}, NOT_ASKED),
        (A, {"expires": float("inf")}, NOT_ASKED),
        (A, {"message_id": "0" * 64}, NONSENSE),
        (A, {"children": {}}, NONSENSE),
    ],
)
def test_whatever_else_it_announces_is_refused(
    slots: Slots, node: int, change: dict[str, object], verdict: int
) -> None:
    assert slots.announce(node, Reply(**change).announced, now=NOW) == verdict
    assert slots.announce(A, Reply().announced, now=NOW) == PASS  # and nothing of it stays


def test_a_slot_takes_one_reply(slots: Slots) -> None:
    assert slots.announce(A, Reply(b"first").announced, now=NOW) == PASS
    assert slots.announce(A, Reply(b"second").announced, now=NOW) == TWICE


def test_a_message_that_was_sent_again_replaces_the_first(slots: Slots) -> None:
    slots.ask(asked("model-a-again"), now=NOW)
    assert slots.announce(A, Reply().announced, now=NOW) == TOO_LATE
    assert slots.announce(A, Reply(reply_to="model-a-again").announced, now=NOW) == PASS


def test_an_answer_after_its_time_is_too_late(slots: Slots) -> None:
    reply = Reply()
    assert slots.announce(A, reply.announced, now=NOW + 61) == TOO_LATE
    assert slots.announce(A, reply.announced, now=NOW + 59) == PASS
    assert slots.may_push(A, RUN, sha256(reply.leaf), reply.leaf, now=NOW + 61) == TOO_LATE


def test_a_reply_has_no_more_objects_than_its_payload_may_have(slots: Slots) -> None:
    root = "f" * 64
    many = {root: ("0" * 64,)} | {f"{n:064x}": () for n in range(slots.limit("train"))}
    assert slots.announce(A, Reply(message_id=root, children=many).announced, now=NOW) == NONSENSE
    slots.ask(asked("hello-a", kind="query", objects=("hello-a",)), now=NOW)
    some = {root: ("0" * 64,)} | {f"{n:064x}": () for n in range(slots.limit("query"))}
    assert slots.limit("query") < slots.limit("train")
    said = Reply(message_id=root, children=some, kind="query", reply_to="hello-a").announced
    assert slots.announce(A, said, now=NOW) == NONSENSE


def test_nobody_claims_an_object_of_another(slots: Slots) -> None:
    """The coordinator's model, as a leaf or with children of its own; another site's; not even before it comes back."""
    theirs = Reply(b"of b", source=B, reply_to="model-b")
    assert slots.announce(B, theirs.announced, now=NOW) == PASS
    for stolen in ("model", "model-a", "model-b", sha256(theirs.leaf), theirs.announced.message_id):
        for below in ((), ("1" * 64,)):
            root = "e" * 64
            claim = {root: (stolen,), stolen: below}
            assert slots.announce(A, Reply(message_id=root, children=claim).announced, now=NOW) == TWICE
    assert slots.announce(A, Reply().announced, now=NOW) == PASS


def test_only_ones_own_announced_objects_are_taken_whole_and_true(slots: Slots) -> None:
    reply, other = Reply(), Reply(b"other")
    assert slots.may_push(A, RUN, sha256(reply.leaf), reply.leaf, now=NOW) == NOT_ASKED
    assert slots.announce(A, reply.announced, now=NOW) == PASS
    assert slots.may_push(B, RUN, sha256(reply.leaf), reply.leaf, now=NOW) == NOT_ASKED
    assert slots.may_push(A, RUN + 1, sha256(reply.leaf), reply.leaf, now=NOW) == NOT_ASKED
    assert slots.may_push(A, RUN, sha256(other.leaf), other.leaf, now=NOW) == NOT_ASKED
    assert slots.may_push(A, RUN, sha256(reply.leaf), other.leaf, now=NOW) == NONSENSE
    assert slots.may_push(A, RUN, "model", b"", now=NOW) == NOT_ASKED


def test_an_object_whose_header_names_other_children_than_its_tree_is_refused(slots: Slots) -> None:
    root = content("Message", b"", "1" * 64)
    twisted = Reply(message_id=sha256(root), children={sha256(root): ("2" * 64,), "2" * 64: ()})
    assert slots.announce(A, twisted.announced, now=NOW) == PASS
    assert slots.may_push(A, RUN, sha256(root), root, now=NOW) == NONSENSE
    for noise in (b"", b"\x00", b"no header", b"a b c d\x00"):
        leaf = Reply(message_id=sha256(noise), children={sha256(noise): ()}, reply_to="model-b", source=B)
        fresh = Slots(LIMIT)
        fresh.ask(asked("model-b", B), now=NOW)
        assert fresh.announce(B, leaf.announced, now=NOW) == PASS
        assert fresh.may_push(B, RUN, sha256(noise), noise, now=NOW) == NONSENSE


def test_bytes_are_counted_against_a_quota_from_the_plans_payload() -> None:
    for kind, fits in (("train", True), ("query", False)):
        slots = Slots(LIMIT)
        slots.ask(asked(kind=kind), now=NOW)
        long = Reply(bytes(slots.quota("query") + 1), kind=kind)
        assert slots.announce(A, long.announced, now=NOW) == PASS
        assert slots.may_push(A, RUN, sha256(long.leaf), long.leaf, now=NOW) == (PASS if fits else TOO_LONG)
        stored, quota = slots.stored(A)
        assert stored <= quota == slots.quota(kind)
    slots = Slots(LIMIT)
    slots.ask(asked(), now=NOW)
    exact, beyond = (content("ArrayChunk", bytes(slots.quota("train") - more)) for more in (60, -60))
    for data, verdict in ((exact, PASS), (beyond, TOO_LONG)):
        slots = Slots(LIMIT)
        slots.ask(asked(), now=NOW)
        only = Reply(message_id=sha256(data), children={sha256(data): ()})
        assert slots.announce(A, only.announced, now=NOW) == PASS
        assert slots.may_push(A, RUN, sha256(data), data, now=NOW) == verdict


def test_a_site_pulls_and_confirms_what_was_sent_to_it_and_nothing_else(slots: Slots) -> None:
    assert slots.may_pull(A, RUN, "model") == slots.may_pull(B, RUN, "model") == PASS  # a broadcast
    assert slots.may_pull(A, RUN, "model-a") == slots.may_confirm(A, RUN, "model-a") == PASS
    assert slots.may_pull(A, RUN, "model-b") == slots.may_confirm(A, RUN, "model-b") == NOT_ASKED
    assert slots.may_pull(A, RUN + 1, "model") == slots.may_confirm(A, RUN + 1, "model-a") == NOT_ASKED
    reply = Reply(source=B, reply_to="model-b")
    assert slots.announce(B, reply.announced, now=NOW) == PASS
    assert slots.may_pull(A, RUN, sha256(reply.leaf)) == NOT_ASKED


def test_a_killed_process_leaves_what_was_asked_and_announced_to_the_next(tmp_path: Path) -> None:
    file, reply = tmp_path / "slots.jsonl", Reply()
    first = Slots(LIMIT, file)
    first.know({"hospital_a": A})
    first.ask(asked(), now=NOW)
    assert first.announce(A, reply.announced, now=NOW) == PASS
    assert file.stat().st_mode & 0o777 == 0o600
    with file.open("ab") as cut:
        cut.write(b'{"asked": {"message_id"')  # killed in the middle of a line
    second = Slots(LIMIT, file)
    assert second.nodes == {"hospital_a": A}
    assert second.may_push(A, RUN, sha256(reply.leaf), reply.leaf, now=NOW) == PASS
    assert second.announce(A, reply.announced, now=NOW) == PASS
    assert second.announce(A, Reply(b"second").announced, now=NOW) == TWICE
    assert second.may_pull(A, RUN, "model") == PASS
    second.ask(asked("next"), now=NOW)
    assert Slots(LIMIT, file).may_pull(A, RUN, "next") == PASS  # the cut line swallowed nothing


def test_what_is_over_is_forgotten(slots: Slots) -> None:
    assert slots.announce(A, Reply().announced, now=NOW) == PASS
    slots.ask(asked("next", group="2", expires=NOW + 1000, objects=("next", "model")), now=NOW + 100)
    assert slots.stored(A) == (0, slots.quota("train"))
    assert slots.stored(B) == (0, 0)
    assert slots.may_pull(A, RUN, "model") == PASS
    assert slots.may_pull(B, RUN, "model") == slots.may_pull(A, RUN, "model-a") == NOT_ASKED
    assert len(slots._owners) == 2
