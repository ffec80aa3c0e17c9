# SPDX-License-Identifier: Apache-2.0
"""The one thing that crosses an institution's border: an Envelope, signed, with its body and its payload.

The signature covers the envelope, the envelope the body's digest, the body the payload's digest. A body is canonical
JSON: no floats, no exact sizes of private data, no free text. A reply names the plan that it answers; one plan digest
gets one reply. An envelope names the log in which its context stands and whom it is for, so that nothing said in one
federation, or to one site, means anything elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Annotated, Final, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from privacy.base.canonical import DecimalString, canonical_bytes
from privacy.base.errors import ContractError, IntegrityError
from privacy.base.identifiers import Digest, HexBytes, Role, RunId, SiteId, sha256
from privacy.dp.params import PrivacySpent
from privacy.log.keys import SigningKey, VerifyKey
from privacy.protocol import phases
from privacy.protocol.anonymization_check import SelfCheck
from privacy.protocol.mechanism import MechanismCheck
from privacy.protocol.plans import EncodingPlan
from privacy.protocol.reasons import ReasonCode

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)
UNBOUND_DOMAIN: Final = "collab/envelope/v1"
"""Of envelopes in logs of version 1 to 3, which name neither log nor recipient."""
ENVELOPE_DOMAIN: Final = "collab/envelope/v2"
COORDINATOR: Final = "coordinator"
MAX_BODY_BYTES: Final = 4 << 20
MAX_REPLY_BYTES: Final = 64 << 10
"""The longest body of a site. What it says is logged for good, so it is bounded before it is read."""

Phase = Annotated[str, AfterValidator(phases.known_phase)]
"""The name of a phase in which sites are asked: a file in privacy/protocol/phases/."""
MessageKind = Annotated[str, AfterValidator(phases.known_kind)]
"""What a message is: "delivery", "refusal", or the reply of a phase."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds characters that are not printable")
    return text


Printable = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_printable)]
"""What people read in a terminal or on a page: no control characters, none that changes a line's direction."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")]
LogLine = Annotated[Printable, StringConstraints(pattern=r"^[^+\s]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+$")]
"""A C2SP verifier key: name+hash+key."""


class Envelope(BaseModel):
    """Who says what, in which round, about which context. `signature` is Ed25519 over the domain and the other fields.

    `context_digest` is the digest of what is answered or continued: a delivery's log entry, a reply's plan. `log_vkey`
    and `recipient` are there from version 4 of the log on.
    """

    model_config = STRICT
    kind: MessageKind
    run_id: RunId
    server_round: int = Field(ge=0)
    attempt: int = Field(ge=1)
    phase: Phase
    sender: SiteId
    context_digest: Digest
    body_digest: Digest
    log_vkey: LogLine | None = Field(
        default=None, exclude_if=lambda value: value is None, description="the key line of the federation's log"
    )
    recipient: SiteId | None = Field(
        default=None, exclude_if=lambda value: value is None, description="whom it is for: a site, or the coordinator"
    )
    signature: HexBytes = Field(max_length=128)

    @model_validator(mode="after")
    def _is_bound_or_not(self) -> Self:
        if (self.log_vkey is None) != (self.recipient is None):
            raise ValueError("an envelope names both its log and its recipient, or neither")
        return self

    @property
    def header(self) -> Header:
        """What it says beside its body's digest and its signature. Raises ContractError where it is not bound."""
        if self.log_vkey is None or self.recipient is None:
            raise ContractError("an envelope of an old log names neither its log nor its recipient")
        return Header(**{field.name: getattr(self, field.name) for field in fields(Header)})

    @property
    def bound(self) -> bool:
        """Whether it names its log and its recipient."""
        return self.log_vkey is not None

    @property
    def domain(self) -> str:
        """Under which its signature stands."""
        return ENVELOPE_DOMAIN if self.bound else UNBOUND_DOMAIN

    def signed_bytes(self) -> bytes:
        """What the signature covers: every field but the signature, canonical."""
        return canonical_bytes(self.model_dump(mode="json", exclude={"signature"}))


@dataclass(frozen=True)
class Header:
    """All that an envelope says beside its body's digest and its signature; what each means: Envelope."""

    kind: MessageKind
    run_id: RunId
    server_round: int
    attempt: int
    phase: Phase
    sender: SiteId
    context_digest: Digest
    log_vkey: str
    recipient: SiteId

    def reply(self, kind: MessageKind, context_digest: Digest) -> Header:
        """That of a site's answer: to the coordinator, in the same run, round, attempt, phase and log."""
        return replace(self, kind=kind, context_digest=context_digest, sender=self.recipient, recipient=COORDINATOR)


@dataclass(frozen=True)
class SignedMessage:
    """An envelope with its canonical body and its payload (b"" if it has none)."""

    envelope: Envelope
    body: bytes
    payload: bytes = b""

    def __repr__(self) -> str:
        return f"SignedMessage({self.envelope.kind} of {self.envelope.sender}, round {self.envelope.server_round})"


