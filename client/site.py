# SPDX-License-Identifier: Apache-2.0
"""The story of a round, as a site tells it: a plan comes in, is checked, and is answered once. A newcomer starts here.

Signature -> log proof -> policy -> model -> self-checks of anonymization and of the mechanism -> data -> budget
reserved (fsync) -> attempt written down -> training -> delta -> clip -> integers -> signed reply, stored before it is
sent. Whatever goes wrong leaves the building as a reason code; the sentence stays in the site's own reports. A plan
that was answered gets the same bytes again and is never trained twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from client import device, guard
from client.attempts import Attempt, computation, records_digest
from client.budget import Budget, check_memories
from client.enrolment import SiteIdentity
from client.evaluation import noised_metrics
from client.material import Material
from client.mechanism_check import RunMechanismCheck
from client.payload import encode_update
from client.reports import SiteReports
from client.self_check import RunSelfCheck
from client.settings import SiteFolder
from client.state import SiteState
from privacy.audit.checkpoint import check_proof
from privacy.audit.entries import EvaluationPlanned, RoundPlanned, RunOpened
from privacy.audit.keys import VerifyKey
from privacy.audit.note import NoteKey
from privacy.canonical import digest_of
from privacy.dp.ledger import Ledger
from privacy.dp.training import StepRecord
from privacy.errors import ContractError, IntegrityError, PlanRefused
from privacy.exchange.delivery import Delivery
from privacy.exchange.messages import (
    COORDINATOR,
    Kind,
    Parcel,
    ReasonCode,
    Refusal,
    SiteHello,
    SiteUpdate,
    check_addressed,
    open_parcel,
    seal,
)
from privacy.exchange.plans import EvaluationPlan, RoundPlan
from privacy.identifiers import Digest, RunId, sha256
from privacy.update.delta import ModelContract, model_vector


class Site:
    """One institution's end of the wire. `answer` is called for one parcel at a time."""

    def __init__(self, folder: SiteFolder, identity: SiteIdentity) -> None:
        self.folder, self.settings, self.identity = folder, folder.settings, identity
        self.state = SiteState(folder.state)
        self.ledger = Ledger(folder.ledger)
        self.material = Material(folder, identity.site_key)
        self.budget = Budget(self.ledger, self.settings, identity, self.material, self._last_checkpoint)
        self.reports = SiteReports(folder.reports)
        self.self_check = RunSelfCheck(self.settings, identity.site_key, self.state, self.reports.self_checked)
        self.mechanism = RunMechanismCheck(self.settings, identity.site_key, self.reports.mechanism_checked)
        self._reported: set[RunId] = set()
        self._coordinator = VerifyKey.from_hex(identity.kit.coordinator_key)
        self._log = NoteKey.parse(identity.kit.log_vkey)
        check_memories(self.ledger, self.state)

    # -- a parcel in, a parcel out ------------------------------------------------------------------------------------

    def answer(self, parcel: Parcel) -> Parcel:
        """The signed reply to a delivery: an answer, the stored answer, or a refusal with a reason code."""
        asked = sha256(parcel.body)
        try:
            check_addressed(parcel.envelope, self.identity.kit.log_vkey, self.identity.name)
            delivery = open_parcel(parcel, Delivery, self._coordinator)
            asked = _asked(delivery)
            self._check(parcel, delivery)
            self.budget.forget()
            stored = self.state.reply(asked, parcel.envelope.phase)
            return stored if stored is not None else self._respond(parcel, delivery, asked)
        except Exception as error:
            self.reports.refused(parcel.envelope.run_id, parcel.envelope.server_round, parcel.envelope.phase, error)
            refusal = Refusal(plan_digest=asked, reason=reason_of(error), seen_tree_size=self._seen_tree_size())
            return self._seal(parcel, "refusal", asked, refusal)

    def _check(self, parcel: Parcel, delivery: Delivery) -> None:
        """The entry is in the log that this site has been watching, and the envelope speaks of it."""
        envelope, entry = parcel.envelope, delivery.entry
        if (envelope.run_id, envelope.context_digest) != (entry.run_id, digest_of(entry)):
            raise IntegrityError("the envelope speaks of another entry", reason="replayed")
        if envelope.kind != "delivery" or (envelope.phase != "hello" and envelope.server_round != entry.server_round):
            raise IntegrityError("the envelope speaks of another round", reason="replayed")
        plan = getattr(entry.body, "plan", None)
        if plan is not None and (plan.run_id, plan.server_round) != (entry.run_id, entry.server_round):
            raise IntegrityError("the plan speaks of another round than its entry", reason="replayed")
        seen = self.state.seen(self._log.name)
        self.state.remember_seen(check_proof(entry, delivery.proof, self._log, seen))

    def _respond(self, parcel: Parcel, delivery: Delivery, asked: Digest) -> Parcel:
        match delivery.entry.body:
            case RunOpened() as opened if parcel.envelope.phase == "hello":
                return self._hello(parcel, opened, asked)
            case RoundPlanned(plan=plan) if parcel.envelope.phase == "update":
                return self._update(parcel, plan, asked)
            case EvaluationPlanned(plan=evaluation) if parcel.envelope.phase == "evaluate":
                return self._evaluate(parcel, evaluation, asked)
        raise ContractError("this entry asks nothing of a site")

    # -- the three answers --------------------------------------------------------------------------------------------

    def _hello(self, parcel: Parcel, opened: RunOpened, asked: Digest) -> Parcel:
        """Say what this site runs on. Not stored: it may be asked again after an upgrade."""
        key = self.identity.signing_key.verify_key()
        guard.check_opened(opened, self.settings, key, self.identity.simulated)
        if self.state.run(parcel.envelope.run_id) not in (None, opened):
            raise IntegrityError("this run was opened before with another recipe", reason="replayed")
        self.state.remember_run(parcel.envelope.run_id, opened)
        machine = device.describe(self.settings.compute)
        hello = SiteHello(
            context_digest=asked,
            policy_digest=self.settings.policy_digest,
            size_bucket=self.settings.policy.size_bucket,
            role=self.settings.site.role,
            software=machine.software,
            device=machine.device,
            threads=machine.threads,
            deterministic=machine.deterministic,
            simulated=self.identity.simulated,
            environment_digest=machine.digest,
            seen_tree_size=self._seen_tree_size(),
        )
        return self._seal(parcel, "site_hello", asked, hello)

    def _update(self, parcel: Parcel, plan: RoundPlan, asked: Digest) -> Parcel:
        """Train one round: the way of the data from anonymized records to a signed int32 payload."""
        opened = self._run(parcel)
        guard.check_round(plan, opened, self.settings)
        guard.check_outline(plan, opened)
        contract, initial = self.material.contract(plan, opened.public_seed)
        guard.check_contract(plan, opened, contract, initial)
        model_in = self._model(contract, parcel.payload, plan.model_digest)
        self_check = self.self_check.of(plan, opened)
        mechanism_check = self.mechanism.of(plan, opened)
        self.material.examples(contract, opened.public_seed, "train")
        self._prepared(plan.run_id)
        self.state.keep_model(plan.model_digest, parcel.payload, most=self.settings.replay.models_kept)

        nonce = self.budget.fresh_nonce(asked)
        spent = self.budget.charge_round(plan, asked, nonce)
        self.state.remember_attempt(asked, self._attempt(plan, nonce))
        seed = self.budget.seed(nonce, asked)
        trained = self.material.train(plan, contract, opened.public_seed, model_in, seed, self._on_step(plan))

        payload = encode_update(plan, self.identity.name, trained.vector, model_in)
        update = SiteUpdate(
            plan_digest=asked,
            payload_digest=sha256(payload),
            payload_bytes=len(payload),
            num_steps=len(trained.steps),
            encoding=plan.encoding,
            spent=spent,
            secret_seed_commitment=seed.commit(f"{plan.run_id}|{plan.server_round}|{self.identity.name}"),
            environment_digest=device.describe(self.settings.compute).digest,
            anonymization_commitment=self.material.anonymization_commitment(plan.run_id),
            self_check=self_check,
            mechanism_check=mechanism_check,
            seen_tree_size=self._seen_tree_size(),
        )
        reply = self._seal(parcel, "site_update", asked, update, payload)
        self.state.remember_reply(asked, "update", reply)
        self.budget.settle()
        self.reports.trained(plan, trained.steps, trained.examples, spent, self.settings, len(payload))
        return reply

    def _evaluate(self, parcel: Parcel, plan: EvaluationPlan, asked: Digest) -> Parcel:
        """Count right and wrong on the dev split; the counts leave with noise, and are charged."""
        opened = self._run(parcel)
        guard.check_evaluation(plan, self.settings)
        guard.check_outline(plan, opened)
        contract, initial = self.material.contract(plan, opened.public_seed)
        guard.check_contract(plan, opened, contract, initial)
        model = self._model(contract, parcel.payload, plan.model_digest)
        counts = self.material.count(contract, opened.public_seed, model)

        nonce = self.budget.fresh_nonce(asked)
        public = self.settings.site.role == "evaluator"
        noise_multiplier = None if public else plan.noise_multiplier
        spent = None if noise_multiplier is None else self.budget.charge_counts(plan, noise_multiplier, asked, nonce)
        seed = self.budget.seed(nonce, asked)
        std, bucket = "0" if public else plan.noise_std(), self.settings.policy.size_bucket
        metrics = noised_metrics(counts, plan, std, bucket, seed, spent, self._seen_tree_size())
        reply = self._seal(parcel, "site_metrics", asked, metrics)
        self.state.remember_reply(asked, "evaluate", reply)
        self.budget.settle()
        self.reports.evaluated(plan, counts, spent, self.settings)
        return reply

    def _attempt(self, plan: RoundPlan, nonce: bytes) -> Attempt:
        """What the site's auditor needs to train this round again (client.replay)."""
        return Attempt(
            plan=plan,
            nonce=nonce.hex(),
            computation=computation(self.settings.compute),
            records_digest=records_digest(self.material.anonymized().records["train"], self.identity.site_key),
        )

    # -- what the site itself is told ---------------------------------------------------------------------------------

    def _prepared(self, run_id: RunId) -> None:
        """Report once a run what was read and removed; the figures stay here."""
        if run_id not in self._reported:
            self._reported.add(run_id)
            done = self.material.anonymized()
            self.reports.prepared(run_id, dict(done.corpus.as_json()), json.loads(done.report.to_json()))

    def _on_step(self, plan: RoundPlan) -> Callable[[StepRecord], None]:
        def tell(record: StepRecord) -> None:
            self.reports.progress(plan.run_id, plan.server_round, record.step, plan.num_steps, record.mean_loss)

        return tell

    # -- small things -------------------------------------------------------------------------------------------------

    def _run(self, parcel: Parcel) -> RunOpened:
        opened = self.state.run(parcel.envelope.run_id)
        if opened is None:
            raise PlanRefused("this run was never opened at this site", reason="run_unknown")
        return opened

    def _model(self, contract: ModelContract, payload: bytes, digest: Digest) -> NDArray[np.float32]:
        if sha256(payload) != digest:
            raise IntegrityError("the model sent is not the one planned", reason="model_mismatch")
        return model_vector(contract, payload)

    def _last_checkpoint(self) -> tuple[str, int]:
        return self._log.name, self._seen_tree_size()

    def _seen_tree_size(self) -> int:
        seen = self.state.seen(self._log.name)
        return seen.size if seen else 0

    def _seal(self, parcel: Parcel, kind: Kind, asked: Digest, body: BaseModel, payload: bytes = b"") -> Parcel:
        envelope = parcel.envelope
        return seal(
            body,
            kind=kind,
            run_id=envelope.run_id,
            server_round=envelope.server_round,
            attempt=envelope.attempt,
            phase=envelope.phase,
            sender=self.identity.name,
            context_digest=asked,
            log_vkey=self.identity.kit.log_vkey,
            recipient=COORDINATOR,
            key=self.identity.signing_key,
            payload=payload,
        )


def _asked(delivery: Delivery) -> Digest:
    """What a reply is bound to: the plan in the entry, or the whole body of an opening."""
    body = delivery.entry.body
    return digest_of(body.plan) if isinstance(body, RoundPlanned | EvaluationPlanned) else digest_of(body)


def reason_of(error: Exception) -> ReasonCode:
    """The reason code of an error; what was not foreseen is a bug and says no more."""
    reason = getattr(error, "reason", None)
    known: tuple[ReasonCode, ...] = get_args(ReasonCode)
    return next((code for code in known if code == reason), "bug")
