# SPDX-License-Identifier: Apache-2.0
"""The exchange keeps order and deadline, and brings a message again to a site that was away. It has its own clock."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from flwr.app import Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.proto.node_pb2 import NodeInfo

from client.wire.app import make_app
from coordinator.wire.message_exchange import PRESENCE_SECONDS, MessageExchange
from privacy.base.errors import Unreachable
from privacy.log.keys import SigningKey
from privacy.protocol.messages import Header, ReasonCode, Refusal, SignedMessage, seal
from simulations.engines.inprocess import LocalGrid

NODES = {"hospital_c": 4, "hospital_a": 2, "hospital_b": 3}


def signed_message(sender: str, payload: bytes = b"") -> SignedMessage:
    return seal(
        Refusal(plan_digest="0" * 64, reason="policy", seen_tree_size=1),
        Header(
            kind="refusal",
            run_id="run",
            server_round=1,
            attempt=1,
            phase="update",
            sender=sender,
            context_digest="1" * 64,
            log_vkey="collab/woods+e973f7aa+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c",
            recipient="coordinator",
        ),
        SigningKey(b"k" * 32),
        payload=payload,
    )


@dataclass
class Echo:
    site: str

    def answer(self, received: SignedMessage) -> SignedMessage:
        if received.payload == b"fail":
            raise RuntimeError("Jane Doe has a fever")
        return signed_message(self.site, received.payload[::-1])


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class PatchyGrid(LocalGrid):
    """A grid whose sites are away at times. As with Flower, what a lost node had in hand never comes back."""

    def __init__(self, app: ClientApp, clock: Clock, away: dict[int, list[tuple[float, float]]]) -> None:
        super().__init__(app, {node: {"site": site} for site, node in NODES.items()})
        self.clock, self.away = clock, away
        self.pushed: list[list[int]] = []
        self.sent_at: dict[str, tuple[int, float]] = {}

    def get_node_ids(self) -> list[int]:
        return [n for n in super().get_node_ids() if not self._gone(n, self.clock())]

    def get_nodes(self) -> list[NodeInfo]:
        def session(node: int) -> str:
            return str(max((end for _, end in self.away.get(node, []) if end <= self.clock()), default=0.0))

        return [NodeInfo(node_id=node, last_activated_at=session(node)) for node in self.get_node_ids()]

    def _gone(self, node: int, at: float) -> bool:
        return any(start <= at < end for start, end in self.away.get(node, []))

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        messages = list(messages)
        self.pushed.append([m.metadata.dst_node_id for m in messages])
        ids = super().push_messages(messages)
        self.sent_at |= {i: (m.metadata.dst_node_id, self.clock()) for i, m in zip(ids, messages, strict=True)}
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        (message_id,) = message_ids
        node, sent = self.sent_at[message_id]
        lost = any(start <= self.clock() and end > sent for start, end in self.away.get(node, []))
        if lost:
            if not (self._gone(node, self.clock()) and self._waiting.pop(message_id, None)):
                return []  # Flower says nothing about a message lost by a node that is back
            back = self._metadata("train", node, 1, "1", message_id)
            return [Message(error=Error(5, "Node Unavailable"), metadata=back)]
        return super().pull_messages([message_id])


def exchange(
    grid: LocalGrid,
    clock: Clock,
    signed_messages: dict[str, SignedMessage] | None = None,
    deadline: float = 30.0,
    limit: int = 1 << 20,
) -> list[tuple[str, SignedMessage | ReasonCode]]:
    message_exchange = MessageExchange(grid, NODES, clock=clock, sleep=clock.sleep, poll_seconds=0.5)
    signed_messages = signed_messages or {site: signed_message("coordinator", b"model") for site in NODES}
    return list(
        message_exchange.send_and_receive(
            signed_messages, phase="update", server_round=1, deadline_seconds=30, max_payload_bytes=limit
        )
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


def grid_with(clock: Clock, away: dict[int, list[tuple[float, float]]] | None = None) -> PatchyGrid:
    return PatchyGrid(make_app(lambda config: Echo(str(config["site"]))), clock, away or {})


ALL = [(site, signed_message(site, b"ledom")) for site in sorted(NODES)]


def test_replies_come_in_the_order_of_names_after_one_push(clock: Clock) -> None:
    grid = grid_with(clock)
    assert exchange(grid, clock) == ALL
    assert grid.pushed == [[2, 3, 4]]
    assert clock.now == 0.0


def test_a_site_that_is_away_for_good_is_no_reply_at_the_deadline(clock: Clock) -> None:
    replies = exchange(grid_with(clock, {3: [(0, 1e9)]}), clock)
    assert replies == [ALL[0], ("hospital_b", "no_reply"), ALL[2]]
    assert 30.0 <= clock.now < 32.0


def test_one_deadline_holds_for_all_sites_together(clock: Clock) -> None:
    replies = exchange(grid_with(clock, {2: [(0, 1e9)], 3: [(0, 1e9)], 4: [(0, 1e9)]}), clock)
    assert [reply for _, reply in replies] == ["no_reply"] * 3
    assert clock.now < 32.0


def test_a_site_that_comes_within_the_deadline_gets_its_message_then(clock: Clock) -> None:
    grid = grid_with(clock, {2: [(0, 12)]})
    assert exchange(grid, clock) == ALL
    assert grid.pushed == [[3, 4], [2]]
    assert 12 <= clock.now <= 12 + 2 * PRESENCE_SECONDS


def test_a_site_that_loses_its_message_gets_it_again(clock: Clock) -> None:
    slow_first = {2: [(0, 10)], 3: [(2, 6)]}  # b goes and comes back while a is awaited
    grid = grid_with(clock, slow_first)
    assert exchange(grid, clock) == ALL
    assert grid.pushed == [[3, 4], [3], [2]]


def test_a_site_that_was_gone_so_shortly_that_nobody_saw_gets_its_message_again(clock: Clock) -> None:
    grid = grid_with(clock, {2: [(0, 10)], 3: [(2.6, 2.9)]})  # polls are 0.5 s apart, looks 1 s
    assert exchange(grid, clock) == ALL
    assert grid.pushed == [[3, 4], [3], [2]]


def test_a_site_that_fails_is_no_reply_at_once_and_says_nothing_more(clock: Clock) -> None:
    seen: list[str] = []

    class Watching(PatchyGrid):
        def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
            replies = super().pull_messages(message_ids)
            seen.extend(str(reply.error) for reply in replies if reply.has_error())
            return replies

    signed_messages = {
        site: signed_message("coordinator", b"fail" if site == "hospital_b" else b"model") for site in NODES
    }
    replies = exchange(Watching(make_app(lambda config: Echo(str(config["site"]))), clock, {}), clock, signed_messages)
    assert replies == [ALL[0], ("hospital_b", "no_reply"), ALL[2]]
    assert clock.now == 0.0
    assert seen == ["Error(code=2, reason='bug')"]


def test_a_reply_over_the_limit_is_malformed(clock: Clock) -> None:
    assert [reply for _, reply in exchange(grid_with(clock), clock, limit=4)] == ["malformed"] * 3


@pytest.mark.parametrize("lie", [{"_src_node_id": 99}, {"_reply_to_message_id": "another"}])
def test_a_message_that_does_not_answer_is_dropped_and_the_true_reply_counts(
    clock: Clock, lie: dict[str, object]
) -> None:
    class Crossed(PatchyGrid):
        """Returns a stranger's message beside each reply, and before it."""

        def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
            replies = super().pull_messages(message_ids)
            strange = []
            for reply in replies:
                strange.append(Message(content=RecordDict(), metadata=copy.copy(reply.metadata)))
                strange[-1].metadata.__dict__.update(lie)
            return [*strange, *replies]

    replies = exchange(Crossed(make_app(lambda config: Echo(str(config["site"]))), clock, {}), clock)
    assert [site for site, _ in replies] == sorted(NODES)
    assert [reply for _, reply in replies] == [signed_message(site, b"ledom") for site in sorted(NODES)]


