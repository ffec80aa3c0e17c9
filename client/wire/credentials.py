# SPDX-License-Identifier: Apache-2.0
"""What a site shows at the coordinator's door: its client certificate, over a key that stays home, renewed in time.

The certificate of the start kit is the first; a newer one comes over the connection while the old one still holds, and
is kept only if the federation's CA made it for this site, role and key. The server is held to the same one CA. Time is
an argument (`clock`).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from privacy.base.errors import IntegrityError, SettingsError
from privacy.base.files import read_secret, write_private
from privacy.base.identifiers import Role, SiteId
from privacy.protocol.identity import Holder, check_certificate

DUE_SHARE: Final = 0.5
"""Of its life: with so much left the site begins to ask for a newer certificate."""
_JOIN_AGAIN: Final = "ask the coordinator for a new start kit, and join again"


class Credentials:
    """The certificate in the file `certificate` and the key (PEM, 0600) in `key`, for a server of `ca_certificate`.

    Raises SettingsError for files that are none or that others may read, IntegrityError where they do not belong
    together. An expired certificate is no error here: the coordinator says so, and the site waits.
    """

    def __init__(
        self,
        *,
        ca_certificate: bytes,
        certificate: Path,
        key: Path,
        site: SiteId,
        role: Role = "trainer",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._authority = _text(ca_certificate)
        self._certificate, self._key_file, self._site, self._role = certificate, key, site, role
        self._clock = clock
        self._key = _load_key(key)
        self._contexts: list[ssl.SSLContext] = []
        self.holder = self._check(self._read())

    def context(self) -> ssl.SSLContext:
        """TLS 1.3 to the federation's CA and no other, showing this site's certificate. It follows a renewal."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks name and chain, and knows no CA yet
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            context.load_verify_locations(cadata=self._authority)
        except ssl.SSLError:
            raise SettingsError("the federation's CA is no certificate", next_step=_JOIN_AGAIN) from None
        context.load_cert_chain(self._certificate, self._key_file)
        self._contexts.append(context)
        return context

    def due(self) -> bool:
        """Whether it is time for a newer certificate."""
        life = self.holder.valid_until - self.holder.valid_from
        return self.holder.valid_until - self._clock() < life * DUE_SHARE

    def expired(self) -> bool:
        """Whether the certificate opens nothing any more."""
        return self._clock() > self.holder.valid_until

    def take(self, pem: str) -> bool:
        """Keep a certificate that came over the connection, if it is ours, holds now and is newer than what we have.

        New connections show it; what is no better than the one we have is left where it is.
        """
        try:
            offered = self._check(pem)
        except IntegrityError:
            return False
        newer = offered.valid_until > self.holder.valid_until
        if not newer or not offered.valid_from <= self._clock() <= offered.valid_until:
            return False
        write_private(self._certificate, pem.encode("ascii"))
        for context in self._contexts:
            context.load_cert_chain(self._certificate, self._key_file)
        self.holder = offered
        return True

    def _check(self, pem: str) -> Holder:
        return check_certificate(pem, self._authority, site=self._site, role=self._role, key=self._key.public_key())

    def _read(self) -> str:
        try:
            return self._certificate.read_text("ascii")
        except (OSError, UnicodeDecodeError):
            raise SettingsError("the site's certificate is missing or is none", next_step=_JOIN_AGAIN) from None


def _text(ca_certificate: bytes) -> str:
    try:
        return ca_certificate.decode("ascii")
    except UnicodeDecodeError:
        raise SettingsError("the federation's CA is no certificate", next_step=_JOIN_AGAIN) from None


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(read_secret(path), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise SettingsError(f"the TLS key {path.name} is no P-384 key", next_step="restore it from its backup")
    return key
