# SPDX-License-Identifier: Apache-2.0
"""The in-process grid gives the same bytes in every run, lazily, and keeps sites apart."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import pytest

from client.wire.app import make_app
from coordinator.wire.message_exchange import MessageExchange
from privacy.base.errors import SettingsError
from privacy.log.keys import SigningKey
from privacy.protocol.flower import PIECE_BYTES, to_content
from privacy.protocol.messages import Header, Refusal, SignedMessage, seal
from simulations.engines.inprocess import LocalGrid


def signed_message(sender: str, payload: bytes) -> SignedMessage:
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
class Chain:
    """Answers with a digest of all that it was ever sent: any difference in order or bytes shows."""

    site: str
    state: bytes = b""
    asked: list[str] = field(default_factory=list)

    def answer(self, received: SignedMessage) -> SignedMessage:
        self.state = hashlib.sha256(self.state + self.site.encode() + received.payload).digest()
        self.asked.append(self.site)
        return signed_message(self.site, self.state * 2000)


def run(order: list[str], rounds: int = 3, *, wire: bool = True) -> tuple[str, list[str]]:
    asked: list[str] = []
    sites = {site: Chain(site, asked=asked) for site in order}
    nodes = {site: 100 + ord(site[-1]) for site in order}
    app = make_app(lambda config: sites[str(config["site"])])
    grid = LocalGrid(app, {nodes[site]: {"site": site} for site in order}, wire=wire)
    message_exchange, model = MessageExchange(grid, nodes), b"start"
    for server_round in range(rounds):
        digest = hashlib.sha256()
        sent = {site: signed_message("coordinator", model) for site in order}
        for site, reply in message_exchange.send_and_receive(
            sent, phase="update", server_round=server_round, deadline_seconds=1, max_payload_bytes=1 << 20
        ):
            assert isinstance(reply, SignedMessage)
            digest.update(site.encode() + reply.payload)
        model = digest.digest()
    return model.hex(), asked


def test_two_runs_are_bit_identical_whatever_the_order_of_the_sites_and_with_or_without_the_wire() -> None:
    first, asked = run(["site_a", "site_b", "site_c"])
    assert asked == ["site_a", "site_b", "site_c"] * 3
    assert run(["site_c", "site_a", "site_b"]) == (first, asked)
    assert run(["site_a", "site_b", "site_c"], wire=False) == (first, asked)


def test_a_site_works_only_when_its_reply_is_asked_for() -> None:
    site = Chain("site_a")
    grid = LocalGrid(make_app(lambda config: site), {2: {"site": "site_a"}, 3: {"site": "site_a"}})
    messages = [grid.create_message(to_content(signed_message("coordinator", b"x")), "train", n, "1") for n in (2, 3)]
    ids = grid.push_messages(messages)
    assert site.asked == []
    (reply,) = grid.pull_messages(ids[:1])
    assert len(site.asked) == 1
    assert reply.metadata.reply_to_message_id == ids[0]
    assert reply.metadata.src_node_id == 2
    assert grid.pull_messages(ids[:1]) == []
    replies = grid.send_and_receive(messages)
    assert len(site.asked) == 1
    next(iter(replies))
    assert len(site.asked) == 2


@pytest.mark.parametrize("wire", [True, False])
def test_a_broadcast_reaches_each_site_whole(wire: bool) -> None:
    payload = b"".join(i.to_bytes(4, "big") for i in range(PIECE_BYTES // 4 + 10))

    class Same:
        def answer(self, received: SignedMessage) -> SignedMessage:
            assert received.payload == payload
            return signed_message("site_a", b"ok")

    grid = LocalGrid(make_app(lambda config: Same()), {2: {"site": "a"}, 3: {"site": "b"}}, wire=wire)
    message_exchange = MessageExchange(grid, {"a": 2, "b": 3})
    sent = signed_message("coordinator", payload)
    replies = message_exchange.send_and_receive(
        {"a": sent, "b": sent}, phase="evaluate", server_round=1, deadline_seconds=1, max_payload_bytes=10
    )
    assert [reply.payload for _, reply in replies if isinstance(reply, SignedMessage)] == [b"ok", b"ok"]


def test_the_error_of_a_site_is_seen_at_the_site_only() -> None:
    class Broken:
        def answer(self, received: SignedMessage) -> SignedMessage:
            raise ValueError("John Smith, 555-1234")

    errors: list[Exception] = []
    app = make_app(lambda config: Broken(), on_error=errors.append)
    grid = LocalGrid(app, {2: {"site": "a"}})
    message = grid.create_message(to_content(signed_message("coordinator", b"")), "query", 2, "1")
    (reply,) = grid.send_and_receive([message])
    assert str(errors[0]) == "John Smith, 555-1234"
    assert (reply.error.code, reply.error.reason) == (2, "bug")


def test_a_node_that_is_not_there_is_refused() -> None:
    grid = LocalGrid(make_app(lambda config: Chain("a")), {2: {"site": "a"}})
    with pytest.raises(SettingsError):
        grid.push_messages([grid.create_message(to_content(signed_message("coordinator", b"")), "train", 7, "1")])
    with pytest.raises(SettingsError):
        LocalGrid(make_app(lambda config: Chain("a")), {1: {"site": "a"}})