def test_messages_that_the_grid_does_not_take_are_an_error(clock: Clock) -> None:
    class Full(PatchyGrid):
        def push_messages(self, messages: Iterable[Message]) -> list[str]:
            return []  # what Flower does on HTTP 413

    with pytest.raises(Unreachable, match="0 of 3"):
        exchange(Full(make_app(lambda config: Echo(str(config["site"]))), clock, {}), clock)


def test_a_message_refused_alone_is_pushed_again(clock: Clock) -> None:
    class Picky(PatchyGrid):
        def push_messages(self, messages: Iterable[Message]) -> list[str]:
            ids = super().push_messages(messages)
            return [None if len(self.pushed) == 1 and i == 0 else ids[i] for i in range(len(ids))]  # type: ignore[misc]

    grid = Picky(make_app(lambda config: Echo(str(config["site"]))), clock, {})
    assert exchange(grid, clock) == ALL
    assert grid.pushed == [[2, 3, 4], [2]]


def test_only_the_sites_that_are_asked_get_a_message(clock: Clock) -> None:
    grid = grid_with(clock)
    assert exchange(grid, clock, {"hospital_b": signed_message("coordinator", b"model")}) == [ALL[1]]
    assert grid.pushed == [[3]]


def test_no_reply_is_kept_while_the_next_is_awaited(clock: Clock) -> None:
    message_exchange = MessageExchange(grid_with(clock), NODES, clock=clock, sleep=clock.sleep)
    signed_messages = {site: signed_message("coordinator", b"model") for site in NODES}
    replies = message_exchange.send_and_receive(
        signed_messages, phase="update", server_round=1, deadline_seconds=5, max_payload_bytes=100
    )
    site, reply = next(replies)
    assert site == "hospital_a"
    watched = weakref.ref(reply)
    del reply
    next(replies)
    gc.collect()
    assert watched() is None


