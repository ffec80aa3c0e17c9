# SPDX-License-Identifier: Apache-2.0
"""An admitted site that turned on us, with its own keys and Flower's own client: it hurts nobody but itself."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.fleet_pb2 import ActivateNodeRequest, PullMessagesRequest, PushMessagesRequest
from flwr.proto.message_pb2 import (
    ConfirmMessageReceivedRequest,
    ObjectTree,
    PullObjectRequest,
    PushObjectRequest,
)
from flwr.proto.node_pb2 import Node
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    no_object_id_recompute,
)

from privacy.log.keys import SigningKey
from privacy.protocol.flower import cut, to_content
from privacy.protocol.messages import Header, Refusal, SignedMessage, seal

pytestmark = pytest.mark.slow


def message(payload: bytes) -> SignedMessage:
    return seal(
        Refusal(plan_digest="0" * 64, reason="policy", seen_tree_size=1),
        Header(
            kind="refusal",
            run_id="run",
            server_round=1,
            attempt=1,
            phase="update",
            sender="coordinator",
            context_digest="1" * 64,
            log_vkey="collab/woods+e973f7aa+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c",
            recipient="hospital_a",
        ),
        SigningKey(b"k" * 32),
        payload=payload,
    )


class Hostile:
    """A site with a node and a message in hand, that speaks Flower's calls as it likes."""

    def __init__(self, loopback: Any, name: str) -> None:
        self.client = loopback.fleet(name)
        self.run_id = loopback.grid.run.run_id
        key = self.client._interceptors[0]._public_key_bytes
        self.node = Node(
            node_id=self.client.ActivateNode(ActivateNodeRequest(public_key=key, heartbeat_interval=30)).node_id
        )

    def pull(self) -> tuple[Message, ObjectTree]:
        end = time.monotonic() + 20
        while not (answer := self.client.PullMessages(PullMessagesRequest(node=self.node))).messages_list:
            assert time.monotonic() < end
            time.sleep(0.1)
        return message_from_proto(answer.messages_list[0]), answer.message_object_trees[0]

    def reply(self, to: Message, content: bytes = b"x", **lies: object) -> Message:
        record = ConfigRecord({"envelope": b"x", "body": content, "payload_bytes": 0})
        made = Message(content=RecordDict({"parcel": record}), reply_to=to)
        made.metadata.__dict__.update({f"_{name}": value for name, value in lies.items()})
        return made

    def push(self, *replies: Message, tree: ObjectTree | None = None, node: Node | None = None) -> Any:
        with no_object_id_recompute():
            for reply in replies:
                reply.metadata.__dict__["_message_id"] = reply.object_id if tree is None else tree.object_id
            heads = [message_to_proto(Message(content=RecordDict(), metadata=each.metadata)) for each in replies]
            trees = [tree or get_object_tree(reply) for reply in replies]
        request = PushMessagesRequest(node=node or self.node, messages_list=heads, message_object_trees=trees)
        return self.client.PushMessages(request)

    def upload(self, reply: Message, answer: Any) -> None:
        objects = get_all_nested_objects(reply)
        for object_id in answer.objects_to_push:
            self.push_object(object_id, objects[object_id].deflate(), answer.session_id)

    def push_object(self, object_id: str, content: bytes, session: str) -> None:
        self.client.PushObject(
            PushObjectRequest(
                node=self.node,
                run_id=self.run_id,
                object_id=object_id,
                object_content=content,
                session_id=session,
            )
        )


def refused(call: Callable[[], object], *statuses: int) -> None:
    with pytest.raises(httpx.HTTPStatusError) as caught:
        call()
    assert caught.value.response.status_code in (statuses or (403,))
    assert caught.value.response.content == b""  # and nothing is quoted


def sent(loopback: Any, payload: bytes = b"model", sites: tuple[str, ...] = ("hospital_a", "hospital_b")) -> list[str]:
    """One message to each site, as the exchange pushes them."""
    pieces = cut(payload)
    made = [
        loopback.grid.create_message(to_content(message(payload), pieces), "train", loopback.nodes[site], "1", 300.0)
        for site in sites
    ]
    return list(loopback.grid.push_messages(made))


def test_one_site_cannot_make_another_be_refused_nor_answer_for_it(loopback: Any) -> None:
    honest, evil = Hostile(loopback, "hospital_b"), Hostile(loopback, "hospital_a")
    ids = sent(loopback)
    mine, _ = evil.pull()
    node_b = loopback.nodes["hospital_b"]
    for lies in (
        {"src_node_id": node_b},
        {"src_node_id": node_b, "reply_to_message_id": ids[1]},
        {"reply_to_message_id": ids[1]},
        {"reply_to_message_id": ""},  # an instruction instead of an answer: Flower returned it with every pull
        {"reply_to_message_id": "", "dst_node_id": 1},
        {"reply_to_message_id": "", "dst_node_id": node_b},  # or delivered it to another site
        {"dst_node_id": node_b},
        {"run_id": 4711},
        {"ttl": 1e9},
        {"message_type": "query"},
    ):
        refused(lambda lies=lies: evil.push(evil.reply(mine, **lies)))  # type: ignore[misc]
    refused(lambda: evil.push(evil.reply(mine), node=Node(node_id=node_b)))
    refused(lambda: evil.push(evil.reply(mine), evil.reply(mine, b"y")), 422)
    refused(lambda: evil.push(), 422)
    assert loopback.grid.pull_messages(ids) == []

    theirs, _ = honest.pull()
    reply = honest.reply(theirs)
    honest.upload(reply, honest.push(reply))
    (got,) = loopback.grid.pull_messages([ids[1]])
    assert got.metadata.src_node_id == node_b
    assert got.content["parcel"]["body"] == b"x"


