# SPDX-License-Identifier: Apache-2.0
"""Asking sites and judging what they answer. A reply is an answer or a refusal with a reason code, never an exception.

Each site gets the same log entry with proofs that continue the tree which it saw last. A site whose last reply was lost
says `stale_proof` with the size that it did see, and is asked once more from there. Whatever the auditor would find in
an answer is found here first, so that no site can spoil the log of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal

from pydantic import ValidationError

from coordinator.deadlines import Deadline
from coordinator.journal import Journal
from coordinator.planning import Recipe
from coordinator.wire.message_exchange import MessageExchange
from privacy.base.canonical import digest_of
from privacy.base.errors import ContractError, IntegrityError
from privacy.base.identifiers import Digest, SiteId, sha256
from privacy.log.keys import SigningKey, VerifyKey
from privacy.protocol import phases
from privacy.protocol.delivery import Delivery
from privacy.protocol.entries import AuditEntry, EntryBody, UpdateReceived
from privacy.protocol.messages import (
    COORDINATOR,
    MAX_REPLY_BYTES,
    Body,
    Envelope,
    Header,
    Phase,
    Refusal,
    SignedMessage,
    check_addressed,
    open_message,
    seal,
)
from privacy.protocol.plans import RoundPlan
from privacy.protocol.reasons import ReasonCode
from privacy.protocol.run import Run
from privacy.update.quantize import check_bound, decode

HEADROOM: int = 1 << 20
"""Bytes beside the payload that a reply may have."""


@dataclass(frozen=True)
class OpenedReply(Generic[Body]):
    """A reply whose signature, digests and context hold."""

    message: SignedMessage
    body: Body


@dataclass(frozen=True)
class RefusedReply:
    """No usable reply: who says so, why, the envelope if one came, and what the site signed if it was its own no."""

    by: Literal["site", "coordinator"]
    reason: ReasonCode
    envelope: Envelope | None = None
    refusal: Refusal | None = None

    @property
    def seen_tree_size(self) -> int | None:
        """How far the site says that it follows the log."""
        return self.refusal.seen_tree_size if self.refusal else None


@dataclass(frozen=True)
class Question:
    """One log entry for some sites, in a phase: `digest` is what they answer, `payloads` what each gets with it."""

    entry: AuditEntry
    phase: Phase
    digest: Digest
    sites: tuple[SiteId, ...]
    payloads: Mapping[SiteId, bytes]
    wait: Deadline


class RequestDispatcher:
    """Sends one log entry to many sites and yields what each of them answers, one reply in memory at a time."""

    def __init__(self, recipe: Recipe, journal: Journal, message_exchange: MessageExchange, key: SigningKey) -> None:
        self._roster, self._run_id = recipe.opened.roster, recipe.settings.run.run_id
        self._largest = recipe.contract.payload_bytes + HEADROOM
        self._journal, self._message_exchange, self._key = journal, message_exchange, key
        self._log_vkey = journal.log_key.vkey()
        self.seen: dict[SiteId, int] = {}

    def ask(self, question: Question) -> Iterator[tuple[SiteId, OpenedReply[Any] | RefusedReply]]:
        """Deliver the question's entry; answers come in the order of site names."""
        again: list[SiteId] = []
        for site, reply in self._round_trip(question, question.sites, attempt=1):
            if isinstance(reply, RefusedReply) and reply.by == "site" and reply.reason == "stale_proof":
                again.append(site)
            else:
                yield site, reply
        if again:
            yield from self._round_trip(question, tuple(again), attempt=2)

    def _round_trip(
        self, question: Question, sites: tuple[SiteId, ...], *, attempt: int
    ) -> Iterator[tuple[SiteId, OpenedReply[Any] | RefusedReply]]:
        messages = {site: self._message(question, site, attempt) for site in sites}
        replies = self._message_exchange.send_and_receive(
            messages,
            phase=question.phase,
            server_round=question.entry.server_round,
            deadline_seconds=question.wait.present,
            absent_seconds=question.wait.absent,
            max_payload_bytes=self._largest,
        )
        for site, reply in replies:
            if not isinstance(reply, SignedMessage):
                yield site, RefusedReply("coordinator", reply)
                continue
            outcome = self._open(site, reply, messages[site].envelope, question)
            size = outcome.seen_tree_size if isinstance(outcome, RefusedReply) else outcome.body.seen_tree_size
            if size is not None and size <= self._journal.tree_size:
                self.seen[site] = size
            elif isinstance(
                outcome, OpenedReply
            ):  # no proof can start there, and the other sites must not suffer for it
                outcome = RefusedReply("coordinator", "log_forked", outcome.message.envelope)
            yield site, outcome

    def _message(self, question: Question, site: SiteId, attempt: int) -> SignedMessage:
        entry = question.entry
        return seal(
            Delivery(entry=entry, proof=self._journal.prove(entry.index, self.seen.get(site, 0))),
            Header(
                kind="delivery",
                run_id=self._run_id,
                server_round=entry.server_round,
                attempt=attempt,
                phase=question.phase,
                sender=COORDINATOR,
                context_digest=digest_of(entry),
                log_vkey=self._log_vkey,
                recipient=site,
            ),
            self._key,
            payload=question.payloads.get(site, b""),
        )

    def _open(
        self, site: SiteId, reply: SignedMessage, sent: Envelope, question: Question
    ) -> OpenedReply[Any] | RefusedReply:
        envelope, phase = reply.envelope, phases.definition_of(question.phase)
        try:
            if envelope.sender != site:
                raise IntegrityError("a reply in another site's name", reason="signature")
            if len(reply.body) > MAX_REPLY_BYTES:
                raise ContractError("a site says more than it may")
            check_addressed(envelope, self._log_vkey, COORDINATOR)
            key = VerifyKey.from_hex(self._roster[site].signing_key)
            if envelope.kind == "refusal":
                refusal = open_message(reply, Refusal, key)
                self._check_context(envelope, sent, question.digest)
                if refusal.plan_digest != question.digest:
                    raise IntegrityError("a refusal of another plan", reason="replayed")
                return RefusedReply("site", refusal.reason, envelope, refusal)
            body = open_message(reply, phase.body, key)
            self._check_context(envelope, sent, question.digest)
            if envelope.kind != phase.reply:
                raise ContractError("a reply of another kind")
        except (ContractError, IntegrityError) as error:
            return RefusedReply("coordinator", _code(error), envelope)
        return OpenedReply(reply, body)

    @staticmethod
    def _check_context(envelope: Envelope, sent: Envelope, plan_digest: Digest) -> None:
        if (envelope.run_id, envelope.server_round, envelope.phase) != (sent.run_id, sent.server_round, sent.phase):
            raise IntegrityError("a reply to another round", reason="replayed")
        if envelope.context_digest != plan_digest:
            raise IntegrityError("a reply to another plan", reason="replayed")