def test_waiting_for_sites_ends_when_enough_are_there_or_in_an_error(clock: Clock) -> None:
    grid = grid_with(clock, {2: [(0, 7)], 3: [(0, 1e9)]})
    message_exchange = MessageExchange(grid, NODES, clock=clock, sleep=clock.sleep, poll_seconds=0.5)
    assert message_exchange.online() == {"hospital_c"}
    assert message_exchange.wait_online(2, 60) == {"hospital_a", "hospital_c"}
    assert clock.now == 7.0
    with pytest.raises(Unreachable, match="2 of at least 3"):
        message_exchange.wait_online(3, 60)
    assert clock.now == 67.0


def test_a_stranger_online_is_not_a_site(clock: Clock) -> None:
    message_exchange = MessageExchange(grid_with(clock), {"hospital_a": 2}, clock=clock, sleep=clock.sleep)
    assert message_exchange.online() == {"hospital_a"}


def test_a_site_that_was_taken_off_the_roster_is_missing_at_once(clock: Clock) -> None:
    signed_messages = {site: signed_message("coordinator", b"model") for site in (*NODES, "zz_gone")}
    assert exchange(grid_with(clock), clock, signed_messages) == [*ALL, ("zz_gone", "no_reply")]
    assert clock.now == 0.0


@pytest.mark.parametrize(("absent_seconds", "waited"), [(5.0, (5.0, 6.5)), (None, (30.0, 31.5))])
def test_a_site_that_is_not_there_is_waited_for_no_longer_than_for_absent_ones(
    clock: Clock, absent_seconds: float | None, waited: tuple[float, float]
) -> None:
    grid = PatchyGrid(make_app(lambda config: Echo(str(config["site"]))), clock, {3: [(0.0, 1e9)]})
    message_exchange = MessageExchange(grid, NODES, clock=clock, sleep=clock.sleep, poll_seconds=0.5)
    signed_messages = {site: signed_message("coordinator", b"model") for site in NODES}
    replies = dict(
        message_exchange.send_and_receive(
            signed_messages,
            phase="hello",
            server_round=0,
            deadline_seconds=30.0,
            max_payload_bytes=1 << 20,
            absent_seconds=absent_seconds,
        )
    )
    assert replies["hospital_b"] == "no_reply"
    assert waited[0] <= clock.now <= waited[1]
    assert isinstance(replies["hospital_a"], SignedMessage)
    assert isinstance(replies["hospital_c"], SignedMessage)
