# SPDX-License-Identifier: Apache-2.0
"""A Flower SuperLink of our own, and the grid over it: `with flower_grid(...) as (grid, nodes):`.

The coordinator holds two listening sockets and gives them to a process of its own that runs Flower's app behind the
gates (`python -m coordinator.superlink`, settings on its standard input). When that process dies it is started again on
the same sockets and the same SQLite state, and everybody's calls wait meanwhile; when the coordinator dies, the end of
its input ends it. The run's "app" is an empty stub: nothing of Flower's app machinery is ever loaded anywhere.

One of the two files that use Flower's internal modules, pinned to flwr 1.41.0 (the other: client/transport.py).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read when flwr is imported: nothing here calls home
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"

import httpx
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key
from flwr.app import DEFAULT_TTL, Error, Message, Metadata, RecordDict
from flwr.cli.build import build_fab_from_files
from flwr.common.constant import SUPERLINK_NODE_ID, ErrorCode, SubStatus
from flwr.common.serde import fab_to_proto, message_to_proto, run_from_proto, user_config_to_proto
from flwr.proto.control_pb2 import ListNodesRequest, RegisterNodeRequest, StartRunRequest
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest, PullObjectRequest, PushObjectRequest
from flwr.proto.node_pb2 import Node, NodeInfo
from flwr.proto.runtime_pb2 import (
    AcquireTaskRequest,
    GetNodesRequest,
    PullAppMessagesRequest,
    PullTaskInputRequest,
    PushAppMessagesRequest,
    PushTaskOutputRequest,
    SendTaskHeartbeatRequest,
)
from flwr.serverapp import Grid
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.fab import Fab
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.interceptors import RuntimeTokenHttpInterceptor, RuntimeVersionHttpInterceptor
from flwr.supercore.runtime import RuntimeHttpClient

from coordinator.gate import SECRET_HEADER
from coordinator.serving import EntrySettings, serve
from coordinator.supervisor import Supervised, listening_socket
from privacy.errors import ContractError, Unreachable
from privacy.exchange.flower import in_two_lanes, inflate_message, object_limit
from privacy.exchange.patience import Patience
from privacy.identifiers import SiteId

PATIENCE_SECONDS: Final = 60.0
"""How long the coordinator waits for a SuperLink that is being restarted: Flower ends the run after 60 s of silence."""
HEARTBEAT_SECONDS: Final = 10.0
GIVE_UP_SECONDS: Final = 30.0
"""How long before a message expires its reply is no longer waited for, so that other replies stay valid."""
_STUB: Final = b"""[project]
name = "collab-protocol"
version = "1.0.0"
description = "empty: coordinator and sites run their own installed code"
[tool.flwr.app]
publisher = "collab"
[tool.flwr.app.components]
serverapp = "noop:app"
clientapp = "noop:app"
"""


def flower_app(database: str) -> Any:
    """Flower's own SuperLink app on `database`, with registered nodes only and nothing started beside it."""
    from flwr.common.constant import ISOLATION_MODE_PROCESS, TRANSPORT_TYPE_GRPC_RERE
    from flwr.superlink.auth_plugin import NoOpControlAuthnPlugin
    from flwr.superlink.cli.flower_superlink import SuperLinkLifespan
    from flwr.superlink.config_loader import SuperLinkLifespanConfig
    from flwr.superlink.main import create_app

    nothing: dict[str, Any] = {field.name: None for field in dataclasses.fields(SuperLinkLifespanConfig)}
    chosen = {
        "authn_plugin": NoOpControlAuthnPlugin(),  # the gate asks for a secret at every call on loopback
        "database": database,
        "enable_event_log": False,
        "enable_supernode_auth": True,
        "fleet_api_type": TRANSPORT_TYPE_GRPC_RERE,
        "isolation": ISOLATION_MODE_PROCESS,
        "runtime_dependency_install": False,
        "simulation": False,
    }
    config = SuperLinkLifespanConfig(**(nothing | chosen))
    return create_app(config, SuperLinkLifespan)


def main() -> None:
    """The entry of the SuperLink's process."""
    settings = EntrySettings.model_validate_json(sys.stdin.buffer.readline())
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("flwr").setLevel(logging.WARNING)
    serve(flower_app(settings.database), settings)


class _NotUploaded(Unreachable):
    """A site announced a reply and was gone before all of it was there."""


class SecretInterceptor:
    """Shows the gate on loopback that it is the coordinator who calls."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def intercept(self, context: Any, call_next: Any) -> Any:
        context.request.headers[SECRET_HEADER] = self._secret
        return call_next(context)


def local_client(kind: Any, address: str, interceptors: Sequence[Any]) -> Any:
    """One of Flower's HTTP clients for a loopback address: patient, and never through a proxy of the environment."""
    client = kind(f"http://{address}", interceptors=interceptors, retry_invoker=Patience(PATIENCE_SECONDS))
    client._client.close()
    client._client = httpx.Client(timeout=30.0, trust_env=False)
    return client


