# SPDX-License-Identifier: Apache-2.0
"""A site's line to the coordinator's SuperLink: pull a message, let the site's own app answer, push the reply.

No SuperNode process, and no Flower app is ever downloaded, installed or imported: what a coordinator sends is data.
Only the given CA is trusted, and the site shows its own certificate. The line comes back by itself after any
interruption, a stranger at the coordinator's address included; after one that may have lost a message the site leaves
and comes again, which tells the coordinator to send it once more.

One of the files that use Flower's internal modules, pinned to flwr 1.41.0 (coordinator/wire/superlink.py has the list).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read when flwr is imported: nothing here calls home
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    DeactivateNodeRequest,
    PullMessagesRequest,
    PushMessagesRequest,
)
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest, PullObjectRequest, PushObjectRequest
from flwr.proto.node_pb2 import Node
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from client.wire.app import CLIENT_APP_RAISED, MAX_MODEL_BYTES, UNANSWERED
from client.wire.credentials import Credentials
from client.wire.line import Nonsense, bound
from privacy.base.errors import CollabError, ContractError, SettingsError, Unreachable
from privacy.base.files import read_secret
from privacy.base.identifiers import SiteId
from privacy.protocol.flower import envelope_of, in_two_lanes, inflate_message, object_limit
from privacy.protocol.messages import Envelope
from privacy.protocol.retry import Foreign, NotLetIn, RequestRejected, RetryPolicy

HEARTBEAT_SECONDS: Final = 10.0
"""Flower's least. A killed site is taken back after twice that."""
RETRY_SECONDS: Final = 60.0
SHORTEST_POLL: Final = 0.1
LONGEST_POLL: Final = 2.0
_LONGEST_PAUSE: Final = 10.0
_UPLOAD_ATTEMPTS: Final = 5
CERTIFICATE_PATH: Final = "/v1/collab/certificate"
RENEWAL_SECONDS: Final = 3600.0
"""How often the site asks for a newer certificate, once its own has less than half its life left."""
NOT_LET_IN: Final = 403
TOO_LATE: Final = 410
"""What the door says to an answer that nobody waits for any more, and to every call once the run is over."""


@dataclass(frozen=True)
class Endpoint:
    """The coordinator's SuperLink as a site reaches it: where, as whom, and how much it takes at once.

    `address` is "host:port". `node_key` is the file of an OpenSSH P-384 private key whose public key the coordinator
    knows.
    """

    address: str
    credentials: Credentials
    node_key: Path
    site: SiteId
    max_payload_bytes: int = MAX_MODEL_BYTES


def serve(
    app: ClientApp,
    endpoint: Endpoint,
    *,
    stop: threading.Event,
    on_event: Callable[[str], None],
    on_sent: Callable[[Envelope, int], None] = lambda envelope, sent_bytes: None,
) -> None:
    """Answer the SuperLink at `endpoint` with `app` until `stop` is set; then leave cleanly.

    `on_event` gets one line for each change of state, without any content, in the thread of this call; `on_sent` the
    envelope of each message of which every byte was taken by the other side, and how many bytes those are. Raises
    SettingsError for a key or CA that is none; whatever happens on the network, it waits and tries again.
    """
    line = _Line(app, endpoint, stop, on_event, on_sent)
    threading.Thread(target=line.beat, daemon=True).start()
    pause = SHORTEST_POLL
    try:
        while not stop.is_set():
            try:
                pause = SHORTEST_POLL if line.work() else min(2 * pause, LONGEST_POLL)
                stop.wait(pause)
            except SettingsError:
                raise
            except Exception as error:
                line.reset(error)
                stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
    finally:
        line.leave()


