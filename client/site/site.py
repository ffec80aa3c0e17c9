# SPDX-License-Identifier: Apache-2.0
"""The story of a round, as a site tells it: a plan comes in, is checked, and is answered once. A newcomer starts here.

Signature -> log proof -> policy -> model -> self-checks of anonymization and of the mechanism -> budget reserved
(fsync) -> data -> attempt written down -> training -> delta -> clip -> integers -> signed reply, stored before it is
sent. Until the budget is reserved a no is a reason code that depends on no data. From there on nothing is refused: what
fails is answered as by a site without data (client.site.privately), and the sentence stays in the site's own reports. A
plan that was answered gets the same bytes again and is never trained twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from client.enrolment import SiteIdentity, load_identity
from client.learning.model import device
from client.learning.training.evaluation import CountNoise, Counts, noised_metrics
from client.settings.site_settings import SiteFolder
from client.site import guard
from client.site.account import Account, accounts
from client.site.attempts import Attempt, computation, records_digest
from client.site.budget import Budget, check_memories
from client.site.door import Door
from client.site.events import Event
from client.site.mechanism_check import RunMechanismCheck
from client.site.payload import encode_update
from client.site.pipeline import SitePipeline, Trained
from client.site.privately import answer_privately, unblamed
from client.site.readiness import Readiness
from client.site.reports import SiteReports
from client.site.self_check import RunSelfCheck
from client.site.state import SiteState
from privacy.base.errors import ContractError, IntegrityError, PlanRefused
from privacy.base.identifiers import Digest, RunId, sha256
from privacy.base.randomness import SecretSeed
from privacy.dp.ledger import Ledger
from privacy.dp.params import PrivacySpent
from privacy.dp.training import StepRecord
from privacy.protocol.anonymization_check import SelfCheck
from privacy.protocol.delivery import Delivery
from privacy.protocol.entries import EvaluationPlanned, RoundPlanned, RunOpened
from privacy.protocol.mechanism import MechanismCheck
from privacy.protocol.messages import (
    SignedMessage,
    SiteHello,
    SiteUpdate,
)
from privacy.protocol.plans import EvaluationPlan, RoundPlan
from privacy.update.delta import ModelContract, model_vector

LEAVES_FOR_GOOD = ("budget_exceeded", "policy")
"""A site that refused an update for one of these has no part in the run: its evaluations would cost for nothing."""


@dataclass(frozen=True, repr=False)
class _Accepted:
    """A round's plan that is paid for, and all that is said of it whatever the data are."""

    plan: RoundPlan
    asked: Digest
    opened: RunOpened
    contract: ModelContract
    model_in: NDArray[np.float32]
    self_check: SelfCheck
    mechanism_check: MechanismCheck | None
    nonce: bytes
    seed: SecretSeed
    spent: PrivacySpent | None


@dataclass(frozen=True, repr=False)
class _Made:
    """What was made of the data: noised, or a salted commitment. `trained` stays here."""

    payload: bytes
    anonymization_commitment: Digest
    trained: Trained


