# SPDX-License-Identifier: Apache-2.0
"""What somebody can do who reaches the SuperLink's port: nothing, unless people admitted them."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
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

from coordinator import admissions

pytestmark = pytest.mark.slow


def refused(call: Callable[[], object], *statuses: int) -> None:
    with pytest.raises(httpx.HTTPStatusError) as caught:
        call()
    assert caught.value.response.status_code in statuses


def shown_by(loopback: Any, name: str | None) -> ssl.SSLContext:
    """TLS as somebody with the certificate of `name` makes it; with none at all where there is no name."""
    context = ssl.create_default_context(cafile=str(loopback.pki / "ca.crt"))
    if name is not None:
        context.load_cert_chain(loopback.folder / f"{name}.crt", loopback.folder / f"{name}.tls")
    return context


def client_of(kind: Any, loopback: Any, certificate: str | None, interceptors: list[Any]) -> Any:
    return kind(f"https://{loopback.address}", interceptors=interceptors, verify=shown_by(loopback, certificate))


def fleet(loopback: Any, key: str, certificate: str | None = None) -> tuple[FleetHttpClient, bytes]:
    """Flower's own client with the node key of `key`, and the certificate of `certificate` (the same, if not given)."""
    private = load_ssh_private_key((loopback.folder / f"{key}.key").read_bytes(), None)
    identity = NodeAuthHttpInterceptor(private, private.public_key())
    client = client_of(FleetHttpClient, loopback, certificate or key, [identity])
    return client, public_key_to_bytes(private.public_key())


def test_a_site_that_turned_on_us_can_start_nothing_and_let_nobody_in(loopback: Any) -> None:
    loopback.make_keys("intruder")
    version = RuntimeVersionHttpInterceptor(component_name="flwr CLI")
    control = client_of(ControlHttpClient, loopback, "hospital_a", [version])
    runtime = client_of(RuntimeHttpClient, loopback, "hospital_a", [version])
    client, public_key = fleet(loopback, "intruder", "hospital_a")
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
    verify = shown_by(loopback, "hospital_a")
    for path in ("/docs", "/openapi.json", "/redoc", "/", "/v1/runtime/acquire-task", "/metrics", "/v1/collab/nodes"):
        assert httpx.get(f"https://{loopback.address}{path}", verify=verify).status_code == 404


def test_nobody_without_a_certificate_of_ours_gets_past_the_handshake(loopback: Any, tmp_path: Path) -> None:
    """None, one that signs itself, one of another CA, and the server's own, which is for another use."""
    foreign = loopback.make_pki("foreign")
    ours, loopback.pki = loopback.pki, foreign
    loopback.door, door = tmp_path / "elsewhere", loopback.door
    loopback.admit("intruder")
    loopback.pki, loopback.door = ours, door
    for name in ("server.crt", "server.key"):
        (loopback.folder / f"server.{'tls' if name.endswith('key') else 'crt'}").write_bytes((ours / name).read_bytes())
    for shown in (None, "intruder", "server"):
        with pytest.raises(httpx.TransportError), httpx.Client(verify=shown_by(loopback, shown)) as client:
            client.get(f"https://{loopback.address}/health")
    assert httpx.get(f"https://{loopback.address}/health", verify=shown_by(loopback, "hospital_a")).status_code == 200


def test_a_certificate_that_our_ca_signed_but_that_is_not_on_the_list_opens_nothing(loopback: Any) -> None:
    listed, loopback.door = loopback.door, loopback.folder / "unlisted"
    loopback.admit("hospital_c")
    loopback.door = listed
    client, key = fleet(loopback, "hospital_c")
    refused(lambda: client.ActivateNode(ActivateNodeRequest(public_key=key, heartbeat_interval=30)), 403)
    assert httpx.get(f"https://{loopback.address}/health", verify=shown_by(loopback, "hospital_c")).status_code == 403


def test_a_site_admitted_after_the_run_began_waits_outside(loopback: Any) -> None:
    loopback.admit("hospital_c")
    client, key = fleet(loopback, "hospital_c")
    refused(lambda: client.ActivateNode(ActivateNodeRequest(public_key=key, heartbeat_interval=30)), 403)


def test_no_site_takes_anothers_node(loopback: Any) -> None:
    """Neither with its own node key, nor with the other's behind its own certificate, nor by its id."""
    site_a, key_a = fleet(loopback, "hospital_a")
    stolen, key_b = fleet(loopback, "hospital_b", "hospital_a")
    node_b = Node(node_id=loopback.nodes["hospital_b"])
    refused(lambda: site_a.ActivateNode(ActivateNodeRequest(public_key=key_b, heartbeat_interval=30)), 403)
    refused(lambda: stolen.ActivateNode(ActivateNodeRequest(public_key=key_b, heartbeat_interval=30)), 401)
    for client, status in ((site_a, 403), (stolen, 401)):
        refused(lambda: client.PullMessages(PullMessagesRequest(node=node_b)), status)  # noqa: B023
        refused(lambda: client.DeactivateNode(DeactivateNodeRequest(node_id=node_b.node_id)), status)  # noqa: B023
    assert site_a.ActivateNode(ActivateNodeRequest(public_key=key_a, heartbeat_interval=30)).node_id


