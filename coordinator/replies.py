# SPDX-License-Identifier: Apache-2.0
"""Asking sites and judging what they answer. A reply is an answer or a refusal with a reason code, never an exception.

Each site gets the same log entry with proofs that continue the tree which it saw last. A site whose last reply was lost
says `stale_proof` with the size that it did see, and is asked once more from there. Whatever the auditor would find in
an answer is found here first, so that no site can spoil the log of all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, Literal

from coordinator.deadlines import Deadline, deadline
from coordinator.journal import Journal
from coordinator.phases import History
from coordinator.planning import Recipe
from coordinator.wire.message_exchange import MessageExchange
from privacy.audit.counts import faults as faults_of_counts
from privacy.audit.spending import TOLERANCE, counting_event, epsilon_of
from privacy.base.canonical import digest_of
from privacy.base.errors import CollabError, ContractError, IntegrityError
from privacy.base.identifiers import Digest, SiteId, sha256
from privacy.dp.params import PrivacyEvent, PrivacySpent, Unit
from privacy.log.keys import SigningKey, VerifyKey
from privacy.protocol import mechanism
from privacy.protocol.anonymization_check import faults, measured_otherwise
from privacy.protocol.delivery import Delivery
from privacy.protocol.entries import AuditEntry
from privacy.protocol.messages import (
    COORDINATOR,
    MAX_REPLY_BYTES,
    Body,
    Envelope,
    Kind,
    Phase,
    ReasonCode,
    Refusal,
    SignedMessage,
    SiteHello,
    SiteMetrics,
    SiteUpdate,
    check_addressed,
    open_message,
    seal,
)
from privacy.protocol.plans import EvaluationPlan, RoundPlan
from privacy.update.quantize import check_bound, decode

HEADROOM: int = 1 << 20
"""Bytes beside the payload that a reply may have."""


@dataclass(frozen=True)
class Answer(Generic[Body]):
    """A reply whose signature, digests and context hold."""

    message: SignedMessage
    body: Body


@dataclass(frozen=True)
class Refused:
    """No usable reply: who says so, why, the envelope if one came, and what the site signed if it was its own no."""

    by: Literal["site", "coordinator"]
    reason: ReasonCode
    envelope: Envelope | None = None
    refusal: Refusal | None = None

    @property
    def seen_tree_size(self) -> int | None:
        """How far the site says that it follows the log."""
        return self.refusal.seen_tree_size if self.refusal else None


class RequestDispatcher:
    """Sends one log entry to many sites and yields what each of them answers, one reply in memory at a time."""

    def __init__(self, recipe: Recipe, journal: Journal, message_exchange: MessageExchange, key: SigningKey) -> None:
        self._recipe, self._roster = recipe, recipe.opened.roster
        self._run_id = recipe.settings.run.run_id
        self._largest = recipe.contract.payload_bytes + HEADROOM
        self._journal, self._message_exchange, self._key = journal, message_exchange, key
        self._log_vkey = journal.log_key.vkey()
        self.seen: dict[SiteId, int] = {}

    def ask(
        self,
        entry: AuditEntry,
        sites: Sequence[SiteId],
        phase: Phase,
        asked: Digest,
        payload: bytes,
        kind: type[Body],
        history: History,
    ) -> Iterator[tuple[SiteId, Answer[Body] | Refused]]:
        """Deliver `entry` with `payload`; answers come in the order of site names. `asked` is the digest to answer."""
        again: list[SiteId] = []
        wait = deadline(self._recipe, history, phase, entry.server_round)
        for site, reply in self._round_trip(entry, sites, phase, asked, payload, kind, wait, attempt=1):
            if isinstance(reply, Refused) and reply.by == "site" and reply.reason == "stale_proof":
                again.append(site)
            else:
                yield site, reply
        if again:
            yield from self._round_trip(entry, again, phase, asked, payload, kind, wait, attempt=2)

    def _round_trip(
        self,
        entry: AuditEntry,
        sites: Sequence[SiteId],
        phase: Phase,
        asked: Digest,
        payload: bytes,
        kind: type[Body],
        wait: Deadline,
        *,
        attempt: int,
    ) -> Iterator[tuple[SiteId, Answer[Body] | Refused]]:
        messages = {site: self._message(entry, site, phase, payload, attempt) for site in sites}
        replies = self._message_exchange.send_and_receive(
            messages,
            phase=phase,
            server_round=messages[sites[0]].envelope.server_round,
            deadline_seconds=wait.present,
            absent_seconds=wait.absent,
            max_payload_bytes=self._largest,
        )
        for site, reply in replies:
            if not isinstance(reply, SignedMessage):
                yield site, Refused("coordinator", reply)
                continue
            outcome = self._open(site, reply, messages[site].envelope, asked, kind)
            size = outcome.seen_tree_size if isinstance(outcome, Refused) else _seen_tree_size(outcome.body)
            if size is not None and size <= self._journal.tree_size:
                self.seen[site] = size
            elif isinstance(outcome, Answer):  # no proof can start there, and the other sites must not suffer for it
                outcome = Refused("coordinator", "log_forked", outcome.message.envelope)
            yield site, outcome

    def _message(self, entry: AuditEntry, site: SiteId, phase: Phase, payload: bytes, attempt: int) -> SignedMessage:
        proof = self._journal.prove(entry.index, self.seen.get(site, 0))
        return seal(
            Delivery(entry=entry, proof=proof),
            kind="delivery",
            run_id=self._run_id,
            server_round=entry.server_round,
            attempt=attempt,
            phase=phase,
            sender=COORDINATOR,
            context_digest=digest_of(entry),
            log_vkey=self._log_vkey,
            recipient=site,
            key=self._key,
            payload=payload,
        )

    def _open(
        self, site: SiteId, reply: SignedMessage, sent: Envelope, asked: Digest, kind: type[Body]
    ) -> Answer[Body] | Refused:
        envelope = reply.envelope
        expected: dict[type, Kind] = {SiteHello: "site_hello", SiteUpdate: "site_update", SiteMetrics: "site_metrics"}
        try:
            if envelope.sender != site:
                raise IntegrityError("a reply in another site's name", reason="signature")
            if len(reply.body) > MAX_REPLY_BYTES:
                raise ContractError("a site says more than it may")
            check_addressed(envelope, self._log_vkey, COORDINATOR)
            key = VerifyKey.from_hex(self._roster[site].signing_key)
            if envelope.kind == "refusal":
                refusal = open_message(reply, Refusal, key)
                self._check_context(envelope, sent, asked)
                if refusal.plan_digest != asked:
                    raise IntegrityError("a refusal of another plan", reason="replayed")
                return Refused("site", refusal.reason, envelope, refusal)
            body = open_message(reply, kind, key)
            self._check_context(envelope, sent, asked)
            if envelope.kind != expected[kind]:
                raise ContractError("a reply of another kind")
        except (ContractError, IntegrityError) as error:
            return Refused("coordinator", _code(error), envelope)
        return Answer(reply, body)

    @staticmethod
    def _check_context(envelope: Envelope, sent: Envelope, asked: Digest) -> None:
        if (envelope.run_id, envelope.server_round, envelope.phase) != (sent.run_id, sent.server_round, sent.phase):
            raise IntegrityError("a reply to another round", reason="replayed")
        if envelope.context_digest != asked:
            raise IntegrityError("a reply to another plan", reason="replayed")


def _seen_tree_size(body: object) -> int | None:
    return body.seen_tree_size if isinstance(body, SiteHello | SiteUpdate | SiteMetrics) else None


def _code(error: ContractError | IntegrityError) -> ReasonCode:
    return error.reason  # type: ignore[return-value]  # every reason in the error tree is a ReasonCode: tested


def judge_hello(answer: Answer[SiteHello], site: SiteId, recipe: Recipe, asked: Digest) -> Refused | None:
    """A site must be what it was admitted as."""
    entry, hello = recipe.opened.roster[site], answer.body
    same = (hello.role, hello.size_bucket, hello.policy_digest) == (entry.role, entry.size_bucket, entry.policy_digest)
    if not same or hello.context_digest != asked or hello.simulated != recipe.opened.simulated:
        return Refused("coordinator", "policy", answer.message.envelope)
    return None


def judge_update(
    answer: Answer[SiteUpdate], plan: RoundPlan, site: SiteId, recipe: Recipe, history: History
) -> Refused | None:
    """Digest, length, encoding, steps, spending, self-checks and the exact clip bound of an update; None: all hold."""
    update, payload, envelope = answer.body, answer.message.payload, answer.message.envelope
    refused = Refused("coordinator", "malformed", envelope)
    if update.plan_digest != digest_of(plan) or update.encoding != plan.encoding:
        return refused
    if sha256(payload) != update.payload_digest or len(payload) != update.payload_bytes:
        return Refused("coordinator", "integrity", envelope)
    event = plan.privacy.event() if plan.privacy else None
    delta = plan.privacy.target_delta if plan.privacy else ""
    if update.num_steps != plan.num_steps or not claim_holds(history, site, event, update.spent, plan.unit, delta):
        return refused
    if mechanism.faults(update.mechanism_check, plan.privacy):
        return refused
    if reason := _self_check_wrong(update, plan, site, history):
        return Refused("coordinator", reason, envelope)
    try:
        integers = decode(payload, recipe.contract.size)
        check_bound(integers, plan.cohort[site].weight, plan.update_clip_norm, plan.encoding.scale_log2)
    except ContractError as error:
        return Refused("coordinator", _code(error), envelope)
    return None


def _self_check_wrong(update: SiteUpdate, plan: RoundPlan, site: SiteId, history: History) -> ReasonCode | None:
    """Why the figures of the site's self-check are none to train on: the auditor's rules."""
    check, asked = update.self_check, plan.anonymization
    if check is None or asked is None:
        return "malformed"
    earlier = [updates[site].self_check for updates in history.updates.values() if site in updates]
    if any(measured_otherwise(check, before) for before in earlier if before is not None):
        return "malformed"
    wrong = faults(check, asked)
    return wrong[0].reason if wrong else None


def judge_metrics(
    answer: Answer[SiteMetrics], plan: EvaluationPlan, site: SiteId, recipe: Recipe, history: History
) -> Refused | None:
    """The counts that were asked for, with exactly the noise that was asked for wherever the data is private."""
    metrics, admitted = answer.body, recipe.opened.roster[site]
    refused = Refused("coordinator", "malformed", answer.message.envelope)
    if metrics.plan_digest != digest_of(plan) or answer.message.payload:
        return refused
    public = admitted.role == "evaluator"
    if any(faults_of_counts(metrics, plan, admitted.size_bucket, public=public)):
        return refused
    event = None if public else counting_event(plan)
    return None if claim_holds(history, site, event, metrics.spent, plan.unit, plan.target_delta) else refused


def claim_holds(
    history: History,
    site: SiteId,
    event: PrivacyEvent | None,
    spent: PrivacySpent | None,
    unit: Unit,
    delta: str,
) -> bool:
    """Whether a site that now released `event` can have spent what it says in this run: the auditor's rule."""
    if event is None or spent is None:
        return event is None and spent is None
    asked, answered = _events(history, site)
    if (spent.unit, spent.delta) != (unit, delta) or not set(spent.events) <= set(asked):
        return False
    if not answered + Counter([event]) <= Counter(spent.events):
        return False
    try:
        return Decimal(spent.epsilon) >= Decimal(epsilon_of(spent.events, delta)) - TOLERANCE
    except (CollabError, ArithmeticError, ValueError):
        return False


def _events(history: History, site: SiteId) -> tuple[Counter[PrivacyEvent], Counter[PrivacyEvent]]:
    """What the logged plans asked `site` to release, and what it answered, in this run."""
    asked, answered = Counter[PrivacyEvent](), Counter[PrivacyEvent]()
    for number, (_, plan) in history.plans.items():
        if plan.privacy is not None and site in plan.cohort:
            asked[plan.privacy.event()] += 1
            answered[plan.privacy.event()] += site in history.updates.get(number, {})
    for number, (_, evaluation) in history.evaluations.items():
        if site in evaluation.sites and (counting := counting_event(evaluation)) is not None:
            asked[counting] += 1
            answered[counting] += site in history.metrics.get(number, {})
    return asked, answered
