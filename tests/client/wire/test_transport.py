# SPDX-License-Identifier: Apache-2.0
"""A site's line against a server that misbehaves, over real TLS. The good server's tests are in tests/loopback."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import resource
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flwr.proto.fleet_pb2 import ActivateNodeResponse, PullMessagesResponse
from flwr.proto.message_pb2 import Message as ProtoMessage

from client.wire.app import make_app
from client.wire.credentials import Credentials
from client.wire.transport import CERTIFICATE_PATH, Endpoint, serve
from coordinator import certificates
from privacy.base.errors import CollabError, SettingsError
from privacy.base.files import write_private
from privacy.log.keys import SigningKey
from privacy.protocol.enrolment import Enrolment, KeySlots, line_of
from privacy.protocol.messages import SignedMessage

Answer = tuple[int, dict[str, str], bytes]


class Unasked:
    def answer(self, received: SignedMessage) -> SignedMessage:
        raise AssertionError("nothing that a site should answer ever came")


class Server:
    """Answers each path with what the test says, over TLS (or plainly), and notes who asked."""

    def __init__(
        self,
        pki: Path | None,
        answers: dict[str, Answer],
        *,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        clients: Path | None = None,
        port: int = 0,
    ) -> None:
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.written = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                outer.asked.append(self.path)
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                self.rfile.read(int(self.headers.get("content-length", 0)))
                status, headers, body = answers.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    if value:
                        self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):  # the site hung up
                    for _ in range(int(headers.get("x-times", "1"))):
                        self.wfile.write(body)
                        outer.written += len(body)

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        if pki is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pki / "server.crt", pki / "server.key")
            context.maximum_version = version
            if clients is not None:
                context.load_verify_locations(clients / "ca.crt")
                context.verify_mode = ssl.CERT_REQUIRED
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
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
    key, tls = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
    write_private(folder / "node.key", key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    write_private(folder / "tls.key", tls.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "site.pem").write_text(certificate(folder, tls.public_key()))
    return folder


def certificate(
    pki: Path, key: ec.EllipticCurvePublicKey, *, site: str = "hospital_a", days: float = 0.0, life: int = 30
) -> str:
    """What `admit` would have issued `days` ago."""
    signing = SigningKey.generate().verify_key().hex()
    node = ec.generate_private_key(ec.SECP384R1()).public_key()
    enrolment = Enrolment(
        site=site,
        role="trainer",
        size_bucket=64,
        policy_digest="9" * 64,
        simulated=False,
        keys=KeySlots(signing=signing, node=line_of(node), tls=line_of(key)),
        secret_key_commitment="8" * 64,
        certificate_request="",
        node_signature="",
        signature="",
    )
    issued = certificates.issue_site(pki, enrolment, now=datetime.now(UTC) - timedelta(days=days), days=life)
    return issued.public_bytes(Encoding.PEM).decode("ascii")


def credentials(pki: Path, *, ca: Path | None = None, file: str = "site.pem", site: str = "hospital_a") -> Credentials:
    return Credentials(
        ca_certificate=((ca or pki) / "ca.crt").read_bytes(),
        certificate=pki / file,
        key=pki / "tls.key",
        site=site,
    )


def endpoint_at(address: str, pki: Path) -> Endpoint:
    return Endpoint(address, credentials(pki), pki / "node.key", "hospital_a")


@pytest.fixture
def serve_until(pki: Path, wait_for: Callable[[Callable[[], object]], None]) -> Iterator[Callable[..., list[str]]]:
    servers: list[Server] = []

    def run(server: Server, wanted: str, **changes: Any) -> list[str]:
        """The site's events until `wanted` is among them, and the time that leaving took."""
        servers.append(server)
        stop, events = threading.Event(), list[str]()
        endpoint = replace(endpoint_at(server.address, pki), **changes)
        arguments = {"stop": stop, "on_event": events.append}
        app = make_app(lambda config: Unasked())
        thread = threading.Thread(target=serve, args=(app, endpoint), kwargs=arguments, daemon=True)
        thread.start()
        wait_for(lambda: any(wanted in event for event in events))
        stop.set()
        wait_for(lambda: not thread.is_alive())
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


