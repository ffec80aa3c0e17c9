# SPDX-License-Identifier: Apache-2.0
"""A Flower SuperLink of our own, and the grid over it: `with flower_grid(...) as (grid, nodes, superlink):`.

The coordinator holds two listening sockets and gives them to a process of its own that runs Flower's app behind the
gates (`python -m coordinator.wire.superlink`, settings on its standard input). When that process dies it is started
again on the same sockets and the same SQLite state, and everybody's calls wait meanwhile; when the coordinator dies,
the end of its input ends it. The run's "app" is an empty stub: nothing of Flower's app machinery is ever loaded
anywhere.

One of the files that use Flower's internal modules, pinned to flwr 1.41.0; the others are
coordinator/wire/network_grid.py, coordinator/wire/fleet.py and client/wire/transport.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read when flwr is imported: nothing here calls home
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key
from flwr.cli.build import build_fab_from_files
from flwr.common.serde import fab_to_proto, user_config_to_proto
from flwr.proto.control_pb2 import ListNodesRequest, RegisterNodeRequest, StartRunRequest
from flwr.proto.runtime_pb2 import AcquireTaskRequest
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.fab import Fab
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
from flwr.supercore.runtime import RuntimeHttpClient

from coordinator.certificates import CA_CERTIFICATE, SERVER_CERTIFICATE, SERVER_KEY
from coordinator.wire.gate import END_PATH, NODES_PATH
from coordinator.wire.loopback import LocalEntry
from coordinator.wire.network_grid import FlowerGrid
from coordinator.wire.serving import EntrySettings, serve
from coordinator.wire.supervisor import Supervised, listening_socket
from privacy.base.errors import Unreachable
from privacy.base.identifiers import SiteId

SLOTS: Final = "slots.jsonl"
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


@dataclass(frozen=True)
class Entrance:
    """Where the sites come in, and which.

    It listens on `host`:`port` (0: any free port). `pki` is the folder of the server's key and certificate and of the
    CA's certificate, `door` that of the client certificates that are let in (coordinator.admissions). `node_keys`: each
    site's P-384 public key, as an OpenSSH line. No message's payload may be longer than `max_payload_bytes`.
    """

    host: str
    port: int
    pki: Path
    door: Path
    node_keys: Mapping[SiteId, str]
    max_payload_bytes: int


class SuperLink:
    """A SuperLink behind `entrance`, with its state in `folder`, which is made anew."""

    def __init__(self, folder: Path, entrance: Entrance) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in (*folder.glob("state.sqlite*"), *folder.glob(SLOTS)):
            old.unlink()  # nothing of an earlier run is needed: our log says where we were
        external, local = listening_socket(entrance.host, entrance.port), listening_socket("127.0.0.1", 0)
        self.port: int = external.getsockname()[1]
        self.local = LocalEntry(f"127.0.0.1:{local.getsockname()[1]}", secrets.token_hex(32))
        self._entrance = entrance
        settings = EntrySettings(
            external_socket=external.fileno(),
            local_socket=local.fileno(),
            certificate=str(entrance.pki / SERVER_CERTIFICATE),
            private_key=str(entrance.pki / SERVER_KEY),
            authority=str(entrance.pki / CA_CERTIFICATE),
            door=str(entrance.door),
            database=str(folder / "state.sqlite"),
            slots=str(folder / SLOTS),
            secret=self.local.secret,
            node_keys=dict(entrance.node_keys),
            max_payload_bytes=entrance.max_payload_bytes,
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLWR_")}
        environment |= {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "FLWR_HOME": str(folder)}
        self.process = Supervised(
            [sys.executable, "-P", "-m", "coordinator.wire.superlink"],
            first_line=settings.model_dump_json().encode(),
            sockets=[external, local],
            environment=environment,
            log=folder / "superlink.log",
        )

    def register(self) -> dict[SiteId, int]:
        """Make the sites' node keys known to Flower, their node ids to the door, and return these."""
        control = self._client(ControlHttpClient, "flwr CLI")
        known = {info.public_key: info.node_id for info in control.ListNodes(ListNodesRequest()).nodes_info}
        nodes = {}
        for site, line in sorted(self._entrance.node_keys.items()):
            key = load_ssh_public_key(line.encode()).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            request = RegisterNodeRequest(public_key=key, name=site)
            nodes[site] = known[key] if key in known else control.RegisterNode(request).node_id
        control.close()
        self.local.post(NODES_PATH, json.dumps(nodes).encode())
        return nodes

    def end(self) -> None:
        """Tell the sites that are there that the run is over, so that they do not wait for this process in vain."""
        with contextlib.suppress(Unreachable):
            self.local.post(END_PATH, b"")

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
        return FlowerGrid(self.local, task.token, self._entrance.max_payload_bytes)

    def close(self) -> None:
        self.process.close()

    def _client(self, kind: Any, component: str) -> Any:
        return self.local.client(kind, [RuntimeVersionHttpInterceptor(component_name=component)])


@contextlib.contextmanager
def flower_grid(folder: Path, entrance: Entrance) -> Iterator[tuple[FlowerGrid, dict[SiteId, int], SuperLink]]:
    """A grid to the sites that come through `entrance`, each site's Flower node id, and the SuperLink that serves both.

    `folder` (0700) holds state.sqlite, slots.jsonl and superlink.log.
    Raises SettingsError when the port is taken, Unreachable when the SuperLink does not come up. All is ended on exit.
    """
    superlink = SuperLink(folder, entrance)
    try:
        nodes = superlink.register()
        grid = superlink.open_run()
        try:
            yield grid, nodes, superlink
        finally:
            grid.close()
    finally:
        superlink.close()


if __name__ == "__main__":
    main()
