# SPDX-License-Identifier: Apache-2.0
"""What a site and a coordinator hand each other before the first round: an Enrolment there, a StartKit back.

Both are canonical JSON in a file, signed by their maker over everything but the signature, each under its own domain.
Neither holds a secret. Signing proves that a file is whole, not whose it is: for that, two people compare fingerprints
(`fingerprint_of`) by telephone. Every key in an enrolment proves that the site holds it: the signing key and the node
key sign it, the TLS key signs the certificate request in it. The node key is P-384 because Flower takes no Ed25519
there (it signs timestamps).
"""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from privacy.base.canonical import canonical_bytes, digest_of
from privacy.base.errors import CollabError, ContractError, IntegrityError, SettingsError
from privacy.base.files import read_bounded, write_whole
from privacy.base.identifiers import Digest, HexBytes, Role, RunId, SiteId
from privacy.log.keys import SigningKey, VerifyKey
from privacy.log.note import NoteKey
from privacy.protocol.entries import RosterSite
from privacy.protocol.identity import MAX_PEM_CHARACTERS, requested_key
from privacy.protocol.messages import parse

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)
ENROLMENT_DOMAIN: Final = "collab/enrolment/v2"
NODE_DOMAIN: Final = "collab/enrolment/v2/node"
START_KIT_DOMAIN: Final = "collab/start-kit/v2"
MAX_SIZE_BUCKET: Final = 1 << 24
"""Sixteen million patients: more than any institution has, and few enough that weights stay honest integers."""
MAX_FILE_BYTES: Final = 4 << 20
_LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")

SigningKeyHex = Annotated[HexBytes, Field(min_length=64, max_length=64)]
SignatureHex = Annotated[HexBytes, Field(max_length=128)]
ProofHex = Annotated[HexBytes, Field(max_length=256)]


def _node_key_line(line: str) -> str:
    try:
        key = load_ssh_public_key(line.encode("ascii"))
    except Exception:
        # whatever a parser of foreign bytes raises: the line is no key
        raise ValueError("not an OpenSSH public key line") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise ValueError("the node key must be on the curve P-384")
    if key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii") != line:
        raise ValueError("a node key line has no comment and one encoding")
    return line


def _address(text: str) -> str:
    host, separator, port = text.rpartition(":")
    if not separator or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536 or port[0] == "0":
        raise ValueError("not host:port")
    if host.startswith("[") and host.endswith("]"):
        ipaddress.IPv6Address(host[1:-1])
    elif not host_is_plain(host):
        raise ValueError("not a host name or an address")
    return text


def host_is_plain(host: str) -> bool:
    """Whether `host` is a DNS name or an IPv4 address, as it may stand before `:port`."""
    labels = host.split(".")
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


NodeKeyLine = Annotated[str, StringConstraints(max_length=512), AfterValidator(_node_key_line)]
"""`ecdsa-sha2-nistp384 ...`, without a comment."""

Address = Annotated[str, StringConstraints(max_length=262), AfterValidator(_address)]
"""Where sites reach the coordinator: `host:port`, an IPv6 host in brackets."""


class KeySlots(BaseModel):
    """A site's public keys by use. An empty slot is room for a later version: this one refuses to see it filled."""

    model_config = STRICT
    version: Literal[2] = 2
    signing: SigningKeyHex = Field(description="Ed25519: signs everything that the site says")
    node: NodeKeyLine = Field(description="P-384: the site's identity towards Flower")
    tls: NodeKeyLine = Field(description="P-384: the site's identity in TLS; its certificate is made of it")
    key_agreement: None = Field(default=None, description="for secure aggregation")
    witness: None = Field(default=None, description="for cosigning checkpoints of the log")


class Enrolment(BaseModel):
    """A site asks to be admitted: its keys, and the facts that its replies are held against. No exact size is in it."""

    model_config = STRICT
    version: Literal[2] = 2
    site: SiteId
    role: Role
    size_bucket: int = Field(ge=1, le=MAX_SIZE_BUCKET, description="privacy units, rounded by the site as it sees fit")
    policy_digest: Digest = Field(description="of the site's policy, which stays at home")
    simulated: bool = Field(description="the keys follow a known seed")
    keys: KeySlots
    secret_key_commitment: Digest = Field(description="binds the site key that drives its secret streams")
    certificate_request: str = Field(max_length=MAX_PEM_CHARACTERS, description="PKCS #10 by keys.tls, PEM")
    node_signature: ProofHex = Field(description="by keys.node, over the rest but the signature: proof of possession")
    signature: SignatureHex = Field(description="by keys.signing, over the rest: proof of possession")

    def roster_site(self) -> RosterSite:
        """What the log and the other sites know of this one."""
        return RosterSite(
            signing_key=self.keys.signing,
            size_bucket=self.size_bucket,
            policy_digest=self.policy_digest,
            role=self.role,
        )


