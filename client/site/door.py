# SPDX-License-Identifier: Apache-2.0
"""A site's door: what comes in is its coordinator's, for it and in the log; what goes out is signed, and when.

Nothing is signed for a message of anybody else: a refusal under a plan that a stranger named would be believed in the
log, beside the update that was made. Bodies are bounded before they are parsed (privacy.protocol.messages.parse).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import get_args

from pydantic import BaseModel

from client.enrolment import SiteIdentity
from client.settings.site_settings import SiteSettings
from client.site.reports import SiteReports
from client.site.state import SiteState
from privacy.base.canonical import digest_of
from privacy.base.errors import CollabError, IntegrityError
from privacy.base.identifiers import Digest
from privacy.log.keys import VerifyKey
from privacy.log.note import NoteKey
from privacy.protocol.checkpoint import check_proof
from privacy.protocol.delivery import Delivery
from privacy.protocol.messages import (
    MessageKind,
    Refusal,
    SignedMessage,
    check_addressed,
    open_message,
    seal,
)
from privacy.protocol.reasons import ReasonCode

Respond = Callable[[SignedMessage, Delivery, Digest], SignedMessage]
"""What a site answers to a message with what was delivered in it; the digest is what the answer is bound to."""


class Unsigned(CollabError):
    """A message that gets nothing signed: not the coordinator's, not for this site, or one of too many to refuse."""

    exit_code = 4


class Door:
    """One site's door. `wait` keeps the policy's time."""

    def __init__(self, settings: SiteSettings, identity: SiteIdentity, state: SiteState, reports: SiteReports) -> None:
        self._policy, self._identity, self._state, self._reports = settings.policy, identity, state, reports
        self._coordinator = VerifyKey.from_hex(identity.kit.coordinator_key)
        self._log = NoteKey.parse(identity.kit.log_vkey)

    def answer(self, message: SignedMessage, respond: Respond) -> SignedMessage:
        """The signed reply to a delivery: what `respond` makes of it, the answer that is stored, or a refusal with a
        reason code.

        Raises Unsigned for a message that was not written by this site's coordinator for this site, and in a run that
        was refused more than policy.max_refusals times: then nothing is signed, whatever it asked.
        """
        began = time.monotonic()
        delivery = self.open(message)
        request_digest = delivery.entry.body.request_digest()
        try:
            self.check(message, delivery)
            stored = self._state.reply(request_digest, message.envelope.phase)
            reply = stored if stored is not None else respond(message, delivery, request_digest)
        except Exception as error:
            reply = self.refuse(message, request_digest, error)
        self.wait(message, began)
        return reply

    def open(self, message: SignedMessage) -> Delivery:
        """The coordinator's word, for this site. Raises Unsigned for anything else."""
        try:
            check_addressed(message.envelope, self._identity.kit.log_vkey, self._identity.name)
            return open_message(message, Delivery, self._coordinator)
        except CollabError as error:
            raise Unsigned(
                f"a message was not written by this site's coordinator for it: {error.message}",
                next_step="nothing was signed; if it comes again, ask the coordinator which version it runs",
            ) from None

    def refuse(self, message: SignedMessage, request_digest: Digest, error: Exception) -> SignedMessage:
        """A signed no, of which a run gets only so many. A proof from an older size is told, and is no fault."""
        envelope, reason = message.envelope, reason_of(error)
        if self._state.take_refusal(envelope.run_id) >= self._policy.max_refusals:
            raise Unsigned(
                f"run {envelope.run_id} was refused {self._policy.max_refusals} times: it gets no more answers",
                next_step="look into the run's report; a new run starts from zero",
            ) from None
        if reason == "stale_proof":
            self._reports.caught_up(envelope.run_id, envelope.server_round, self.seen_tree_size())
        else:
            self._reports.refused(envelope.run_id, envelope.server_round, envelope.phase, error)
        refusal = Refusal(plan_digest=request_digest, reason=reason, seen_tree_size=self.seen_tree_size())
        return self.seal(message, "refusal", request_digest, refusal)

    def wait(self, message: SignedMessage, began: float) -> None:
        """Let the answer leave when the policy says, whatever it took to make."""
        wanted, took = self._policy.answer_after_seconds, time.monotonic() - began
        if 0 < wanted < took:
            self._reports.took_longer(message.envelope.run_id, message.envelope.server_round, took, wanted)
        time.sleep(max(0.0, wanted - took))

    def check(self, message: SignedMessage, delivery: Delivery) -> None:
        """The entry is in the log that this site has been watching, and the envelope speaks of it."""
        envelope, entry = message.envelope, delivery.entry
        if (envelope.run_id, envelope.context_digest) != (entry.run_id, digest_of(entry)):
            raise IntegrityError("the envelope speaks of another entry", reason="replayed")
        if envelope.kind != "delivery" or (envelope.phase != "hello" and envelope.server_round != entry.server_round):
            raise IntegrityError("the envelope speaks of another round", reason="replayed")
        plan = getattr(entry.body, "plan", None)
        if plan is not None and (plan.run_id, plan.server_round) != (entry.run_id, entry.server_round):
            raise IntegrityError("the plan speaks of another round than its entry", reason="replayed")
        checkpoint = self._state.seen(self._log.name)
        self._state.remember_seen(check_proof(entry, delivery.proof, self._log, checkpoint))

    def seal(
        self, message: SignedMessage, kind: MessageKind, request_digest: Digest, body: BaseModel, payload: bytes = b""
    ) -> SignedMessage:
        """`body`, signed as the answer to `message`."""
        return seal(body, message.envelope.header.reply(kind, request_digest), self._identity.signing_key, payload)

    def last_checkpoint(self) -> tuple[str, int]:
        """The log's name, and how far this site has followed it."""
        return self._log.name, self.seen_tree_size()

    def seen_tree_size(self) -> int:
        """How far this site has followed the log; 0 before it saw any of it."""
        checkpoint = self._state.seen(self._log.name)
        return checkpoint.size if checkpoint else 0


def reason_of(error: Exception) -> ReasonCode:
    """The reason code of an error; what was not foreseen is a bug and says no more."""
    reason = getattr(error, "reason", None)
    known: tuple[ReasonCode, ...] = get_args(ReasonCode)
    return next((code for code in known if code == reason), "bug")