def serve_once(pki: Path, **changes: Any) -> None:
    endpoint = replace(endpoint_at("127.0.0.1:1", pki), **changes)
    serve(make_app(lambda config: Unasked()), endpoint, stop=threading.Event(), on_event=lambda event: None)


def test_a_stranger_at_the_address_is_waited_out_and_told_nothing(
    pki: Path, tmp_path: Path, serve_until: Callable[..., list[str]]
) -> None:
    tmp_path.chmod(0o700)
    certificates.make_authority(tmp_path, "other", now=datetime.now(UTC))
    certificates.make_server(tmp_path, ["127.0.0.1"], now=datetime.now(UTC))
    portal = Server(tmp_path, {ACTIVATE: ACTIVE})
    events = serve_until(portal, "somebody else answers")
    assert "connected" not in events
    assert portal.asked == []
    named = Server(pki, {ACTIVATE: ACTIVE})  # the right CA, another name
    serve_until(named, "somebody else answers", address=named.address.replace("127.0.0.1", "localhost"))
    assert named.asked == []


def test_the_site_is_back_when_the_stranger_is_gone(
    pki: Path, tmp_path: Path, serve_until: Callable[..., list[str]]
) -> None:
    tmp_path.chmod(0o700)
    certificates.make_authority(tmp_path, "other", now=datetime.now(UTC))
    certificates.make_server(tmp_path, ["127.0.0.1"], now=datetime.now(UTC))
    portal = Server(tmp_path, {ACTIVATE: ACTIVE})
    servers = [portal]

    def replace() -> None:
        portal.close()
        servers.append(Server(pki, {ACTIVATE: ACTIVE, PULL: (200, {}, b"")}, port=portal.server.server_address[1]))

    threading.Timer(1.0, replace).start()
    events = serve_until(portal, "connected")
    assert [event.split(" (")[0] for event in events] == [
        "somebody else answers at the coordinator's address",
        "connected",
    ]


def test_no_less_than_tls_1_3_is_spoken(pki: Path, serve_until: Callable[..., list[str]]) -> None:
    old = Server(pki, {ACTIVATE: ACTIVE}, version=ssl.TLSVersion.TLSv1_2)
    events = serve_until(old, "waiting")
    assert old.asked == []
    assert "connected" not in events


def test_the_site_shows_its_certificate(pki: Path, serve_until: Callable[..., list[str]]) -> None:
    server = Server(pki, {ACTIVATE: ACTIVE, PULL: (200, {}, b"")}, clients=pki)
    assert serve_until(server, "connected") == ["connected"]


def test_a_site_that_is_not_let_in_says_so_and_waits(
    pki: Path, tmp_path: Path, serve_until: Callable[..., list[str]]
) -> None:
    tmp_path.chmod(0o700)
    certificates.make_authority(tmp_path, "other", now=datetime.now(UTC))
    elsewhere = Server(pki, {ACTIVATE: ACTIVE}, clients=tmp_path)
    serve_until(elsewhere, "does not let this site in")
    assert elsewhere.asked == []
    serve_until(Server(pki, {ACTIVATE: (403, {}, b"")}), "does not let this site in")


def test_a_site_whose_certificate_ended_says_when_and_what_to_do(
    pki: Path, serve_until: Callable[..., list[str]]
) -> None:
    key = credentials(pki)._key.public_key()
    (pki / "old.pem").write_text(certificate(pki, key, days=60))
    (event,) = serve_until(Server(pki, {}, clients=pki), "ended", credentials=credentials(pki, file="old.pem"))
    assert f"{datetime.now(UTC) - timedelta(days=30):%Y-%m-%d}" in event
    assert "new start kit" in event