class _Line:
    """One site's connection: its node id while it has one, and what it does with a message."""

    def __init__(
        self,
        app: ClientApp,
        endpoint: Endpoint,
        stop: threading.Event,
        on_event: Callable[[str], None],
        on_sent: Callable[[Envelope, int], None],
    ) -> None:
        key = _load_key(endpoint.node_key)
        self._app, self._site, self._stop, self._tell, self._sent = app, endpoint.site, stop, on_event, on_sent
        self._address, self._credentials = endpoint.address, endpoint.credentials
        self._public_key = public_key_to_bytes(key.public_key())
        self._object_limit = object_limit(endpoint.max_payload_bytes)
        self._node: Node | None = None
        self._contexts: dict[int, Context] = {}
        self._said = ""
        self._over = False
        self._asked_for_certificate = float("-inf")
        self._quick = _client(endpoint, key, RetryPolicy(0.0, stop))
        self._patient = _client(endpoint, key, RetryPolicy(RETRY_SECONDS, stop))

    def work(self) -> bool:
        """Be known, take one message, answer it; False: there was none. Raises when any of it has to be redone."""
        if self._node is None:
            self._come()
        self._renew()
        node = self._node
        answer = self._quick.PullMessages(PullMessagesRequest(node=node))
        if not answer.messages_list:
            return False
        head = message_from_proto(answer.messages_list[0])
        self._say(f"round {head.metadata.group_id}: {head.metadata.message_type} received")
        reply = self._answer(head, self._pull(head.metadata, answer.message_object_trees[0]))
        try:
            self._push(reply)
        except RequestRejected as error:
            if error.status != TOO_LATE:
                raise
            self._say(f"round {head.metadata.group_id}: the coordinator does not wait for this answer any more")
            return True
        if not reply.has_error():
            self._sent(*envelope_of(reply.content))
        self._say(f"round {head.metadata.group_id}: {'failed' if reply.has_error() else 'answered'}")
        return True

    def reset(self, error: Exception) -> None:
        """After `error`: leave, so that what was lost is sent again when we are back."""
        if isinstance(error, RequestRejected):
            self._over = self._over or error.status == TOO_LATE
            self._say(self._rejected(error.status))
        elif isinstance(error, NotLetIn):
            self._say(self._not_let_in())
        elif isinstance(error, Foreign):
            self._say("somebody else answers at the coordinator's address (its certificate does not hold): waiting")
        elif isinstance(error, Nonsense) or not isinstance(error, Unreachable):
            self._say(f"the coordinator's answer makes no sense ({type(error).__name__}): waiting")
        elif not self._over:  # who said that it ends is not away
            self._say("the coordinator is away: waiting")
        self.leave()

    def _rejected(self, status: int) -> str:
        if status == TOO_LATE:
            return "the coordinator's run has ended: waiting for the next one"
        if status == NOT_LET_IN:
            return self._not_let_in()
        return "the coordinator does not take this site now, or still takes it for connected: waiting"

    def _not_let_in(self) -> str:
        if self._credentials.expired():
            day = f"{self._credentials.holder.valid_until:%Y-%m-%d}"
            return f"this site's certificate ended on {day}: ask the coordinator for a new start kit; waiting"
        return "the coordinator does not let this site in (not in this run, or its certificate was revoked): waiting"

    def _renew(self) -> None:
        """Fetch a newer certificate over the one that still holds. What goes wrong is tried again in an hour."""
        now = time.monotonic()
        if not self._credentials.due() or now - self._asked_for_certificate < RENEWAL_SECONDS:
            return
        self._asked_for_certificate = now
        with contextlib.suppress(CollabError, httpx.HTTPError, UnicodeDecodeError):
            answer = self._quick._client.get(f"https://{self._address}{CERTIFICATE_PATH}")
            if answer.status_code == 200 and self._credentials.take(answer.content.decode("ascii")):
                self._say(f"the site's certificate was renewed until {self._credentials.holder.valid_until:%Y-%m-%d}")

    def leave(self) -> None:
        """Tell the SuperLink that this site is gone, if it can be told."""
        node, self._node = self._node, None
        if node is not None:
            with contextlib.suppress(CollabError):
                self._quick.DeactivateNode(DeactivateNodeRequest(node_id=node.node_id))

    def beat(self) -> None:
        """Keep the site's place while it works: it goes after two heartbeats without one."""
        while not self._stop.wait(HEARTBEAT_SECONDS / 2):
            if (node := self._node) is not None:
                with contextlib.suppress(CollabError):
                    self._quick.SendNodeHeartbeat(
                        SendNodeHeartbeatRequest(node=node, heartbeat_interval=HEARTBEAT_SECONDS)
                    )

    def _come(self) -> None:
        request = ActivateNodeRequest(public_key=self._public_key, heartbeat_interval=HEARTBEAT_SECONDS)
        self._node = Node(node_id=self._quick.ActivateNode(request).node_id)
        self._over = False
        self._say("connected")

    def _pull(self, head: Any, tree: Any) -> Message | None:
        """The whole message; None when it is no message of ours. Then it is confirmed and answered with an error."""
        object_ids = list(dict.fromkeys(node.object_id for node in iterate_object_tree(tree)))
        objects: dict[str, bytes] = {}

        def pull(object_id: str) -> None:
            answer = self._patient.PullObject(
                PullObjectRequest(node=self._node, run_id=head.run_id, object_id=object_id)
            )
            end = time.monotonic() + RETRY_SECONDS
            while not answer.object_available:
                if not answer.object_found or time.monotonic() > end or self._stop.wait(0.2):
                    raise Unreachable("a message is not whole", next_step="none: it is sent again")
                answer = self._patient.PullObject(
                    PullObjectRequest(node=self._node, run_id=head.run_id, object_id=object_id)
                )
            objects[object_id] = answer.object_content

        try:
            if len(object_ids) > self._object_limit:
                raise ContractError("a message has more objects than a model may have")
            in_two_lanes(pull, object_ids)
            message = inflate_message(head.message_id, objects)
        except ContractError:
            message = None
        self._patient.ConfirmMessageReceived(
            ConfirmMessageReceivedRequest(node=self._node, run_id=head.run_id, message_object_id=head.message_id)
        )
        return message

    def _answer(self, head: Message, message: Message | None) -> Message:
        """The app's reply. No exception gets out, and no text of one."""
        if message is None:
            return Message(Error(CLIENT_APP_RAISED, UNANSWERED), reply_to=head)
        run_id = message.metadata.run_id
        assert self._node is not None
        context = Context(
            run_id=run_id,
            node_id=self._node.node_id,
            node_config={"site": self._site},
            state=RecordDict(),
            run_config={},
        )
        try:
            return self._app(message, context)
        except Exception:
            return Message(Error(CLIENT_APP_RAISED, UNANSWERED), reply_to=message)

    def _push(self, reply: Message) -> None:
        """Announce the reply and upload what the SuperLink lacks of it; announce again what an interruption lost."""
        with no_object_id_recompute():
            reply.metadata.__dict__["_message_id"] = reply.object_id
            head = reply if reply.has_error() else Message(content=RecordDict(), metadata=reply.metadata)
            announced = PushMessagesRequest(
                node=self._node, messages_list=[message_to_proto(head)], message_object_trees=[get_object_tree(reply)]
            )
            objects: Mapping[str, Any] = get_all_nested_objects(reply)
        for _ in range(_UPLOAD_ATTEMPTS):
            answer = self._patient.PushMessages(announced)
            stored: list[bool] = []

            def push(object_id: str, session: str = answer.session_id, done: list[bool] = stored) -> None:
                request = PushObjectRequest(
                    node=self._node,
                    run_id=reply.metadata.run_id,
                    object_id=object_id,
                    object_content=objects[object_id].deflate(),
                    session_id=session,
                )
                done.append(self._patient.PushObject(request).stored)

            in_two_lanes(push, list(answer.objects_to_push))
            if all(stored):
                return
        raise Unreachable("a reply could not be uploaded", next_step="none: it is asked for again")

    def _say(self, event: str) -> None:
        if event != self._said:
            self._said = event
            self._tell(event)


def _client(endpoint: Endpoint, key: ec.EllipticCurvePrivateKey, retry: RetryPolicy) -> FleetHttpClient:
    identity, context = NodeAuthHttpInterceptor(key, key.public_key()), endpoint.credentials.context()
    client = FleetHttpClient(
        f"https://{endpoint.address}", interceptors=[identity], verify=context, retry_invoker=retry
    )
    client._client.follow_redirects = False  # else a coordinator could have a site call hosts of its own network
    bound(client._client, endpoint.max_payload_bytes)
    return client


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_ssh_private_key(read_secret(path), password=None)
    except ValueError:
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise SettingsError(f"the node key {path.name} is no P-384 key", next_step="restore it from its backup")
    return key
