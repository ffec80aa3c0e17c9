# SPDX-License-Identifier: Apache-2.0
"""What a call of a site says, read before Flower sees it: who it claims to be, and what it would have done.

Flower 1.41 believes the inside of a call: whose message it is, which message it answers, whose object it takes. Here
each of these is held against the site of the TLS certificate and against what that site was asked
(coordinator.wire.slots). Verdicts are HTTP statuses.

One of the files that use Flower's internal modules, pinned to flwr 1.41.0 (coordinator/wire/superlink.py has the list).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read when flwr is imported: nothing here calls home
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key
from flwr.common.constant import SYSTEM_TIME_TOLERANCE, TIMESTAMP_HEADER, TIMESTAMP_TOLERANCE
from flwr.proto.fleet_pb2 import ActivateNodeRequest, DeactivateNodeRequest, PullMessagesRequest, PushMessagesRequest
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest, PullObjectRequest, PushObjectRequest
from flwr.proto.runtime_pb2 import PushAppMessagesRequest
from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER, FLEET_HTTP_SIGNATURE_HEADER
from flwr.supercore.date import now as flower_now
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from coordinator.wire.slots import NONSENSE, NOT_ASKED, PASS, WITH_PAYLOAD, Announced, Children, PushedMessage, Slots
from privacy.base.identifiers import Role, SiteId

UNSIGNED: Final = 401
FLEET: Final = "/v1/fleet/"
RUNTIME_PUSH: Final = "/v1/runtime/push-messages"
HEARTBEATS: Final = (10.0, 60.0)
"""Seconds between which a site may choose its heartbeat: its place is kept for twice that after it vanished."""
_MAX_SIGNATURE_CHARACTERS: Final = 256


class Fleet:
    """The sites as the door knows them: their node keys from the start, their node ids when Flower gave them."""

    def __init__(
        self, node_keys: Mapping[SiteId, str], slots: Slots, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.slots = slots
        self.nodes: dict[SiteId, int] = dict(slots.nodes)
        self._keys = {site: _Key(line) for site, line in node_keys.items()}
        self._clock = clock
        self._calls: dict[str, Callable[[SiteId, Role, int, bytes], int]] = {
            "activate-node": self._activate,
            "deactivate-node": _of_own_node(DeactivateNodeRequest, lambda request: request.node_id),
            "send-node-heartbeat": self._heartbeat,
            "pull-messages": _of_own_node(PullMessagesRequest, lambda request: request.node.node_id),
            "pull-object": self._pull_object,
            "confirm-message-received": self._confirm,
            "push-messages": self._push_messages,
            "push-object": self._push_object,
        }

    def signed(self, site: SiteId, headers: Mapping[bytes, bytes]) -> int:
        """Whether the call bears Flower's signature of now, by the node key that this site was admitted with."""
        key = self._keys.get(site)
        if key is None:
            return NOT_ASKED
        shown, signature, stamp = (
            headers.get(name.encode(), b"")
            for name in (FLEET_HTTP_PUBLIC_KEY_HEADER, FLEET_HTTP_SIGNATURE_HEADER, TIMESTAMP_HEADER)
        )
        same = hmac.compare_digest(shown, key.header)
        return (
            PASS if same and len(signature) <= _MAX_SIGNATURE_CHARACTERS and key.holds(stamp, signature) else UNSIGNED
        )

    def may(self, site: SiteId, role: Role, path: str, body: bytes) -> int:
        """Whether this call of this site may be passed on to Flower."""
        call = self._calls.get(path.removeprefix(FLEET))
        node = self.nodes.get(site)
        if call is None or node is None:
            return NOT_ASKED
        try:
            return call(site, role, node, body)
        except (DecodeError, ValueError, RecursionError):
            return NONSENSE

    def know(self, nodes: Mapping[SiteId, int]) -> None:
        """Which node Flower gave each site."""
        self.nodes.update(nodes)
        self.slots.know(nodes)

    def heard(self, path: str, body: bytes) -> None:
        """A call of the coordinator: each message that it pushes opens a slot for its site."""
        if path != RUNTIME_PUSH:
            return
        request = PushAppMessagesRequest.FromString(body)
        for message, tree in zip(request.messages_list, request.message_object_trees, strict=True):
            head = message.metadata
            pushed = PushedMessage(
                message_id=head.message_id,
                run_id=head.run_id,
                node=head.dst_node_id,
                kind=head.message_type,
                group=head.group_id,
                expires=head.created_at + head.ttl,
                objects=tuple(_children_of(tree, None)),
            )
            self.slots.ask(pushed, now=self._clock())

    def _activate(self, site: SiteId, role: Role, node: int, body: bytes) -> int:
        request = ActivateNodeRequest.FromString(body)
        return _verdict(request.public_key == self._keys[site].pem and _beats(request))

    def _heartbeat(self, site: SiteId, role: Role, node: int, body: bytes) -> int:
        request = SendNodeHeartbeatRequest.FromString(body)
        return _verdict(request.node.node_id == node and _beats(request))

    def _pull_object(self, site: SiteId, role: Role, node: int, body: bytes) -> int:
        request = PullObjectRequest.FromString(body)
        if request.node.node_id != node:
            return NOT_ASKED
        return self.slots.may_pull(node, request.run_id, request.object_id)

    def _confirm(self, site: SiteId, role: Role, node: int, body: bytes) -> int:
        request = ConfirmMessageReceivedRequest.FromString(body)
        if request.node.node_id != node:
            return NOT_ASKED
        return self.slots.may_confirm(node, request.run_id, request.message_object_id)

    def _push_messages(self, site: SiteId, role: Role, node: int, body: bytes) -> int:
        request = PushMessagesRequest.FromString(body)
        if request.node.node_id != node:
            return NOT_ASKED
        if (len(request.messages_list), len(request.message_object_trees)) != (1, 1) or request.clientapp_runtime_list:
            return NONSENSE
        message, (tree,) = request.messages_list[0], request.message_object_trees
        if message.content.ByteSize() > 0:  # an announcement is empty: what is said comes as objects
            return NONSENSE
        head = message.metadata
        if role == "evaluator" and head.message_type == WITH_PAYLOAD:
            return NOT_ASKED
        reply = Announced(
            message_id=head.message_id,
            run_id=head.run_id,
            source=head.src_node_id,
            target=head.dst_node_id,
            reply_to=head.reply_to_message_id,
            kind=head.message_type,
            expires=head.created_at + head.ttl,
            children=_children_of(tree, self.slots.limit(head.message_type)),
        )
        return self.slots.announce(node, reply, now=self._clock())

    def _push_object(self, site: SiteId, role: Role, node: int, body: bytes) -> int:
        request = PushObjectRequest.FromString(body)
        if request.node.node_id != node:
            return NOT_ASKED
        return self.slots.may_push(node, request.run_id, request.object_id, request.object_content, now=self._clock())