def test_a_certificate_is_renewed_over_the_connection_before_it_ends(
    pki: Path, serve_until: Callable[..., list[str]]
) -> None:
    key = credentials(pki)._key.public_key()
    (pki / "half.pem").write_text(certificate(pki, key, days=16))
    new = certificate(pki, key)
    server = Server(pki, {ACTIVATE: ACTIVE, PULL: (200, {}, b""), CERTIFICATE_PATH: (200, {}, new.encode())})
    held = credentials(pki, file="half.pem")
    assert serve_until(server, "renewed", credentials=held)[0] == "connected"
    assert (pki / "half.pem").read_text() == new
    assert (pki / "half.pem").stat().st_mode & 0o777 == 0o600
    assert not held.due()


def test_only_a_newer_certificate_for_this_site_and_key_is_taken(pki: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    certificates.make_authority(tmp_path, "other", now=datetime.now(UTC))
    key = credentials(pki)._key.public_key()
    (pki / "half.pem").write_text(certificate(pki, key, days=16))
    held, before = credentials(pki, file="half.pem"), (pki / "half.pem").read_bytes()
    stranger = ec.generate_private_key(ec.SECP384R1()).public_key()
    for offered in (
        certificate(tmp_path, key),  # another CA
        certificate(pki, stranger),  # another key
        certificate(pki, key, site="hospital_b"),
        certificate(pki, key, days=17),  # older
        certificate(pki, key, days=-1),  # not valid yet
        "",
        "<html>log in</html>",
    ):
        assert not held.take(offered)
    assert (pki / "half.pem").read_bytes() == before
    assert held.take(certificate(pki, key))


def test_answers_are_asked_for_plainly_and_an_encoded_one_is_refused_unread(
    pki: Path, serve_until: Callable[..., list[str]]
) -> None:
    bomb = gzip.compress(bytes(64 << 20))
    server = Server(pki, {ACTIVATE: ACTIVE, PULL: (200, {"content-encoding": "gzip"}, bomb)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    events = serve_until(server, "makes no sense")
    assert events[0] == "connected"
    assert {headers["accept-encoding"] for headers in server.headers} == {"identity"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10  # kB


@pytest.mark.parametrize("path", [ACTIVATE, PULL])
@pytest.mark.parametrize("length", [str(1 << 40), None], ids=["announced", "as it comes"])
def test_an_answer_without_end_is_cut_off(
    pki: Path, serve_until: Callable[..., list[str]], path: str, length: str | None
) -> None:
    headers = {"x-times": "200"} | ({"content-length": length} if length else {"content-length": ""})
    endless: Answer = (200, headers, bytes(1 << 20))
    server = Server(pki, {ACTIVATE: ACTIVE, PULL: (200, {}, b"")} | {path: endless})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    serve_until(server, "makes no sense", max_payload_bytes=1 << 20)
    assert server.written < 16 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10


def test_a_run_that_ended_is_told_apart_from_a_coordinator_that_is_away(
    pki: Path, serve_until: Callable[..., list[str]]
) -> None:
    server = Server(pki, {ACTIVATE: ACTIVE, PULL: (410, {}, b"")})
    events = serve_until(server, "has ended")
    assert events == ["connected", "the coordinator's run has ended: waiting for the next one"]


def test_a_key_or_a_ca_that_is_none_is_a_settings_error(pki: Path, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(b"-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
    with pytest.raises(CollabError, match="CA"):
        serve_once(pki, credentials=credentials(pki, ca=tmp_path))
    for name, key in {
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "p256": ec.generate_private_key(ec.SECP256R1()),
    }.items():
        path = tmp_path / name
        write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        with pytest.raises(SettingsError, match="P-384"):
            serve_once(pki, node_key=path)
    with pytest.raises(SettingsError, match="cannot be read"):
        serve_once(pki, node_key=tmp_path / "none")


@pytest.mark.parametrize("name", ["node.key", "tls.key"])
def test_a_key_that_others_may_read_is_not_used(pki: Path, name: str) -> None:
    (pki / name).chmod(0o640)
    try:
        with pytest.raises(SettingsError, match=f"others may read the key file {name}"):
            serve_once(pki)
    finally:
        (pki / name).chmod(0o600)
