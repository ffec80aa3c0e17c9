# SPDX-License-Identifier: Apache-2.0
"""The federation's own certificates: one private CA, one server certificate, one for each site (X.509, P-384).

Neither side trusts another CA. Rules: the CA's key never leaves the coordinator's folder and is read by no process that
listens; a renewal keeps the key and changes one file in one step; what has expired, or was not issued here, is told
before anything is started. Time is an argument. Which of the sites' certificates open the door: coordinator.admissions.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from privacy.base.errors import IntegrityError, SettingsError
from privacy.base.files import read_secret, write_secret, write_whole
from privacy.protocol.enrolment import Enrolment, host_is_plain, tls_key_of
from privacy.protocol.identity import subject

CA_DAYS: Final = 3650
SERVER_DAYS: Final = 397
SITE_DAYS: Final = 30
CLOCK_SKEW: Final = timedelta(hours=1)

CA_KEY: Final = "ca.key"
CA_CERTIFICATE: Final = "ca.crt"
SERVER_KEY: Final = "server.key"
SERVER_CERTIFICATE: Final = "server.crt"


def make_authority(pki: Path, federation: str, *, now: datetime) -> None:
    """A new CA in the folder `pki`. Raises SettingsError when there is a key already."""
    key = ec.generate_private_key(ec.SECP384R1())
    write_secret(pki / CA_KEY, _private_pem(key))
    subject = _name(f"collab {federation} CA")
    certificate = (
        _builder(subject, subject, key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA384())
    )
    write_whole(pki / CA_CERTIFICATE, certificate.public_bytes(Encoding.PEM))


def make_server(pki: Path, hosts: Sequence[str], *, now: datetime) -> None:
    """A new server key and its certificate for `hosts` (DNS names or addresses; sites are told the first)."""
    names = [alternative_name(host) for host in hosts]
    write_secret(pki / SERVER_KEY, _private_pem(ec.generate_private_key(ec.SECP384R1())))
    _issue(pki, names, now)


def renew_server(pki: Path, hosts: Sequence[str] = (), *, now: datetime) -> None:
    """A new certificate for the same server key, for `hosts`, or for those of the old certificate."""
    names = [alternative_name(host) for host in hosts] or list(_alternative_names(_load(pki / SERVER_CERTIFICATE)))
    _issue(pki, names, now)


def check(pki: Path, *, now: datetime) -> datetime:
    """When the server's certificate ends. Raises IntegrityError when it is expired, foreign or for another key."""
    authority, server = _load(pki / CA_CERTIFICATE), _load(pki / SERVER_CERTIFICATE)
    if _public(_load_key(pki / CA_KEY).public_key()) != _public(authority.public_key()):
        raise IntegrityError("the CA's certificate is for another key", next_step="restore pki/ from one backup")
    _within(
        authority, "CA", now, "make a new federation folder with `collab-coordinator init`, and admit the sites again"
    )
    try:
        server.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        raise IntegrityError(
            "the server certificate was not issued by this federation's CA",
            next_step="collab-coordinator renew DIR",
        ) from None
    _within(server, "server", now, "collab-coordinator renew DIR; the sites need nothing new")
    if _public(_load_key(pki / SERVER_KEY).public_key()) != _public(server.public_key()):
        raise IntegrityError("the server certificate is for another key", next_step="collab-coordinator renew DIR")
    return server.not_valid_after_utc


def issue_site(pki: Path, enrolment: Enrolment, *, now: datetime, days: int = SITE_DAYS) -> x509.Certificate:
    """A client certificate for a site that people admitted: its name and role, its own TLS key, `days` of life."""
    authority, authority_key = _load(pki / CA_CERTIFICATE), _load_key(pki / CA_KEY)
    name = subject(enrolment.site, enrolment.role)
    builder = _builder(name, authority.subject, tls_key_of(enrolment), now, days)
    return _signed(builder, authority_key, tls_key_of(enrolment), ExtendedKeyUsageOID.CLIENT_AUTH)


def hosts(pki: Path) -> list[str]:
    """The names in the server certificate, in their order: the first is the one that sites are told."""
    return [str(name.value) for name in _alternative_names(_load(pki / SERVER_CERTIFICATE))]


def alternative_name(host: str) -> x509.GeneralName:
    """How `host` stands in a certificate. Raises SettingsError when it is neither a DNS name nor an IP address."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if host_is_plain(host):
            return x509.DNSName(host)
    raise SettingsError(
        "a host is neither a DNS name nor an IP address", next_step="give --host a name such as fl.example.org"
    )


def _issue(pki: Path, names: Sequence[x509.GeneralName], now: datetime) -> None:
    authority, authority_key, key = _load(pki / CA_CERTIFICATE), _load_key(pki / CA_KEY), _load_key(pki / SERVER_KEY)
    if not names:
        raise SettingsError("a server certificate needs at least one host", next_step="give --host")
    builder = _builder(_name("collab coordinator"), authority.subject, key.public_key(), now, SERVER_DAYS)
    named = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = _signed(named, authority_key, key.public_key(), ExtendedKeyUsageOID.SERVER_AUTH)
    write_whole(pki / SERVER_CERTIFICATE, certificate.public_bytes(Encoding.PEM))


def _signed(
    builder: x509.CertificateBuilder,
    authority_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePublicKey,
    use: x509.ObjectIdentifier,
) -> x509.Certificate:
    """An end's certificate, for one use."""
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA384())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _within(certificate: x509.Certificate, whose: str, now: datetime, next_step: str) -> None:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > end:
        raise IntegrityError(f"the {whose} certificate expired on {end:%Y-%m-%d}", next_step=next_step)
    if now < start:
        raise IntegrityError(f"the {whose} certificate is valid from {start:%Y-%m-%d}", next_step="check the clock")


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public(key: object) -> bytes:
    return (
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if isinstance(key, ec.EllipticCurvePublicKey)
        else b""
    )


def _load(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        raise SettingsError(
            f"the certificate {path.name} is missing or is none", next_step="restore the pki folder from its backup"
        ) from None


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(read_secret(path), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SettingsError(
            f"the key file {path.name} holds no elliptic-curve key", next_step="restore it from its backup"
        )
    return key