def test_a_revoked_site_is_out_at_once_on_open_connections_too_and_the_others_stay(
    loopback: Any, wait_for: Callable[..., None]
) -> None:
    loopback.start_site("hospital_b")
    client, key = fleet(loopback, "hospital_a")
    node = Node(node_id=client.ActivateNode(ActivateNodeRequest(public_key=key, heartbeat_interval=30)).node_id)
    client.PullMessages(PullMessagesRequest(node=node))
    admissions.revoke(loopback.door, loopback.pki, "hospital_a", now=datetime.now(UTC))
    with pytest.raises((httpx.HTTPStatusError, httpx.TransportError)) as caught:
        client.PullMessages(PullMessagesRequest(node=node))  # on the connection that is open
    if isinstance(caught.value, httpx.HTTPStatusError):
        assert caught.value.response.status_code == 403
    with pytest.raises((httpx.HTTPStatusError, httpx.TransportError)):
        fleet(loopback, "hospital_a")[0].PullMessages(PullMessagesRequest(node=node))
    loopback.start_site("hospital_a")
    wait_for(lambda: any("does not let this site in" in event for event in loopback.events("hospital_a")))
    assert loopback.message_exchange.wait_online(1, 30) >= {"hospital_b"}
    assert "connected" not in loopback.events("hospital_a")


def test_an_idle_connection_of_a_revoked_site_is_cut(loopback: Any, wait_for: Callable[..., None]) -> None:
    host, port = loopback.address.split(":")
    with socket.create_connection((host, int(port)), timeout=5) as plain:
        line = shown_by(loopback, "hospital_a").wrap_socket(plain, server_hostname="localhost")
        line.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 200")
        admissions.revoke(loopback.door, loopback.pki, "hospital_a", now=datetime.now(UTC))
        start = time.monotonic()
        with contextlib.suppress(OSError):
            while line.recv(100):
                pass
        assert time.monotonic() - start < 3


def test_a_site_renews_its_certificate_over_the_connection(loopback: Any, wait_for: Callable[..., None]) -> None:
    enrolment = loopback.enrolment("hospital_a")
    old = datetime.now(UTC) - timedelta(days=16)
    issued = admissions.let_in(loopback.door, loopback.pki, enrolment, now=old)
    (loopback.folder / "hospital_a.crt").write_text(issued.pem)
    fresh = admissions.certificate_for(loopback.door, loopback.pki, enrolment, now=datetime.now(UTC))
    shown = httpx.get(f"https://{loopback.address}/v1/collab/certificate", verify=shown_by(loopback, "hospital_a"))
    assert (shown.status_code, shown.text) == (200, fresh.pem)
    context = shown_by(loopback, "hospital_a")
    (loopback.folder / "hospital_a.crt").write_text(shown.text)
    for verify in (context, shown_by(loopback, "hospital_a")):  # the old one holds until it ends
        assert httpx.get(f"https://{loopback.address}/health", verify=verify).status_code == 200


def test_the_doors_on_loopback_ask_for_the_secret(loopback: Any) -> None:
    version = RuntimeVersionHttpInterceptor(component_name="flwr CLI")
    local = loopback.superlink.local.address
    control = ControlHttpClient.from_server_address(local, True, None, [version])
    runtime = RuntimeHttpClient.from_server_address(local, True, None, [version])
    refused(lambda: control.ListNodes(ListNodesRequest()), 401)
    refused(lambda: runtime.AcquireTask(AcquireTaskRequest(supported_task_types=["flwr-serverapp"])), 401)
    refused(lambda: control.ListRuns(ListRunsRequest()), 404)
    secret = loopback.superlink.local.secret
    assert secret not in loopback.log.read_text()
    pid = loopback.superlink.process.pid
    seen_by_others = [Path(f"/proc/{pid}/{what}").read_bytes() for what in ("cmdline", "environ")]
    assert not any(secret.encode() in text for text in seen_by_others)
    assert (loopback.folder / "superlink").stat().st_mode & 0o777 == 0o700


def test_a_long_body_is_refused_and_the_service_goes_on(loopback: Any) -> None:
    url, verify = f"https://{loopback.address}/v1/fleet/push-object", shown_by(loopback, "hospital_a")

    def status(content: Any, **headers: str) -> int:
        try:
            return httpx.post(url, content=content, verify=verify, headers=headers).status_code
        except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            return 413  # the answer came before the body was written, and the line was cut

    assert status(bytes(50 << 20)) in (413, 415)
    assert status(bytes(1 << 20) for _ in range(50)) in (413, 415)
    assert status(b"short") == 415
    assert status(b"short", **{"content-type": "application/protobuf"}) == 401
    assert httpx.get(f"https://{loopback.address}/health", verify=verify).status_code == 200


def test_only_tls_1_3_with_our_own_ca_is_spoken(loopback: Any) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{loopback.address}/health")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"https://{loopback.address}/health")
    old = shown_by(loopback, "hospital_a")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(httpx.TransportError):
        httpx.get(f"https://{loopback.address}/health", verify=old)


def test_a_site_of_another_federation_tells_us_nothing_and_waits(
    loopback: Any, tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    ours, loopback.pki = loopback.pki, loopback.make_pki("foreign")
    listed, loopback.door = loopback.door, tmp_path / "elsewhere"
    loopback.admit("hospital_a")
    site = loopback.start_site("hospital_a")
    wait_for(lambda: any("somebody else answers" in event for event in loopback.events("hospital_a")))
    loopback.pki, loopback.door = ours, listed
    assert site.poll() is None
    assert "connected" not in loopback.events("hospital_a")
    assert loopback.message_exchange.online() == set()


def test_no_process_of_ours_calls_home(loopback: Any) -> None:
    loopback.start_site("hospital_a")
    loopback.message_exchange.wait_online(1, 30)
    pid = loopback.superlink.process.pid
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    flower = sorted(entry.split(b"=")[0] for entry in environment if entry.startswith(b"FLWR_"))
    assert flower == [b"FLWR_DISABLE_UPDATE_CHECK", b"FLWR_HOME", b"FLWR_TELEMETRY_ENABLED"]
    children = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid="], capture_output=True, text=True, check=False)
    assert children.stdout == ""  # no superexec, no uv


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
