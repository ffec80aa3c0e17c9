# SPDX-License-Identifier: Apache-2.0
"""Flower's Grid as the coordinator speaks it: strict about what it pulls, patient with a SuperLink that is away.

One of the files that use Flower's internal modules, pinned to flwr 1.41.0 (coordinator/wire/superlink.py has the list).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read when flwr is imported: nothing here calls home
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"

from flwr.app import DEFAULT_TTL, Error, Message, Metadata, RecordDict
from flwr.common.constant import SUPERLINK_NODE_ID, ErrorCode, SubStatus
from flwr.common.serde import message_to_proto, run_from_proto
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest, PullObjectRequest, PushObjectRequest
from flwr.proto.node_pb2 import Node, NodeInfo
from flwr.proto.runtime_pb2 import (
    GetNodesRequest,
    PullAppMessagesRequest,
    PullTaskInputRequest,
    PushAppMessagesRequest,
    PushTaskOutputRequest,
    SendTaskHeartbeatRequest,
)
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.interceptors import RuntimeTokenHttpInterceptor, RuntimeVersionHttpInterceptor
from flwr.supercore.runtime import RuntimeHttpClient

from coordinator.wire.loopback import LocalEntry
from privacy.base.errors import ContractError, Unreachable
from privacy.protocol.flower import in_two_lanes, inflate_message, object_limit

HEARTBEAT_SECONDS: Final = 10.0
GIVE_UP_SECONDS: Final = 30.0
"""How long before a message expires its reply is no longer waited for, so that other replies stay valid."""


class _NotUploaded(Unreachable):
    """A site announced a reply and was gone before all of it was there."""


class FlowerGrid(Grid):
    """Flower's Grid over the SuperLink on loopback: strict about what it pulls, two objects at a time either way.

    Where flwr's own HttpGrid interrupts the process on 401, returns [] on 413 and holds everything twice, this one
    raises (Unreachable, ContractError) and shares memory with the payload. `token` is that of the run's server task.
    """

    def __init__(self, entry: LocalEntry, token: str, max_payload_bytes: int) -> None:
        version = RuntimeVersionHttpInterceptor(component_name="flwr-serverapp")
        self._client = entry.client(RuntimeHttpClient, [version, RuntimeTokenHttpInterceptor(token=token)])
        self._node = Node(node_id=SUPERLINK_NODE_ID)
        self._object_limit = object_limit(max_payload_bytes)
        self._expiry: dict[str, float] = {}
        self._sent: dict[str, int] = {}
        task = self._client.PullTaskInput(PullTaskInputRequest())
        self._task_id: int = task.task_id
        self._run = run_from_proto(task.run)
        self._closed = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def set_run(self, run: Any) -> None:
        self._run = run

    @property
    def run(self) -> Any:
        return self._run

    def get_nodes(self) -> Sequence[NodeInfo]:
        return list(self._client.GetNodes(GetNodesRequest()).nodes)

    def get_node_ids(self) -> list[int]:
        return [node.node_id for node in self.get_nodes()]

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        metadata = self._metadata(message_type, dst_node_id, group_id, DEFAULT_TTL if ttl is None else ttl)
        metadata.delivered_at = ""
        return Message(content=content, metadata=metadata)

    def _metadata(self, message_type: str, dst_node_id: int, group_id: str, ttl: float, reply_to: str = "") -> Metadata:
        return Metadata(
            run_id=self._run.run_id,
            message_id="",
            src_node_id=SUPERLINK_NODE_ID,
            dst_node_id=dst_node_id,
            reply_to_message_id=reply_to,
            group_id=group_id,
            created_at=time.time(),
            ttl=ttl,
            message_type=message_type,
            src_task_id=self._task_id,
        )

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """One announcement for all, then every distinct object once. "" stands for a message that was not taken."""
        messages = list(messages)
        with no_object_id_recompute():
            for message in messages:
                message.metadata.__dict__["_message_id"] = message.object_id
            announced = PushAppMessagesRequest(
                messages_list=[message_to_proto(Message(content=RecordDict(), metadata=m.metadata)) for m in messages],
                message_object_trees=[get_object_tree(message) for message in messages],
            )
            objects = {key: value for message in messages for key, value in get_all_nested_objects(message).items()}
            while True:
                answer = self._client.PushMessages(announced)
                if self._push_objects(objects, list(answer.objects_to_push), answer.session_id):
                    break
        now = time.monotonic()
        for message_id, message in zip(answer.message_ids, messages, strict=True):
            self._expiry[message_id] = now + message.metadata.ttl - GIVE_UP_SECONDS
            self._sent[message_id] = message.metadata.dst_node_id
        return list(answer.message_ids)

    def _push_objects(self, objects: Mapping[str, Any], wanted: Sequence[str], session: str) -> bool:
        """False: the session ended in between (a restart, a call whose answer was lost), so announce again."""
        stored: list[bool] = []

        def push(object_id: str) -> None:
            content = objects[object_id].deflate()
            request = PushObjectRequest(
                node=self._node,
                run_id=self._run.run_id,
                object_id=object_id,
                object_content=content,
                session_id=session,
            )
            stored.append(self._client.PushObject(request).stored)

        in_two_lanes(push, wanted)
        return all(stored)

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """The replies that are there. One that is still being uploaded is waited for until its message expires.

        What answers none of these messages, or comes from another node than it was sent to, is dropped (the
        SuperLink's own errors come from itself). Raises ContractError for a reply with more objects than its payload
        may have, or of another form.
        """
        wanted = set(message_ids)
        answer = self._client.PullMessages(PullAppMessagesRequest(message_ids=sorted(wanted)))
        return [
            self._pull(head.metadata, tree)
            for head, tree in zip(answer.messages_list, answer.message_object_trees, strict=True)
            if head.metadata.reply_to_message_id in wanted
            and head.metadata.src_node_id in (SUPERLINK_NODE_ID, self._sent.get(head.metadata.reply_to_message_id))
        ]

    def _pull(self, head: Any, tree: Any) -> Message:
        object_ids = list(dict.fromkeys(node.object_id for node in iterate_object_tree(tree)))
        objects: dict[str, bytes] = {}
        end = self._expiry.get(head.reply_to_message_id, 0.0)
        try:
            if len(object_ids) > self._object_limit:
                raise ContractError("a reply has more objects than its payload may have")
            in_two_lanes(lambda object_id: objects.update({object_id: self._pull_object(object_id, end)}), object_ids)
        except _NotUploaded:
            lost = self._metadata(head.message_type, SUPERLINK_NODE_ID, head.group_id, 1.0, head.reply_to_message_id)
            lost.__dict__["_src_node_id"] = head.src_node_id
            return Message(error=Error(ErrorCode.MESSAGE_UNAVAILABLE), metadata=lost)
        finally:
            request = ConfirmMessageReceivedRequest(
                node=self._node, run_id=self._run.run_id, message_object_id=head.message_id
            )
            self._client.ConfirmMessageReceived(request)
        return inflate_message(head.message_id, objects)

    def _pull_object(self, object_id: str, end: float) -> bytes:
        request = PullObjectRequest(node=self._node, run_id=self._run.run_id, object_id=object_id)
        while True:
            answer = self._client.PullObject(request)
            if answer.object_available:
                return bytes(answer.object_content)
            if not answer.object_found or time.monotonic() > end:
                raise _NotUploaded("a reply was not uploaded to its end", next_step="none: it is asked for again")
            time.sleep(0.2)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterator[Message]:
        """Not for this grid: coordinator.wire.message_exchange keeps order and deadline."""
        raise NotImplementedError("use coordinator.wire.message_exchange.MessageExchange")

    def close(self) -> None:
        """Tell Flower that the run is done."""
        self._closed.set()
        with contextlib.suppress(Unreachable):
            self._client.PushTaskOutput(PushTaskOutputRequest(sub_status=SubStatus.COMPLETED))
        self._client.close()

    def _beat(self) -> None:
        while not self._closed.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(Unreachable, RuntimeError):  # the next real call says what is wrong
                self._client.SendTaskHeartbeat(SendTaskHeartbeatRequest())
