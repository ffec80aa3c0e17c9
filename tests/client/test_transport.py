# SPDX-License-Identifier: Apache-2.0
"""A site's line against a server that misbehaves, over real TLS. The good server's tests are in tests/loopback."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flwr.proto.fleet_pb2 import ActivateNodeResponse, PullMessagesResponse
from flwr.proto.message_pb2 import Message as ProtoMessage

from client.app import make_app
from client.transport import serve
from coordinator import certificates
from privacy.errors import IntegrityError, SettingsError
from privacy.exchange.messages import Parcel

Answer = tuple[int, dict[str, str], bytes]


class Unasked:
    def answer(self, received: Parcel) -> Parcel:
        raise AssertionError("nothing that a site should answer ever came")


class Server:
    """Answers each path with what the test says, over TLS (or plainly), and notes who asked."""

    def __init__(self, pki: Path | None, answers: dict[str, Answer]) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.asked.append(self.path)
                self.rfile.read(int(self.headers.get("content-length", 0)))
                status, headers, body = answers.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if pki is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pki / "server.crt", pki / "server.key")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    folder.chmod(0o700)
    certificates.make_authority(folder, "test", now=datetime.now(UTC))
    certificates.make_server(folder, ["127.0.0.1"], now=datetime.now(UTC))
    key = ec.generate_private_key(ec.SECP384R1())
    (folder / "node.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    return folder


@pytest.fixture
def serve_until(pki: Path) -> Iterator[Callable[..., list[str]]]:
    servers: list[Server] = []

    def run(server: Server, wanted: str, seconds: float = 10.0) -> list[str]:
        """The site's events until `wanted` is among them, and the time that leaving took."""
        servers.append(server)
        stop, events = threading.Event(), list[str]()
        arguments = {"address": server.address, "ca_certificate": (pki / "ca.crt").read_bytes(), "site": "hospital_a"}
        arguments |= {"node_key": pki / "node.key", "stop": stop, "on_event": events.append}
        app = make_app(lambda config: Unasked())
        thread = threading.Thread(target=serve, args=(app,), kwargs=arguments)
        thread.start()
        end = time.monotonic() + seconds
        while not any(wanted in event for event in events):
            assert time.monotonic() < end, events
            time.sleep(0.01)
        stop.set()
        thread.join(3)
        assert not thread.is_alive()
        return events

    yield run
    for server in servers:
        server.close()


ACTIVATE, PULL = "/v1/fleet/activate-node", "/v1/fleet/pull-messages"
ACTIVE: Answer = (200, {}, ActivateNodeResponse(node_id=7).SerializeToString())


def test_a_site_is_never_sent_elsewhere(pki: Path, serve_until: Callable[..., list[str]]) -> None:
    inner = Server(None, {ACTIVATE: ACTIVE})  # a host of the institution's own network
    for status in (301, 302, 307, 308):
        server = Server(pki, {ACTIVATE: (status, {"location": f"http://{inner.address}{ACTIVATE}"}, b"")})
        serve_until(server, "does not take this site")
        assert server.asked
    assert inner.asked == []
    inner.close()


def test_an_answer_without_sense_is_survived(pki: Path, serve_until: Callable[..., list[str]]) -> None:
    server = Server(pki, {ACTIVATE: ACTIVE, PULL: (200, {}, b"\xff\xff\xff no protobuf, Jane Doe")})
    events = serve_until(server, "makes no sense")
    assert events[0] == "connected"
    assert "Jane" not in "".join(events)


def test_a_message_that_cannot_be_read_is_survived(pki: Path, serve_until: Callable[..., list[str]]) -> None:
    bad = ProtoMessage()
    bad.metadata.message_type = "system.run"
    body = PullMessagesResponse(messages_list=[bad]).SerializeToString()
    events = serve_until(Server(pki, {ACTIVATE: ACTIVE, PULL: (200, {}, body)}), "makes no sense")
    assert events[0] == "connected"


def test_a_site_that_stops_tells_so(pki: Path, serve_until: Callable[..., list[str]]) -> None:
    server = Server(pki, {ACTIVATE: ACTIVE, PULL: (200, {}, b"")})
    assert serve_until(server, "connected") == ["connected"]
    assert server.asked[-1] == "/v1/fleet/deactivate-node"


def serve_once(pki: Path, **changes: object) -> None:
    arguments = {"address": "127.0.0.1:1", "ca_certificate": (pki / "ca.crt").read_bytes(), "site": "hospital_a"}
    arguments |= {"node_key": pki / "node.key", "stop": threading.Event(), "on_event": lambda event: None}
    serve(make_app(lambda config: Unasked()), **(arguments | changes))  # type: ignore[arg-type]


def test_a_certificate_of_another_ca_ends_it(pki: Path, tmp_path: Path) -> None:
    certificates.make_authority(tmp_path, "other", now=datetime.now(UTC))
    server = Server(pki, {ACTIVATE: ACTIVE})
    with pytest.raises(IntegrityError, match="certificate does not hold"):
        serve_once(pki, address=server.address, ca_certificate=(tmp_path / "ca.crt").read_bytes())
    with pytest.raises(IntegrityError, match="certificate does not hold"):  # the right CA, another name
        serve_once(pki, address=server.address.replace("127.0.0.1", "localhost"))
    assert server.asked == []
    server.close()


def test_a_key_or_a_ca_that_is_none_is_a_settings_error(pki: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is no certificate"):
        serve_once(pki, ca_certificate=b"-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
    for name, key in {
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "p256": ec.generate_private_key(ec.SECP256R1()),
    }.items():
        path = tmp_path / name
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        with pytest.raises(SettingsError, match="P-384"):
            serve_once(pki, node_key=path)
    with pytest.raises(SettingsError, match="missing"):
        serve_once(pki, node_key=tmp_path / "none")
