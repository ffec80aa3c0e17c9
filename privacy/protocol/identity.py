# SPDX-License-Identifier: Apache-2.0
"""A site's TLS identity: the request that its own key signs, and the certificate that the federation's CA makes of it.

The private key never leaves the site: what travels is a certificate signing request (PKCS #10), which proves
possession, and comes back as an X.509 client certificate whose subject is the site's name and its role. Whoever takes
one takes name and role from the site's enrolment, never from the request. Keys are P-384. Time is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from privacy.base.errors import IntegrityError
from privacy.base.identifiers import Role, SiteId, sha256

MAX_PEM_CHARACTERS: Final = 4096


@dataclass(frozen=True)
class Holder:
    """Whose certificate it is: what the door knows of a caller before it says a word."""

    site: SiteId
    role: Role
    serial: int
    fingerprint: str
    """SHA-256 of the certificate, DER, in hex: what the list of those let in names."""
    valid_from: datetime
    valid_until: datetime


def subject(site: SiteId, role: Role) -> x509.Name:
    """How a site stands in its certificate."""
    attributes = [(NameOID.ORGANIZATIONAL_UNIT_NAME, role), (NameOID.COMMON_NAME, site)]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])


def make_request(key: ec.EllipticCurvePrivateKey, site: SiteId, role: Role) -> str:
    """The signing request (PEM) for `key`; the same bytes each time."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject(site, role))
    signed = builder.sign(key, hashes.SHA384(), ecdsa_deterministic=True)
    return signed.public_bytes(Encoding.PEM).decode("ascii")


def requested_key(pem: str, site: SiteId) -> ec.EllipticCurvePublicKey:
    """The key of the request in `pem`. Raises IntegrityError unless `site`'s own P-384 key signed it."""
    try:
        request = x509.load_pem_x509_csr(pem.encode("ascii"))
        key, signed = request.public_key(), request.is_signature_valid
        names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except Exception:  # whatever a parser of foreign bytes raises: it is no request
        key, signed, names = None, False, []
    if not (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1) and signed):
        raise IntegrityError(
            f"the certificate request of {site} is none that a P-384 key signed",
            reason="signature",
            next_step="ask the site to enroll and send its enrolment again",
        )
    if [name.value for name in names] != [site]:
        raise IntegrityError(
            f"the certificate request is not that of {site}", next_step="ask the site to enroll and send it again"
        )
    return key


def holder_of(der: bytes) -> Holder:
    """Whose certificate `der` is. Raises IntegrityError for one without exactly one name and one role of ours.

    Says nothing about who issued it: that is the handshake's work, or `check_certificate`'s.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        (site,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        (role,) = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except Exception:  # whatever a parser of foreign bytes raises: it is no certificate of ours
        raise IntegrityError("this is no site's certificate", next_step="admit the site again") from None
    if role.value not in ("trainer", "evaluator") or list(usage) != [ExtendedKeyUsageOID.CLIENT_AUTH]:
        raise IntegrityError("this certificate names no role of a site", next_step="admit the site again")
    return Holder(
        site=str(site.value),
        role="trainer" if role.value == "trainer" else "evaluator",
        serial=certificate.serial_number,
        fingerprint=sha256(der),
        valid_from=certificate.not_valid_before_utc,
        valid_until=certificate.not_valid_after_utc,
    )


def check_certificate(
    pem: str, authority_pem: str, *, site: SiteId, role: Role, key: ec.EllipticCurvePublicKey
) -> Holder:
    """Raises IntegrityError unless `authority_pem` issued the certificate in `pem` to this site, role and key.

    Whether it is still valid is the caller's question: a kit may lie in a drawer longer than its certificate lives.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode("ascii"))
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority_pem.encode("ascii")))
    except (ValueError, TypeError, InvalidSignature):
        raise IntegrityError(
            f"the certificate for {site} was not issued by the federation's CA",
            next_step="ask the coordinator for a new kit",
        ) from None
    holder = holder_of(certificate.public_bytes(Encoding.DER))
    if (holder.site, holder.role, _spki(certificate.public_key())) != (site, role, _spki(key)):
        raise IntegrityError(
            f"the certificate is for another site, role or key than those of {site}",
            next_step="enroll again, send enrolment.json to the coordinator, and join with the new kit",
        )
    return holder


def _spki(key: object) -> bytes:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b""
