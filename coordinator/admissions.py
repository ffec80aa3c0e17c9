# SPDX-License-Identifier: Apache-2.0
"""Which client certificates open the door: the folder `door/`, one file a site, its certificates newest first.

A certificate that the CA signed but that does not stand there is not let in, so that taking a file away is a
revocation, at once and for good. The process that listens reads this folder and nothing of `pki/`; only the
coordinator's own commands write it. Time is an argument.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from coordinator import certificates
from privacy.base.errors import IntegrityError, SettingsError
from privacy.base.files import private_folder, write_private
from privacy.base.identifiers import SiteId
from privacy.protocol.enrolment import Enrolment
from privacy.protocol.identity import Holder, holder_of

RENEW_BEFORE: Final = timedelta(days=certificates.SITE_DAYS / 2)
"""With so much life left a site's certificate is made anew, and fetched by the site over the old one."""
REVOKED: Final = "revoked.jsonl"
_TICK: Final = 50_000_000
"""Nanoseconds within which two changes of a folder may bear one time."""


@dataclass(frozen=True)
class Issued:
    """One certificate as it stands in the folder."""

    holder: Holder
    pem: str


def issued(door: Path, site: SiteId) -> list[Issued]:
    """The site's certificates, newest first; none for a site that was revoked. Raises IntegrityError for another's."""
    try:
        text = (door / f"{site}.pem").read_bytes()
    except FileNotFoundError:
        return []
    certificates = []
    try:
        for certificate in x509.load_pem_x509_certificates(text):
            holder = holder_of(certificate.public_bytes(Encoding.DER))
            certificates.append(Issued(holder, certificate.public_bytes(Encoding.PEM).decode("ascii")))
    except ValueError:
        raise IntegrityError(f"door/{site}.pem holds no certificate", next_step="admit the site again") from None
    if any(one.holder.site != site for one in certificates):
        raise IntegrityError(f"door/{site}.pem is another site's", next_step="restore the door folder from its backup")
    return certificates


def let_in(door: Path, pki: Path, enrolment: Enrolment, *, now: datetime) -> Issued:
    """Issue a certificate to a site that people admitted, and put it first; the older ones stay while they live.

    A certificate of another key or role does not stay: what a site enrolled with before opens nothing any more.
    """
    private_folder(door)
    certificate = certificates.issue_site(pki, enrolment, now=now)
    new = Issued(holder_of(certificate.public_bytes(Encoding.DER)), certificate.public_bytes(Encoding.PEM).decode())
    alike = [one for one in issued(door, enrolment.site) if one.holder.valid_until > now and _alike(one, new)]
    write_private(door / f"{enrolment.site}.pem", "".join(one.pem for one in [new, *alike]).encode("ascii"))
    return new


def _alike(one: Issued, new: Issued) -> bool:
    keys = [x509.load_pem_x509_certificate(each.pem.encode("ascii")).public_key() for each in (one, new)]
    return keys[0] == keys[1] and one.holder.role == new.holder.role


def certificate_for(door: Path, pki: Path, enrolment: Enrolment, *, now: datetime) -> Issued | None:
    """The site's newest certificate, made anew where less than half its life is left. None for a revoked site."""
    certificates = issued(door, enrolment.site)
    if not certificates:
        return None
    if certificates[0].holder.valid_until - now > RENEW_BEFORE:
        return certificates[0]
    return let_in(door, pki, enrolment, now=now)


def revoke(door: Path, pki: Path, site: SiteId, *, now: datetime) -> list[Issued]:
    """Take the site's certificates back: no handshake and no request on an open connection passes any more.

    What was taken back is noted in pki/revoked.jsonl. Raises SettingsError when the site has none.
    """
    certificates = issued(door, site)
    if not certificates:
        raise SettingsError(f"{site} has no certificate", next_step="collab-coordinator certificates DIR")
    (door / f"{site}.pem").unlink()
    lines = [*revoked(pki), *(_line(one.holder, now) for one in certificates)]
    write_private(pki / REVOKED, "".join(json.dumps(line) + "\n" for line in lines).encode())
    return certificates


def revoked(pki: Path) -> list[dict[str, str]]:
    """What was taken back, oldest first: site, serial and day."""
    path = pki / REVOKED
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _line(holder: Holder, now: datetime) -> dict[str, str]:
    return {"site": holder.site, "serial": f"{holder.serial:x}", "revoked": now.isoformat(timespec="seconds")}


class Admitted:
    """The folder as the listening process sees it: fingerprints of those let in, read again when anything changed."""

    def __init__(self, door: Path) -> None:
        self._door = door
        self._seen: object = None
        self._fingerprints: dict[str, SiteId] = {}

    def site_of(self, holder: Holder, *, now: datetime) -> SiteId | None:
        """The site that this certificate opens the door to, or None: unknown, revoked or expired."""
        self.refresh()
        if not holder.valid_from <= now <= holder.valid_until:
            return None
        return self._fingerprints.get(holder.fingerprint)

    def refresh(self) -> None:
        """Look whether the folder changed. What cannot be read lets nobody in."""
        state = self._state()
        if state != self._seen:
            self._seen, self._fingerprints = state, dict(self._read())

    def newest(self, site: SiteId) -> str:
        """The site's newest certificate, PEM; empty when there is none."""
        try:
            certificates = issued(self._door, site)
        except (IntegrityError, OSError):
            return ""
        return certificates[0].pem if certificates else ""

    def _state(self) -> object:
        """When a name in the folder last changed; a change just now may not be the last that bears this time."""
        try:
            stat = self._door.stat()
        except OSError:
            return None
        return (stat.st_mtime_ns, stat.st_ino, time.time_ns() - stat.st_mtime_ns > _TICK)

    def _read(self) -> Iterator[tuple[str, SiteId]]:
        for path in self._door.glob("*.pem"):
            try:
                for one in issued(self._door, path.stem):
                    yield one.holder.fingerprint, path.stem
            except (IntegrityError, OSError):
                continue
