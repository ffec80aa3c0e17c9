# SPDX-License-Identifier: Apache-2.0
"""A CA, a server and admitted sites in one folder, for measurements of the wire: real keys, nobody's texts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from client.wire.credentials import Credentials
from coordinator import admissions, certificates
from privacy.base.files import write_private
from privacy.base.identifiers import SiteId, sha256
from privacy.log.keys import SigningKey
from privacy.protocol.enrolment import Enrolment, KeySlots, line_of, sign_enrolment
from privacy.protocol.identity import make_request

if TYPE_CHECKING:
    from coordinator.wire.network_grid import FlowerGrid
    from coordinator.wire.superlink import SuperLink


class SmallFederation:
    """`folder`/pki and `folder`/door, and for each site <site>.key (node), <site>.tls and <site>.pem (certificate)."""

    def __init__(self, folder: Path, sites: Sequence[str]) -> None:
        self.folder, self.pki, self.door = folder, folder / "pki", folder / "door"
        self.pki.mkdir(mode=0o700)
        certificates.make_authority(self.pki, "bench", now=datetime.now(UTC))
        certificates.make_server(self.pki, ["127.0.0.1", "localhost"], now=datetime.now(UTC))
        self.lines = {site: self.admit(site) for site in sites}

    def superlink(
        self, max_payload_bytes: int
    ) -> AbstractContextManager[tuple[FlowerGrid, dict[SiteId, int], SuperLink]]:
        """The real SuperLink for these sites, on a free port."""
        from coordinator.wire.superlink import Entrance, flower_grid

        entrance = Entrance("127.0.0.1", 0, self.pki, self.door, self.lines, max_payload_bytes)
        return flower_grid(self.folder / "superlink", entrance)

    def admit(self, site: str) -> str:
        """A site with keys of its own and a certificate; its node key's line."""
        node, tls = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
        forms = ((node, "key", PrivateFormat.OpenSSH), (tls, "tls", PrivateFormat.PKCS8))
        for key, suffix, form in forms:
            private = key.private_bytes(Encoding.PEM, form, NoEncryption())
            write_private(self.folder / f"{site}.{suffix}", private)
        signing = SigningKey.generate()
        lines = [line_of(key.public_key()) for key in (node, tls)]
        unsigned = Enrolment(
            site=site,
            role="trainer",
            size_bucket=64,
            policy_digest="9" * 64,
            simulated=False,
            keys=KeySlots(signing=signing.verify_key().hex(), node=lines[0], tls=lines[1]),
            secret_key_commitment=sha256(site.encode()),
            certificate_request=make_request(tls, site, "trainer"),
            node_signature="",
            signature="",
        )
        enrolment = sign_enrolment(unsigned, signing, node)
        issued = admissions.let_in(self.door, self.pki, enrolment, now=datetime.now(UTC))
        write_private(self.folder / f"{site}.pem", issued.pem.encode("ascii"))
        (self.folder / f"{site}.pub").write_text(lines[0] + "\n")
        return lines[0]


def credentials(folder: Path, site: str) -> Credentials:
    """What `site` shows at the door."""
    return Credentials(
        ca_certificate=(folder / "pki" / certificates.CA_CERTIFICATE).read_bytes(),
        certificate=folder / f"{site}.pem",
        key=folder / f"{site}.tls",
        site=site,
    )
