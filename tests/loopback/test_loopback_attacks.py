# SPDX-License-Identifier: Apache-2.0
"""What somebody can do who reaches the SuperLink's port: nothing, with any key, unless people admitted that key."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from flwr.cli.build import build_fab_from_files
from flwr.common.serde import fab_to_proto, user_config_to_proto
from flwr.proto.control_pb2 import ListNodesRequest, ListRunsRequest, RegisterNodeRequest, StartRunRequest
from flwr.proto.fab_pb2 import GetFabRequest
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    DeactivateNodeRequest,
    PullMessagesRequest,
    RegisterNodeFleetRequest,
    UnregisterNodeFleetRequest,
)
from flwr.proto.node_pb2 import Node
from flwr.proto.run_pb2 import GetRunRequest
from flwr.proto.runtime_pb2 import AcquireTaskRequest
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.fab import Fab
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

pytestmark = pytest.mark.slow


def refused(call: Callable[[], object], *statuses: int) -> None:
    with pytest.raises(httpx.HTTPStatusError) as caught:
        call()
    assert caught.value.response.status_code in statuses


def fleet(loopback: Any, key: str) -> tuple[FleetHttpClient, bytes]:
    private = load_ssh_private_key((loopback.folder / f"{key}.key").read_bytes(), None)
    identity = NodeAuthHttpInterceptor(private, private.public_key())
    client = FleetHttpClient.from_server_address(loopback.address, False, str(loopback.pki / "ca.crt"), [identity])
    return client, public_key_to_bytes(private.public_key())


@pytest.mark.parametrize("name", ["intruder", "hospital_a"])  # somebody, and a site that turned on us
def test_nobody_outside_can_start_anything_or_let_anybody_in(loopback: Any, name: str) -> None:
    loopback.make_key("intruder")
    ca, address = str(loopback.pki / "ca.crt"), loopback.address
    version = RuntimeVersionHttpInterceptor(component_name="flwr CLI")
    control = ControlHttpClient.from_server_address(address, False, ca, [version])
    runtime = RuntimeHttpClient.from_server_address(address, False, ca, [version])
    client, public_key = fleet(loopback, name)
    content, _ = build_fab_from_files({"pyproject.toml": STUB, "noop.py": b"app = None\n"})
    fab = fab_to_proto(Fab(hashlib.sha256(content).hexdigest(), content, {}))
    start = StartRunRequest(fab=fab, override_config=user_config_to_proto({}))

    refused(lambda: control.ListRuns(ListRunsRequest()), 404)
    refused(lambda: control.ListNodes(ListNodesRequest()), 404)
    refused(lambda: control.RegisterNode(RegisterNodeRequest(public_key=public_key, name="intruder")), 404)
    refused(lambda: control.StartRun(start), 404)
    refused(lambda: runtime.AcquireTask(AcquireTaskRequest(supported_task_types=["flwr-serverapp"])), 404)
    refused(lambda: client.RegisterNode(RegisterNodeFleetRequest(public_key=public_key)), 404)
    refused(lambda: client.UnregisterNode(UnregisterNodeFleetRequest(node_id=loopback.nodes["hospital_b"])), 404)
    node = Node(node_id=loopback.nodes["hospital_a"])
    run_id = loopback.grid.run.run_id
    refused(lambda: client.GetRun(GetRunRequest(node=node, run_id=run_id)), 404)
    refused(lambda: client.GetFab(GetFabRequest(node=node, run_id=run_id, hash_str=fab.hash_str)), 404)
    for path in ("/docs", "/openapi.json", "/redoc", "/", "/v1/runtime/acquire-task", "/metrics"):
        assert httpx.get(f"https://{address}{path}", verify=ssl_context(ca)).status_code == 404


def test_an_unknown_key_gets_no_node_and_no_key_gets_anothers(loopback: Any) -> None:
    loopback.make_key("intruder")
    intruder, public_key = fleet(loopback, "intruder")
    refused(lambda: intruder.ActivateNode(ActivateNodeRequest(public_key=public_key, heartbeat_interval=30)), 412)
    site_a, _ = fleet(loopback, "hospital_a")
    _, key_b = fleet(loopback, "hospital_b")
    node_b = Node(node_id=loopback.nodes["hospital_b"])
    for client in (intruder, site_a):
        refused(lambda: client.ActivateNode(ActivateNodeRequest(public_key=key_b, heartbeat_interval=30)), 401)  # noqa: B023
        refused(lambda: client.PullMessages(PullMessagesRequest(node=node_b)), 401)  # noqa: B023
        refused(lambda: client.DeactivateNode(DeactivateNodeRequest(node_id=node_b.node_id)), 401)  # noqa: B023


def test_the_doors_on_loopback_ask_for_the_secret(loopback: Any) -> None:
    version = RuntimeVersionHttpInterceptor(component_name="flwr CLI")
    local = loopback.grid.superlink.local_address
    control = ControlHttpClient.from_server_address(local, True, None, [version])
    runtime = RuntimeHttpClient.from_server_address(local, True, None, [version])
    refused(lambda: control.ListNodes(ListNodesRequest()), 401)
    refused(lambda: runtime.AcquireTask(AcquireTaskRequest(supported_task_types=["flwr-serverapp"])), 401)
    refused(lambda: control.ListRuns(ListRunsRequest()), 404)
    secret = loopback.grid.superlink.secret
    assert secret not in loopback.log.read_text()
    pid = loopback.grid.superlink.process.pid
    seen_by_others = [Path(f"/proc/{pid}/{what}").read_bytes() for what in ("cmdline", "environ")]
    assert not any(secret.encode() in text for text in seen_by_others)
    assert (loopback.folder / "superlink").stat().st_mode & 0o777 == 0o700


def test_a_long_body_is_refused_and_the_service_goes_on(loopback: Any) -> None:
    url, verify = f"https://{loopback.address}/v1/fleet/push-object", ssl_context(str(loopback.pki / "ca.crt"))

    def status(content: Any) -> int:
        try:
            return httpx.post(url, content=content, verify=verify).status_code
        except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            return 413  # the answer came before the body was written, and the line was cut

    assert status(bytes(50 << 20)) == 413
    assert status(bytes(1 << 20) for _ in range(50)) == 413
    assert status(b"short") in (400, 401, 415)
    assert httpx.get(f"https://{loopback.address}/health", verify=verify).status_code == 200


def test_only_tls_1_3_with_our_own_ca_is_spoken(loopback: Any) -> None:
    ca = str(loopback.pki / "ca.crt")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{loopback.address}/health")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"https://{loopback.address}/health")
    old = ssl_context(ca)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(httpx.TransportError):
        httpx.get(f"https://{loopback.address}/health", verify=old)


def test_a_site_with_another_ca_does_not_speak_to_us(loopback: Any) -> None:
    site = loopback.start_site("hospital_a", pki=loopback.make_pki("foreign"))
    assert site.wait(30) != 0
    assert "the coordinator's certificate does not hold" in "\n".join(loopback.events("hospital_a"))
    assert "connected" not in loopback.events("hospital_a")
    assert loopback.courier.online() == set()


def test_a_site_with_an_unknown_key_waits_outside(loopback: Any, wait_for: Callable[..., None]) -> None:
    loopback.make_key("stranger")
    loopback.start_site("hospital_a", key="stranger")
    wait_for(lambda: any("does not take this site" in event for event in loopback.events("hospital_a")))
    time.sleep(1)
    assert loopback.courier.online() == set()
    assert "connected" not in loopback.events("hospital_a")


def test_no_process_of_ours_calls_home(loopback: Any) -> None:
    loopback.start_site("hospital_a")
    loopback.courier.wait_online(1, 30)
    pid = loopback.grid.superlink.process.pid
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    flower = sorted(entry.split(b"=")[0] for entry in environment if entry.startswith(b"FLWR_"))
    assert flower == [b"FLWR_DISABLE_UPDATE_CHECK", b"FLWR_HOME", b"FLWR_TELEMETRY_ENABLED"]
    children = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid="], capture_output=True, text=True, check=False)
    assert children.stdout == ""  # no superexec, no uv


def ssl_context(ca: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca)


STUB = b"""[project]
name = "intruder-app"
version = "1.0.0"
description = "any code"
[tool.flwr.app]
publisher = "intruder"
[tool.flwr.app.components]
serverapp = "noop:app"
clientapp = "noop:app"
"""
