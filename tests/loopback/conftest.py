# SPDX-License-Identifier: Apache-2.0
"""A federation on loopback: own CA, P-384 keys, the real SuperLink, sites in processes of their own."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_ssh_private_key
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from coordinator import admissions, certificates
from coordinator.wire.message_exchange import MessageExchange
from coordinator.wire.network_grid import FlowerGrid
from coordinator.wire.superlink import Entrance, SuperLink, flower_grid
from privacy.base.files import write_private
from privacy.base.identifiers import Role, sha256
from privacy.log.keys import SigningKey
from privacy.protocol.enrolment import Enrolment, KeySlots, line_of, sign_enrolment
from privacy.protocol.identity import make_request
from privacy.protocol.messages import ReasonCode, SignedMessage

SITES = ("hospital_a", "hospital_b")


class Loopback:
    """One coordinator's grid and the sites that a test starts beside it."""

    def __init__(self, folder: Path, stack: ExitStack, max_payload_bytes: int = 64 << 20) -> None:
        self.folder, self.stack = folder, stack
        self.pki = self.make_pki("pki")
        self.door = folder / "door"
        self.lines = {site: self.admit(site) for site in SITES}
        entrance = Entrance("127.0.0.1", 0, self.pki, self.door, self.lines, max_payload_bytes)
        self.grid: FlowerGrid
        self.superlink: SuperLink
        self.grid, self.nodes, self.superlink = stack.enter_context(flower_grid(folder / "superlink", entrance))
        self.message_exchange = MessageExchange(self.grid, self.nodes)
        self.address = f"127.0.0.1:{self.superlink.port}"
        self.log = folder / "superlink" / "superlink.log"

    def make_pki(self, name: str) -> Path:
        pki = self.folder / name
        pki.mkdir(mode=0o700)
        certificates.make_authority(pki, "loopback", now=datetime.now(UTC))
        certificates.make_server(pki, ["localhost", "127.0.0.1"], now=datetime.now(UTC))
        return pki

    def make_keys(self, name: str) -> tuple[ec.EllipticCurvePrivateKey, ec.EllipticCurvePrivateKey]:
        """A node key and a TLS key, and their files."""
        node, tls = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
        write_private(
            self.folder / f"{name}.key", node.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        )
        write_private(self.folder / f"{name}.tls", tls.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return node, tls

    def enrolment(self, name: str, role: Role = "trainer") -> Enrolment:
        node, tls = self.make_keys(name)
        signing = SigningKey.generate()
        lines = [line_of(key.public_key()) for key in (node, tls)]
        unsigned = Enrolment(
            site=name,
            role=role,
            size_bucket=64,
            policy_digest="9" * 64,
            simulated=False,
            keys=KeySlots(signing=signing.verify_key().hex(), node=lines[0], tls=lines[1]),
            secret_key_commitment=sha256(name.encode()),
            certificate_request=make_request(tls, name, role),
            node_signature="",
            signature="",
        )
        return sign_enrolment(unsigned, signing, node)

    def admit(self, name: str, role: Role = "trainer", *, days: float = 0) -> str:
        """Keys, and a certificate that opens the door (made `days` ago); the node key's line comes back."""
        enrolment = self.enrolment(name, role)
        now = datetime.now(UTC) - timedelta(days=days)
        issued = admissions.let_in(self.door, self.pki, enrolment, now=now)
        (self.folder / f"{name}.crt").write_text(issued.pem)
        return enrolment.keys.node

    def start_site(
        self, site: str, *, key: str | None = None, pki: Path | None = None, seconds: float = 0.0
    ) -> subprocess.Popen[bytes]:
        """A site's process; its events go to `<site>.events`. `key` is whose keys and certificate it shows."""
        shown = self.folder / (key or site)
        files = [shown.with_suffix(suffix) for suffix in (".key", ".crt", ".tls")]
        arguments = [self.address, (pki or self.pki) / "ca.crt", *files, site, seconds]
        with (self.folder / f"{site}.events").open("ab") as events:
            process = subprocess.Popen(
                [sys.executable, str(Path(__file__).parent / "echo_site.py"), *map(str, arguments)],
                stdout=events,
                stderr=events,
            )
        self.stack.callback(lambda: (process.kill(), process.wait()))
        return process

    def tls(self, name: str) -> ssl.SSLContext:
        """TLS as the holder of this certificate makes it."""
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        context.load_cert_chain(self.folder / f"{name}.crt", self.folder / f"{name}.tls")
        return context

    def fleet(self, name: str) -> FleetHttpClient:
        """Flower's own client, with this site's keys and certificate: what a site that turned on us would use."""
        key = load_ssh_private_key((self.folder / f"{name}.key").read_bytes(), None)
        identity = NodeAuthHttpInterceptor(key, key.public_key())
        return FleetHttpClient(f"https://{self.address}", interceptors=[identity], verify=self.tls(name))

    def events(self, site: str) -> list[str]:
        return (self.folder / f"{site}.events").read_text().splitlines()

    def exchange(
        self, payloads: dict[str, SignedMessage], *, server_round: int = 1, seconds: float = 60.0, limit: int = 64 << 20
    ) -> dict[str, SignedMessage | ReasonCode]:
        return dict(
            self.message_exchange.send_and_receive(
                payloads,
                phase="update",
                server_round=server_round,
                deadline_seconds=seconds,
                max_payload_bytes=limit,
            )
        )


@pytest.fixture
def loopback(tmp_path: Path) -> Iterator[Loopback]:
    with ExitStack() as stack:
        yield Loopback(tmp_path, stack)