class StartKit(BaseModel):
    """What a site needs to find its coordinator, to be let in, and to hold it to its word. New at each admission; only
    the certificate differs from site to site."""

    model_config = STRICT
    version: Literal[2] = 2
    federation: RunId
    address: Address
    ca_certificate: str = Field(max_length=16384, description="PEM of the federation's own CA")
    certificate: str = Field(max_length=MAX_PEM_CHARACTERS, description="PEM of the site's client certificate")
    coordinator_key: SigningKeyHex = Field(description="Ed25519: signs everything that the coordinator sends")
    log_origin: str = Field(pattern=r"^collab/[a-z0-9][a-z0-9_-]{0,63}$", description="first line of each checkpoint")
    log_vkey: str = Field(max_length=256, description="C2SP verifier key of the log: name+hash+key")
    roster: dict[SiteId, RosterSite]
    enrolments: dict[SiteId, Digest] = Field(description="digest of each admitted enrolment, whole")
    simulated: bool = Field(description="the coordinator's keys follow a known seed")
    signature: SignatureHex = Field(description="by coordinator_key, over the rest")

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> StartKit:
        if self.roster.keys() != self.enrolments.keys():
            raise ValueError("roster and enrolments name different sites")
        if self.log_origin != f"collab/{self.federation}":
            raise ValueError("the log's origin is not the federation's")
        return self

    def log_key(self) -> NoteKey:
        """What the log's checkpoints are held against. Raises SettingsError when the line is no verifier key."""
        return NoteKey.parse(self.log_vkey)


Signed = TypeVar("Signed", Enrolment, StartKit)


def _unsigned_bytes(value: Enrolment | StartKit) -> bytes:
    return canonical_bytes(value.model_dump(mode="json", exclude={"signature"}))


def _node_bytes(value: Enrolment) -> bytes:
    body = canonical_bytes(value.model_dump(mode="json", exclude={"signature", "node_signature"}))
    return NODE_DOMAIN.encode() + b"\n" + body


def sign_enrolment(unsigned: Enrolment, key: SigningKey, node: ec.EllipticCurvePrivateKey) -> Enrolment:
    """`unsigned` with both its signatures. The keys must be those in its slots."""
    _same_key(unsigned.keys.signing, key)
    proof = node.sign(_node_bytes(unsigned), ec.ECDSA(hashes.SHA384(), deterministic_signing=True))
    proven = unsigned.model_copy(update={"node_signature": proof.hex()})
    return proven.model_copy(update={"signature": key.sign(ENROLMENT_DOMAIN, _unsigned_bytes(proven)).hex()})


def sign_start_kit(unsigned: StartKit, key: SigningKey) -> StartKit:
    """`unsigned` with its signature. `key` must be the coordinator's key named in it."""
    _same_key(unsigned.coordinator_key, key)
    return unsigned.model_copy(update={"signature": key.sign(START_KIT_DOMAIN, _unsigned_bytes(unsigned)).hex()})


def _same_key(named: str, key: SigningKey) -> None:
    if key.verify_key().hex() != named:
        raise ContractError("a file is signed by the key that it names")


def check_enrolment(enrolment: Enrolment) -> None:
    """Raises IntegrityError unless each of its keys proves that whoever made the enrolment holds it."""
    _check(ENROLMENT_DOMAIN, enrolment, enrolment.keys.signing, "enrolment", "ask the site to enroll and send it again")
    try:
        node = _key_of(enrolment.keys.node)
        node.verify(bytes.fromhex(enrolment.node_signature), _node_bytes(enrolment), ec.ECDSA(hashes.SHA384()))
    except (InvalidSignature, ValueError):
        raise IntegrityError(
            f"{enrolment.site} does not prove that it holds its node key",
            reason="signature",
            next_step="ask the site to enroll and send it again",
        ) from None
    if line_of(requested_key(enrolment.certificate_request, enrolment.site)) != enrolment.keys.tls:
        raise IntegrityError(
            f"{enrolment.site} does not prove that it holds its TLS key",
            reason="signature",
            next_step="ask the site to enroll and send it again",
        )