class _Key:
    """A site's node key in the forms in which Flower's clients show it."""

    def __init__(self, line: str) -> None:
        key = load_ssh_public_key(line.encode())
        assert isinstance(key, ec.EllipticCurvePublicKey)  # privacy.protocol.enrolment.NodeKeyLine
        self._key = key
        self.pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.header = base64.b64encode(self.pem)

    def holds(self, stamp: bytes, signature: bytes) -> bool:
        try:
            age = (flower_now() - datetime.fromisoformat(stamp.decode("ascii"))).total_seconds()
            if not -SYSTEM_TIME_TOLERANCE < age < TIMESTAMP_TOLERANCE + SYSTEM_TIME_TOLERANCE:
                return False
            self._key.verify(base64.b64decode(signature, validate=True), stamp, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError, TypeError, binascii.Error):
            return False
        return True


def _of_own_node(kind: Any, node_of: Callable[[Any], int]) -> Callable[[SiteId, Role, int, bytes], int]:
    return lambda site, role, node, body: _verdict(node_of(kind.FromString(body)) == node)


def _beats(request: Any) -> bool:
    return bool(HEARTBEATS[0] <= request.heartbeat_interval <= HEARTBEATS[1])


def _verdict(true: bool) -> int:
    return PASS if true else NOT_ASKED


def _children_of(tree: Any, limit: int | None) -> Children:
    """The tree as a mapping, its root first. Raises ValueError beyond `limit` nodes, or where it contradicts itself."""
    tree_of: dict[str, tuple[str, ...]] = {}
    waiting, count = [tree], 0
    while waiting:
        node = waiting.pop()
        count += 1
        below = tuple(child.object_id for child in node.children)
        if (limit is not None and count > 2 * limit) or tree_of.setdefault(node.object_id, below) != below:
            raise ValueError("no tree of a parcel")
        waiting.extend(node.children)
    return tree_of