def _code(error: ContractError | IntegrityError) -> ReasonCode:
    return error.reason  # type: ignore[return-value]  # every reason in the error tree is a ReasonCode: tested


def draft(body: EntryBody, run: Run, server_round: int, index: int = 0) -> AuditEntry:
    """The entry that `body` would be. Raises ContractError where it says more or less than an entry may."""
    try:
        return AuditEntry(index=index, run_id=run.run_id, server_round=server_round, recorded_at=0, body=body)
    except ValidationError:
        raise ContractError(f"this is no entry of kind {body.kind}") from None


def judge(
    answer: OpenedReply[Any], body: EntryBody, run: Run, server_round: int, recipe: Recipe
) -> RefusedReply | None:
    """Why the entry `body`, made of `answer`, may not be logged; None where the law of its kind and its payload hold.

    The law is the auditor's: nothing that it would find is let into the log.
    """
    envelope = answer.message.envelope
    try:
        fault = next(run.faults(draft(body, run, server_round)), None)
        if fault is not None:
            return RefusedReply("coordinator", fault.reason, envelope)
        _check_payload(answer.message.payload, body, run.round_plan(server_round), recipe)
    except (ContractError, IntegrityError) as error:
        return RefusedReply("coordinator", _code(error), envelope)
    return None


def _check_payload(payload: bytes, body: EntryBody, plan: RoundPlan | None, recipe: Recipe) -> None:
    """A payload is what the entry names, and an update's keeps its exact clip bound."""
    named = body.blobs()
    if not named and payload:
        raise ContractError("a payload that nobody asked for")
    if named and named != (sha256(payload),):
        raise IntegrityError("the payload is not the one that was signed")
    if isinstance(body, UpdateReceived) and plan is not None:
        if len(payload) != body.update.payload_bytes:
            raise IntegrityError("the payload is not as long as was signed")
        integers = decode(payload, recipe.contract.size)
        check_bound(integers, plan.cohort[body.site].weight, plan.update_clip_norm, plan.encoding.scale_log2)
