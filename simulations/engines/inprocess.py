# SPDX-License-Identifier: Apache-2.0
"""A Flower Grid in this process: the same apps as over the network, without one.

A message is answered when its reply is pulled, one at a time, so that a federation of any size holds one reply in
memory and gives the same bytes in every run. Contents go through Flower's wire format, so that no site sees an object
of another's or of the coordinator's. Ids and times of messages are counted, not read from a clock.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read when flwr is imported: nothing here calls home
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"

from flwr.app import Context, Message, Metadata, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from privacy.base.errors import SettingsError
from privacy.protocol.flower import deflate, inflate

COORDINATOR_NODE = 1
_RUN_ID = 1


class LocalGrid(Grid):
    """`app` answers for every node of `node_configs` (node id -> Flower node_config, such as `{"site": "hospital_a"}`).

    `wire=False` leaves out the way through the wire format; contents are then shared between the sites.
    """

    def __init__(self, app: ClientApp, node_configs: Mapping[int, Mapping[str, object]], *, wire: bool = True) -> None:
        if COORDINATOR_NODE in node_configs:
            raise SettingsError(f"node id {COORDINATOR_NODE} is the coordinator's", next_step="count nodes from 2")
        self._app = app
        self._contexts = {
            node: Context(run_id=_RUN_ID, node_id=node, node_config=dict(config), state=RecordDict(), run_config={})
            for node, config in sorted(node_configs.items())
        }
        self._wire = wire
        self._count = 0
        self._waiting: dict[str, Message] = {}
        self._run: object = None

    def set_run(self, run: object) -> None:
        self._run = run

    @property
    def run(self) -> object:
        return self._run

    def get_node_ids(self) -> list[int]:
        return list(self._contexts)

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        return Message(content=content, metadata=self._metadata(message_type, COORDINATOR_NODE, dst_node_id, group_id))

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Keep the messages until their replies are pulled. An unknown node is an error at once."""
        ids = []
        for message in messages:
            if message.metadata.dst_node_id not in self._contexts:
                raise SettingsError(f"there is no node {message.metadata.dst_node_id}", next_step="check the site map")
            ids.append(message.metadata.message_id)
            self._waiting[ids[-1]] = message
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        return list(self._answers(message_ids))

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterator[Message]:
        """Replies in the order of `messages`, each made when it is asked for."""
        return self._answers(self.push_messages(messages))

    def _answers(self, message_ids: Iterable[str]) -> Iterator[Message]:
        for message_id in message_ids:
            if (message := self._waiting.pop(message_id, None)) is not None:
                yield self._answer(message)

    def _answer(self, message: Message) -> Message:
        sent = message.metadata
        received = Message(content=self._carried(message.content), metadata=sent)
        reply = self._app(received, self._contexts[sent.dst_node_id])
        back = self._metadata(sent.message_type, sent.dst_node_id, sent.src_node_id, sent.group_id, sent.message_id)
        if reply.has_error():
            return Message(error=reply.error, metadata=back)
        return Message(content=self._carried(reply.content), metadata=back)

    def _carried(self, content: RecordDict) -> RecordDict:
        if self._wire:
            return inflate(*deflate(content))
        return RecordDict({name: record.copy() for name, record in content.items()})

    def _metadata(self, message_type: str, src: int, dst: int, group_id: str, reply_to: str = "") -> Metadata:
        self._count += 1
        return Metadata(
            run_id=_RUN_ID,
            message_id=f"{self._count:016d}",
            src_node_id=src,
            dst_node_id=dst,
            reply_to_message_id=reply_to,
            group_id=group_id,
            created_at=float(self._count),
            ttl=1e9,
            message_type=message_type,
        )