class FlowerGrid(Grid):
    """Flower's Grid over the SuperLink on loopback: strict about what it pulls, two objects at a time either way.

    Where flwr's own HttpGrid interrupts the process on 401, returns [] on 413 and holds everything twice, this one
    raises (Unreachable, ContractError) and shares memory with the payload.
    """

    def __init__(self, superlink: SuperLink, token: str) -> None:
        self.superlink = superlink
        version = RuntimeVersionHttpInterceptor(component_name="flwr-serverapp")
        interceptors = [version, SecretInterceptor(superlink.secret), RuntimeTokenHttpInterceptor(token=token)]
        self._client = local_client(RuntimeHttpClient, superlink.local_address, interceptors)
        self._node = Node(node_id=SUPERLINK_NODE_ID)
        self._object_limit = object_limit(superlink.max_payload_bytes)
        self._expiry: dict[str, float] = {}
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

        Raises ContractError for a reply with more objects than its payload may have, or of another form.
        """
        answer = self._client.PullMessages(PullAppMessagesRequest(message_ids=list(message_ids)))
        return [
            self._pull(head.metadata, tree)
            for head, tree in zip(answer.messages_list, answer.message_object_trees, strict=True)
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
        """Not for this grid: coordinator.courier keeps order and deadline."""
        raise NotImplementedError("use coordinator.courier.Courier")

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


class SuperLink:
    """A SuperLink on `host`:`port` (0: any free port) with its state in `folder`, which is made anew."""

    def __init__(
        self, folder: Path, *, host: str, port: int, certificate: Path, private_key: Path, sites: int, limit: int
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in folder.glob("state.sqlite*"):
            old.unlink()  # nothing of an earlier run is needed: our log says where we were
        external, local = listening_socket(host, port), listening_socket("127.0.0.1", 0)
        self.port: int = external.getsockname()[1]
        self.local_address = f"127.0.0.1:{local.getsockname()[1]}"
        self.secret = secrets.token_hex(32)
        self.max_payload_bytes = limit
        settings = EntrySettings(
            external_socket=external.fileno(),
            local_socket=local.fileno(),
            certificate=str(certificate),
            private_key=str(private_key),
            database=str(folder / "state.sqlite"),
            secret=self.secret,
            sites=sites,
            max_payload_bytes=limit,
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLWR_")}
        environment |= {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "FLWR_HOME": str(folder)}
        self.process = Supervised(
            [sys.executable, "-P", "-m", "coordinator.superlink"],
            first_line=settings.model_dump_json().encode(),
            sockets=[external, local],
            environment=environment,
            log=folder / "superlink.log",
        )

    def register(self, node_keys: Mapping[SiteId, str]) -> dict[SiteId, int]:
        """Make the sites' node keys (OpenSSH lines) known and return their Flower node ids."""
        control = self._client(ControlHttpClient, "flwr CLI")
        known = {info.public_key: info.node_id for info in control.ListNodes(ListNodesRequest()).nodes_info}
        nodes = {}
        for site, line in sorted(node_keys.items()):
            key = load_ssh_public_key(line.encode()).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            request = RegisterNodeRequest(public_key=key, name=site)
            nodes[site] = known[key] if key in known else control.RegisterNode(request).node_id
        control.close()
        return nodes

    def open_run(self) -> FlowerGrid:
        """Start a Flower run with an empty app, take its server task ourselves, and give the grid to it."""
        control, runtime = self._client(ControlHttpClient, "flwr CLI"), self._client(RuntimeHttpClient, "SuperExec")
        content, _ = build_fab_from_files({"pyproject.toml": _STUB, "noop.py": b"app = None\n"})
        fab = fab_to_proto(Fab(hashlib.sha256(content).hexdigest(), content, {}))
        control.StartRun(StartRunRequest(fab=fab, override_config=user_config_to_proto({})))
        while not (task := runtime.AcquireTask(AcquireTaskRequest(supported_task_types=["flwr-serverapp"]))).token:
            self.process.check()
            time.sleep(0.05)
        control.close()
        runtime.close()
        return FlowerGrid(self, task.token)

    def close(self) -> None:
        self.process.close()

    def _client(self, kind: Any, component: str) -> Any:
        interceptors = [RuntimeVersionHttpInterceptor(component_name=component), SecretInterceptor(self.secret)]
        return local_client(kind, self.local_address, interceptors)


@contextlib.contextmanager
def flower_grid(
    folder: Path,
    *,
    host: str,
    port: int,
    certificate: Path,
    private_key: Path,
    node_keys: Mapping[SiteId, str],
    max_payload_bytes: int,
) -> Iterator[tuple[FlowerGrid, dict[SiteId, int]]]:
    """A grid to the sites of `node_keys` (site -> P-384 public key, OpenSSH line) and each site's Flower node id.

    `folder` (0700) holds state.sqlite and superlink.log. No message's payload may be longer than `max_payload_bytes`.
    Raises SettingsError when the port is taken, Unreachable when the SuperLink does not come up. All is ended on exit.
    """
    superlink = SuperLink(
        folder,
        host=host,
        port=port,
        certificate=certificate,
        private_key=private_key,
        sites=len(node_keys),
        limit=max_payload_bytes,
    )
    try:
        nodes = superlink.register(node_keys)
        grid = superlink.open_run()
        try:
            yield grid, nodes
        finally:
            grid.close()
    finally:
        superlink.close()


if __name__ == "__main__":
    main()