class SiteHello(BaseModel):
    """A site is there: what it runs on, and the last tree size it saw of the coordinator's log."""

    model_config = STRICT
    context_digest: Digest = Field(description="digest of the run_opened entry's body")
    policy_digest: Digest
    size_bucket: int = Field(ge=1, le=1 << 40)
    role: Role
    software: dict[Name, Printable] = Field(max_length=64)
    device: Printable
    threads: int = Field(ge=1, le=1 << 16)
    deterministic: bool
    simulated: bool
    environment_digest: Digest
    seen_tree_size: int = Field(ge=0)


class SiteUpdate(BaseModel):
    """What a site says beside its int32 payload."""

    model_config = STRICT
    plan_digest: Digest
    payload_digest: Digest
    payload_bytes: int = Field(ge=0)
    num_steps: int = Field(ge=1)
    encoding: EncodingPlan
    spent: PrivacySpent | None = Field(description="of this run at this site, this round included; None: not private")
    secret_seed_commitment: Digest
    environment_digest: Digest
    anonymization_commitment: Digest
    self_check: SelfCheck | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="of this run at this site, on invented notes; not there in a log of version 1",
    )
    mechanism_check: MechanismCheck | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="of this run at this site, on no data; not there without noise, nor in a log of version 1 or 2",
    )
    seen_tree_size: int = Field(ge=0)


class SiteMetrics(BaseModel):
    """Noised counts: of what was said right, of what wrong, and where the plan asks for it three a class.

    What they mean and how much noise they bear: EvaluationPlan. `correct` and `incorrect` are there from version 4 of
    the log on.
    """

    model_config = STRICT
    plan_digest: Digest
    correct: int | None = Field(default=None, exclude_if=lambda value: value is None)
    incorrect: int | None = Field(default=None, exclude_if=lambda value: value is None)
    right: tuple[int, ...] = Field(max_length=4096)
    actual: tuple[int, ...] = Field(max_length=4096)
    predicted: tuple[int, ...] = Field(max_length=4096)
    noise_std: DecimalString = Field(
        description="of each count; 0 only from an evaluator with public data or in a non-private run"
    )
    spent: PrivacySpent | None
    seen_tree_size: int = Field(ge=0)


class Refusal(BaseModel):
    """A site says no. Only the code leaves; the sentence stays in the site's own log."""

    model_config = STRICT
    plan_digest: Digest
    reason: ReasonCode
    seen_tree_size: int = Field(ge=0)


Body = TypeVar("Body", bound=BaseModel)


def seal(body: BaseModel, header: Header, key: SigningKey, payload: bytes = b"") -> SignedMessage:
    """Sign `body` into a SignedMessage. Deterministic: the same arguments give the same bytes (Ed25519, RFC 8032)."""
    encoded = canonical_bytes(body)
    unsigned = Envelope(**vars(header), body_digest=sha256(encoded), signature="")
    signature = key.sign(unsigned.domain, unsigned.signed_bytes()).hex()
    return SignedMessage(unsigned.model_copy(update={"signature": signature}), encoded, payload)


def parse(model: type[Body], encoded: bytes) -> Body:
    """`encoded` as a strict `model` in its one canonical encoding. Raises ContractError, which quotes nothing of it."""
    if len(encoded) > MAX_BODY_BYTES:
        raise ContractError(f"a {model.__name__} is longer than {MAX_BODY_BYTES} bytes")
    try:
        value = model.model_validate_json(encoded)
    except ValidationError as error:
        places = sorted({".".join(str(part) for part in item["loc"]) or "(whole)" for item in error.errors()})
        raise ContractError(f"this is no {model.__name__}: check {', '.join(places[:5])}") from None
    if canonical_bytes(value) != encoded:
        raise ContractError(f"a {model.__name__} must come in its canonical encoding")
    return value


def check_signature(envelope: Envelope, key: VerifyKey) -> None:
    """Raises IntegrityError("signature") unless `key` signed `envelope`."""
    try:
        key.verify(envelope.domain, envelope.signed_bytes(), bytes.fromhex(envelope.signature))
    except IntegrityError:
        raise IntegrityError(f"the signature of {envelope.sender} does not hold", reason="signature") from None


def check_addressed(envelope: Envelope, log_vkey: str, recipient: SiteId) -> None:
    """Raises IntegrityError("replayed") unless `envelope` was written for `recipient` in the federation of that log."""
    if (envelope.log_vkey, envelope.recipient) != (log_vkey, recipient):
        raise IntegrityError("this was said in another federation, or to somebody else", reason="replayed")


def open_message(message: SignedMessage, model: type[Body], key: VerifyKey) -> Body:
    """The body of `message`, after its signature and digest held. Its payload is checked by who knows its digest."""
    check_signature(message.envelope, key)
    if sha256(message.body) != message.envelope.body_digest:
        raise IntegrityError(f"the body sent by {message.envelope.sender} is not the one signed", reason="signature")
    return parse(model, message.body)