def line_of(key: ec.EllipticCurvePublicKey) -> str:
    """A P-384 public key as it stands in a slot: one OpenSSH line without a comment."""
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")


def _key_of(line: str) -> ec.EllipticCurvePublicKey:
    key = load_ssh_public_key(line.encode("ascii"))
    assert isinstance(key, ec.EllipticCurvePublicKey)  # NodeKeyLine
    return key


def tls_key_of(enrolment: Enrolment) -> ec.EllipticCurvePublicKey:
    """The key that the site's client certificate is made of."""
    return _key_of(enrolment.keys.tls)


def check_start_kit(kit: StartKit, *, now: datetime) -> None:
    """Raises IntegrityError unless the key in the kit signed it and its CA certificate is valid at `now` (UTC)."""
    _check(START_KIT_DOMAIN, kit, kit.coordinator_key, "start kit", "ask the coordinator to send it again")
    if kit.log_key().name != kit.log_origin:
        raise IntegrityError(
            "the start kit's log key is for another log", next_step="ask the coordinator for a new kit"
        )
    check_authority(kit.ca_certificate, now=now)


def _check(domain: str, value: Enrolment | StartKit, key_hex: str, noun: str, next_step: str) -> None:
    message = f"this {noun} was altered, or is not signed by the key that it names"
    try:
        VerifyKey.from_hex(key_hex).verify(domain, _unsigned_bytes(value), bytes.fromhex(value.signature))
    except (IntegrityError, SettingsError, ValueError):
        raise IntegrityError(message, reason="signature", next_step=next_step) from None


def check_authority(pem: str, *, now: datetime) -> x509.Certificate:
    """The CA certificate in `pem`. Raises IntegrityError when it is none, or not valid at `now`."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode("ascii"))
        is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, x509.ExtensionNotFound):
        is_authority = False
    if not is_authority:
        raise IntegrityError("the start kit holds no CA certificate", next_step="ask the coordinator for a new kit")
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise IntegrityError(
            f"the federation's CA certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d} to "
            f"{certificate.not_valid_after_utc:%Y-%m-%d}, not today",
            next_step="check this machine's clock; if it is right, the coordinator must make a new federation folder",
        )
    return certificate


def enrolment_digest(enrolment: Enrolment) -> Digest:
    """Of the whole enrolment, its signature included."""
    return digest_of(enrolment)


def fingerprint_of(key_hex: str) -> str:
    """What two people compare by telephone."""
    return VerifyKey.from_hex(key_hex).fingerprint()


def encode(value: Enrolment | StartKit) -> bytes:
    """The file: canonical JSON and one newline."""
    return canonical_bytes(value) + b"\n"


def write(path: Path, value: Enrolment | StartKit) -> None:
    """Put the file in place in one step. It holds no secret."""
    write_whole(path, encode(value))


def read_enrolment(path: Path) -> Enrolment:
    """The enrolment in a file, signature checked. Raises SettingsError, ContractError or IntegrityError."""
    enrolment = _read(path, Enrolment, "ask the site for the enrolment.json that its `collab-client enroll` wrote")
    check_enrolment(enrolment)
    return enrolment


def read_start_kit(path: Path, *, now: datetime) -> StartKit:
    """The start kit in a file, checked (`check_start_kit`). Raises SettingsError, ContractError or IntegrityError."""
    kit = _read(path, StartKit, "ask the coordinator for the file in kits/ of its folder")
    check_start_kit(kit, now=now)
    return kit


def _read(path: Path, model: type[Signed], next_step: str) -> Signed:
    data = read_bounded(path, MAX_FILE_BYTES)
    try:
        return parse(model, data.removesuffix(b"\n"))
    except CollabError as error:
        if model is Enrolment and data.rstrip().endswith(b'"version":1}'):
            raise ContractError(
                f"{path.name} was made before sites had a TLS key",
                next_step="the site runs `collab-client enroll` again, which keeps its keys and adds that one, and "
                "sends the new enrolment.json",
            ) from None
        raise ContractError(f"{path.name}: {error.message}", next_step=next_step) from None
