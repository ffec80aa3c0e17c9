# SPDX-License-Identifier: Apache-2.0
"""A federation on loopback: own CA, P-384 node keys, the real SuperLink, sites in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from coordinator import certificates
from coordinator.courier import Courier
from coordinator.superlink import FlowerGrid, flower_grid
from privacy.exchange.messages import Parcel, ReasonCode

SITES = ("hospital_a", "hospital_b")


class Loopback:
    """One coordinator's grid and the sites that a test starts beside it."""

    def __init__(self, folder: Path, stack: ExitStack, max_payload_bytes: int = 64 << 20) -> None:
        self.folder, self.stack = folder, stack
        self.pki = self.make_pki("pki")
        self.lines = {site: self.make_key(site) for site in SITES}
        grid = flower_grid(
            folder / "superlink",
            host="127.0.0.1",
            port=0,
            certificate=self.pki / "server.crt",
            private_key=self.pki / "server.key",
            node_keys=self.lines,
            max_payload_bytes=max_payload_bytes,
        )
        self.grid: FlowerGrid
        self.grid, self.nodes = stack.enter_context(grid)
        self.courier = Courier(self.grid, self.nodes)
        self.address = f"127.0.0.1:{self.grid.superlink.port}"
        self.log = folder / "superlink" / "superlink.log"

    def make_pki(self, name: str) -> Path:
        pki = self.folder / name
        pki.mkdir(mode=0o700)
        certificates.make_authority(pki, "loopback", now=datetime.now(UTC))
        certificates.make_server(pki, ["localhost", "127.0.0.1"], now=datetime.now(UTC))
        return pki

    def make_key(self, name: str) -> str:
        key = ec.generate_private_key(ec.SECP384R1())
        (self.folder / f"{name}.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        )
        return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

    def start_site(
        self, site: str, *, key: str | None = None, pki: Path | None = None, seconds: float = 0.0
    ) -> subprocess.Popen[bytes]:
        """A site's process; its events go to `<site>.events`."""
        arguments = [self.address, (pki or self.pki) / "ca.crt", self.folder / f"{key or site}.key", site, seconds]
        with (self.folder / f"{site}.events").open("ab") as events:
            process = subprocess.Popen(
                [sys.executable, str(Path(__file__).parent / "echo_site.py"), *map(str, arguments)],
                stdout=events,
                stderr=events,
            )
        self.stack.callback(lambda: (process.kill(), process.wait()))
        return process

    def events(self, site: str) -> list[str]:
        return (self.folder / f"{site}.events").read_text().splitlines()

    def exchange(
        self, payloads: dict[str, Parcel], *, server_round: int = 1, seconds: float = 60.0, limit: int = 64 << 20
    ) -> dict[str, Parcel | ReasonCode]:
        return dict(
            self.courier.exchange(
                payloads,
                phase="update",
                server_round=server_round,
                deadline_seconds=seconds,
                max_payload_bytes=limit,
            )
        )


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def loopback(tmp_path: Path) -> Iterator[Loopback]:
    with ExitStack() as stack:
        yield Loopback(tmp_path, stack)


@pytest.fixture(name="wait_for")
def wait_for_fixture() -> Callable[..., None]:
    return wait_for