class Site:
    """One institution's end of the wire. `answer` is called for one message at a time."""

    def __init__(self, folder: SiteFolder, identity: SiteIdentity) -> None:
        self.folder, self.settings, self.identity = folder, folder.settings, identity
        self.state = SiteState(folder.state)
        self.ledger = Ledger(folder.ledger)
        self.reports = SiteReports(folder.reports)
        self.door = Door(self.settings, identity, self.state, self.reports)
        self.pipeline = SitePipeline(folder, identity.site_key)
        checkpoint = self.door.last_checkpoint
        self.budget = Budget(self.ledger, self.settings, identity, self.pipeline, checkpoint, self.state.run)
        self.self_check = RunSelfCheck(self.settings, identity.site_key, self.state, self.reports.self_checked)
        self.mechanism = RunMechanismCheck(self.settings, identity.site_key, self.reports.mechanism_checked)
        self.readiness = Readiness(folder, self.pipeline, self.budget, self.self_check, self.mechanism, self.reports)
        check_memories(self.ledger, self.state)

    @classmethod
    def load(cls, toml: Path) -> Self:
        """The enrolled site whose settings are `toml` (sites/NAME.toml), with its keys and start kit checked.

        Nothing is sent and nothing is trained. Answering is for one process at a time, `collab-client`'s or yours.
        Raises SettingsError, IntegrityError and PlanRefused as `client.enrolment.load_identity` does.
        """
        folder = SiteFolder(toml)
        return cls(folder, load_identity(folder, now=datetime.now(UTC)))

    def accounts(self) -> list[Account]:
        """The site's privacy accounts, a data set and unit each: epsilon spent and left, by accountant, by run."""
        return accounts(self.folder)

    def events(self, run_id: RunId) -> list[Event]:
        """What the site wrote down of a run, in order: exact figures that never leave it. Empty for an unknown run."""
        return self.reports.events(run_id)

    # -- a message in, a message out
    # ------------------------------------------------------------------------------------

    def answer(self, message: SignedMessage) -> SignedMessage:
        """The signed reply to a delivery, as the door says: an answer, the stored answer, or a refusal."""
        return self.door.answer(message, self._respond)

    def _respond(self, message: SignedMessage, delivery: Delivery, request_digest: Digest) -> SignedMessage:
        self.budget.forget()
        match delivery.entry.body:
            case RunOpened() as opened if message.envelope.phase == "hello":
                return self._hello(message, opened, request_digest)
            case RoundPlanned(plan=plan) if message.envelope.phase == "update":
                return self._update(message, plan, request_digest)
            case EvaluationPlanned(plan=evaluation) if message.envelope.phase == "evaluate":
                return self._evaluate(message, evaluation, request_digest)
        raise ContractError("this entry asks nothing of a site")

    # -- the three answers --------------------------------------------------------------------------------------------

    def _hello(self, message: SignedMessage, opened: RunOpened, request_digest: Digest) -> SignedMessage:
        """Say what this site runs on. Not stored: it may be asked again after an upgrade."""
        key = self.identity.signing_key.verify_key()
        run_id = message.envelope.run_id
        self._check_not_declined(run_id)
        guard.check_opened(opened, self.settings, key, self.identity.simulated)
        if self.state.run(run_id) not in (None, opened):
            raise IntegrityError("this run was opened before with another recipe", reason="replayed")
        with self._leaving(run_id):
            contract = self.readiness.check(run_id, opened)
        if self.state.run(run_id) is None:
            self.state.rejoin_run(run_id)  # it was refused before, and fits now
        self.state.remember_run(run_id, opened)
        self.readiness.prepare(run_id, opened, contract)
        machine = device.describe(self.settings.compute)
        hello = SiteHello(
            context_digest=request_digest,
            policy_digest=self.settings.policy_digest,
            size_bucket=self.settings.policy.size_bucket,
            role=self.settings.site.role,
            software=machine.software,
            device=machine.device,
            threads=machine.threads,
            deterministic=machine.deterministic,
            simulated=self.identity.simulated,
            environment_digest=machine.digest,
            seen_tree_size=self.door.seen_tree_size(),
        )
        return self.door.seal(message, "site_hello", request_digest, hello)

    def _update(self, message: SignedMessage, plan: RoundPlan, request_digest: Digest) -> SignedMessage:
        """Train one round: the way of the data from anonymized records to a signed int32 payload."""
        last = self.state.last_trained(plan.run_id)
        if last is not None and last[0] < plan.server_round and last[1] == plan.model_digest:
            self.reports.not_taken(plan.run_id, plan.server_round, answered=last[0])
        with self._leaving(plan.run_id):
            accepted = self._accept(plan, request_digest, self._run(message), message.payload)
        report = partial(self.reports.answered_without_data, plan.run_id, plan.server_round, "update")
        answer_privately(lambda pipeline: self._write_attempt(accepted, pipeline), self.pipeline, report)
        made = answer_privately(lambda pipeline: self._train(accepted, pipeline), self.pipeline, report)
        return unblamed(lambda: self._send_update(message, accepted, made), report)

    def _accept(self, plan: RoundPlan, request_digest: Digest, opened: RunOpened, payload: bytes) -> _Accepted:
        """All that may lead to a no, none of which reads data; and the charge, after which there is none."""
        guard.check_round(plan, opened, self.settings)
        guard.check_outline(plan, opened)
        self.folder.check_files()
        contract, initial = self.pipeline.models.contract(plan, opened.public_seed)
        guard.check_contract(plan, opened, contract, initial)
        model_in = self._model(contract, payload, plan.model_digest)
        device.prepare(self.settings.compute)  # before the attempt is written down: it says what it computes on
        self_check = self.self_check.of(plan.run_id, plan.anonymization, opened)
        mechanism_check = self.mechanism.of(plan.run_id, plan.privacy, opened)
        self.state.keep_model(plan.model_digest, payload, most=self.settings.replay.models_kept)
        nonce = self.budget.fresh_nonce(request_digest)
        spent = self.budget.charge_round(plan, request_digest, nonce)
        seed = self.budget.seed(nonce, request_digest)
        return _Accepted(
            plan, request_digest, opened, contract, model_in, self_check, mechanism_check, nonce, seed, spent
        )

    def _train(self, accepted: _Accepted, pipeline: SitePipeline) -> _Made:
        """The data's part of an update: private by its noise, or committed to."""
        plan = accepted.plan
        self.readiness.report(plan.run_id, pipeline)
        trained = pipeline.train(
            plan,
            accepted.contract,
            accepted.opened.public_seed,
            accepted.model_in,
            accepted.seed,
            self._on_step(plan),
        )
        payload = encode_update(plan, self.identity.name, trained.vector, accepted.model_in)
        return _Made(payload, pipeline.records.commitment(plan.run_id), trained)

    def _send_update(self, message: SignedMessage, accepted: _Accepted, made: _Made) -> SignedMessage:
        plan = accepted.plan
        update = SiteUpdate(
            plan_digest=accepted.asked,
            payload_digest=sha256(made.payload),
            payload_bytes=len(made.payload),
            num_steps=plan.num_steps,
            encoding=plan.encoding,
            spent=accepted.spent,
            secret_seed_commitment=accepted.seed.commit(f"{plan.run_id}|{plan.server_round}|{self.identity.name}"),
            environment_digest=device.describe(self.settings.compute).digest,
            anonymization_commitment=made.anonymization_commitment,
            self_check=accepted.self_check,
            mechanism_check=accepted.mechanism_check,
            seen_tree_size=self.door.seen_tree_size(),
        )
        reply = self.door.seal(message, "site_update", accepted.asked, update, made.payload)
        self.state.remember_reply(accepted.asked, "update", reply)
        self.budget.settle()
        self.reports.trained(plan, made.trained, accepted.spent, self.settings, len(made.payload))
        return reply

    def _evaluate(self, message: SignedMessage, plan: EvaluationPlan, request_digest: Digest) -> SignedMessage:
        """Count right and wrong on the dev split; the counts leave with noise, and are charged before they are made."""
        opened = self._run(message)
        self._check_stays(plan.run_id)
        guard.check_evaluation(plan, self.settings)
        guard.check_outline(plan, opened)
        guard.check_evaluations(self.state.take_evaluation(plan.run_id, request_digest), self.settings)
        self.folder.check_files()
        contract, initial = self.pipeline.models.contract(plan, opened.public_seed)
        guard.check_contract(plan, opened, contract, initial)
        model = self._model(contract, message.payload, plan.model_digest)

        nonce = self.budget.fresh_nonce(request_digest)
        public = self.settings.site.role == "evaluator"
        noise_multiplier = None if public else plan.noise_multiplier
        spent = (
            None
            if noise_multiplier is None
            else self.budget.charge_counts(plan, noise_multiplier, request_digest, nonce)
        )
        seed = self.budget.seed(nonce, request_digest)
        report = partial(self.reports.answered_without_data, plan.run_id, plan.server_round, "evaluate")

        def counted(pipeline: SitePipeline) -> Counts:
            return pipeline.count(contract, opened.public_seed, model)

        # an evaluator's data is public: it says what is wrong with it, rather than count nothing
        counts = counted(self.pipeline) if public else answer_privately(counted, self.pipeline, report)

        def sent() -> SignedMessage:
            std, bucket = "0" if public else plan.noise_std(), self.settings.policy.size_bucket
            metrics = noised_metrics(counts, plan, CountNoise(std, seed, bucket), spent, self.door.seen_tree_size())
            reply = self.door.seal(message, "site_metrics", request_digest, metrics)
            self.state.remember_reply(request_digest, "evaluate", reply)
            self.budget.settle()
            self.reports.evaluated(plan, counts, spent, self.settings)
            return reply

        return unblamed(sent, report)

    def _write_attempt(self, accepted: _Accepted, pipeline: SitePipeline) -> None:
        """Write down what the site's auditor needs to train this round again (client.site.replay)."""
        attempt = Attempt(
            plan=accepted.plan,
            nonce=accepted.nonce.hex(),
            computation=computation(self.settings.compute),
            records_digest=records_digest(pipeline.records.anonymized().records["train"], self.identity.site_key),
        )
        self.state.remember_attempt(accepted.asked, attempt)

    # -- what the site itself is told ---------------------------------------------------------------------------------

    def _on_step(self, plan: RoundPlan) -> Callable[[StepRecord], None]:
        def tell(record: StepRecord) -> None:
            self.reports.progress(plan.run_id, plan.server_round, record.step, plan.num_steps, record.mean_loss)

        return tell

    # -- small things -------------------------------------------------------------------------------------------------

    def _run(self, message: SignedMessage) -> RunOpened:
        run_id = message.envelope.run_id
        self._check_not_declined(run_id)
        opened = self.state.run(run_id)
        if opened is None:
            self._check_stays(run_id)
            raise PlanRefused("this run was never opened at this site", reason="run_unknown")
        return opened

    def _check_not_declined(self, run_id: RunId) -> None:
        if self.state.left_run(run_id) == "declined":
            self._check_stays(run_id)

    def _check_stays(self, run_id: RunId) -> None:
        """Raises PlanRefused with the code for which this site left the run, so that nothing more is charged for it."""
        reason = self.state.left_run(run_id)
        if reason is not None:
            raise PlanRefused(
                f"this site has no part in {run_id} any more ({reason}); nothing was read or charged",
                reason=reason,
                next_step="look for why in the run's report; `collab-client decline --undo` takes a `declined` back",
            )

    @contextmanager
    def _leaving(self, run_id: RunId) -> Iterator[None]:
        """A no by budget or policy, to a run or to a round of it, is one to the run's evaluations as well."""
        try:
            yield
        except PlanRefused as refused:
            if refused.reason in LEAVES_FOR_GOOD:
                self.state.leave_run(run_id, refused.reason)
            raise

    def _model(self, contract: ModelContract, payload: bytes, digest: Digest) -> NDArray[np.float32]:
        if sha256(payload) != digest:
            raise IntegrityError("the model sent is not the one planned", reason="model_mismatch")
        vector = model_vector(contract, payload)
        guard.check_model(float(np.abs(vector).max(initial=0.0)), self.settings)
        return vector