def test_one_site_cannot_take_or_delete_what_another_was_sent(loopback: Any) -> None:
    honest, evil = Hostile(loopback, "hospital_b"), Hostile(loopback, "hospital_a")
    ids = sent(loopback)
    evil.pull()
    run_id = loopback.grid.run.run_id
    refused(lambda: evil.client.PullObject(PullObjectRequest(node=evil.node, run_id=run_id, object_id=ids[1])))
    refused(lambda: evil.client.PullObject(PullObjectRequest(node=honest.node, run_id=run_id, object_id=ids[1])))
    confirm = ConfirmMessageReceivedRequest(node=evil.node, run_id=run_id, message_object_id=ids[1])
    refused(lambda: evil.client.ConfirmMessageReceived(confirm))
    _, tree = honest.pull()
    whole = PullObjectRequest(node=honest.node, run_id=run_id, object_id=tree.object_id)
    assert honest.client.PullObject(whole).object_available


def test_an_object_id_that_was_claimed_does_not_stop_the_coordinator(loopback: Any) -> None:
    """A site knows the next model sometimes; Flower would take the first tree that names an object for the true one."""
    evil = Hostile(loopback, "hospital_a")
    payload = b"the model that everybody knows" * 1000
    sent(loopback, payload, ("hospital_a",))
    mine, tree = evil.pull()
    known = [tree.object_id]
    waiting = list(tree.children)
    while waiting:
        known.append(waiting[-1].object_id)
        waiting.extend(waiting.pop().children)
    assert len(known) > 4
    for object_id in known:  # what the coordinator announced
        claim = ObjectTree(object_id="a" * 64, children=[ObjectTree(object_id=object_id)])
        refused(lambda claim=claim: evil.push(evil.reply(mine), tree=claim), 409)  # type: ignore[misc]
    guess = get_object_tree(to_content(message(payload), cut(payload)))  # and what it might announce next
    claim = ObjectTree(object_id="b" * 64, children=[ObjectTree(object_id=guess.children[1].object_id)])
    evil.push(evil.reply(mine), tree=claim)
    for _ in range(3):
        assert all(sent(loopback, payload, ("hospital_a",)))


def test_a_site_leaves_no_more_bytes_than_its_quota(loopback: Any, wait_for: Callable[..., None]) -> None:
    evil = Hostile(loopback, "hospital_a")
    database = Path(loopback.folder / "superlink" / "state.sqlite")

    def size() -> int:
        return sum(path.stat().st_size for path in database.parent.glob("state.sqlite*"))

    sent(loopback, sites=("hospital_a",))
    mine, _ = evil.pull()
    before = size()
    first = evil.reply(mine, bytes(4 << 20))
    evil.upload(first, evil.push(first))
    for number in range(1, 100):
        again = evil.reply(mine, bytes([number]) * (4 << 20))
        refused(lambda again=again: evil.push(again), 409)  # type: ignore[misc]
    assert size() - before < 32 << 20
    stray = b"ArrayChunk  4\x00wxyz"
    refused(lambda: evil.push_object("0" * 64, stray, "none"))


def flood(loopback: Any, begin: bytes, more: bytes) -> int:
    """How many bytes of one request's head are taken before the line is cut."""
    host, port = loopback.address.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as plain:
        line = loopback.tls("hospital_a").wrap_socket(plain, server_hostname="localhost")
        sent_bytes = 0
        with contextlib.suppress(OSError):
            line.sendall(begin)
            while sent_bytes < 64 << 20:
                line.sendall(more)
                sent_bytes += len(more)
    return sent_bytes


def test_calls_with_other_keys_headers_or_lengths_are_refused_without_a_word_in_the_log(loopback: Any) -> None:
    verify, url = loopback.tls("hospital_a"), f"https://{loopback.address}/v1/fleet/pull-messages"
    before = loopback.log.stat().st_size
    with httpx.Client(verify=verify) as client:
        for headers, status in (
            ({"content-type": "x" * 8000}, 415),
            ({"content-type": "application/protobuf", "content-encoding": "gzip"}, 415),
            ({"content-type": "application/protobuf"}, 401),
            ({"content-type": "application/protobuf", "flwr-public-key": "AAAA", "flwr-signature": "AAAA"}, 401),
        ):
            answer = client.post(url, content=b"", headers=headers)
            assert (answer.status_code, answer.content) == (status, b"")
        for headers in ({"x": "y" * (17 << 10)}, {f"x-{n}": "y" * 100 for n in range(200)}):
            assert client.post(url, content=b"", headers=headers).status_code == 431
    assert flood(loopback, b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: ", b"a" * (1 << 16)) < 4 << 20
    assert flood(loopback, b"GET /", b"a" * (1 << 16)) < 4 << 20
    assert flood(loopback, b"GET /health HTTP/1.1\r\n", b"x-a: b\r\n" * 4096) < 4 << 20
    assert loopback.log.stat().st_size - before < 4096
    assert b"xxxx" not in loopback.log.read_bytes()
