# SPDX-License-Identifier: Apache-2.0
"""The law of one run, as an auditor reads it: what may follow what, who may say what, and what must follow from it.

    run_opened -> site_ready* -> [evaluation] -> (round: planned -> updates, refusals -> aggregated | aborted
    -> [evaluation: planned -> metrics, refusals -> evaluated])* -> run_closed

Each reply must be signed by the key that the roster admitted, about the plan that was asked. Every member of a cohort
is received or refused, what is received is included, and the model goes on from where it was. `check_run` reports all
that is not so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from privacy.audit.counts import faults as faults_of_counts
from privacy.audit.findings import Finding
from privacy.audit.openings import envelope_faults, outline_faults
from privacy.audit.self_checks import SelfChecks
from privacy.audit.spending import Spending, counting_event, overspent
from privacy.base.canonical import Json, digest_of
from privacy.base.errors import ContractError
from privacy.base.identifiers import Digest, RunId, SiteId
from privacy.dp.params import PrivacyEvent
from privacy.protocol.entries import (
    AuditEntry,
    EvaluationPlanned,
    MetricsReceived,
    ReplyRefused,
    RosterSite,
    RoundAborted,
    RoundAggregated,
    RoundEvaluated,
    RoundPlanned,
    RunClosed,
    RunOpened,
    SiteReady,
    UpdateReceived,
)
from privacy.protocol.messages import (
    Envelope,
    Kind,
    Phase,
    Refusal,
    SiteHello,
    SiteMetrics,
    SiteUpdate,
)
from privacy.protocol.plans import EvaluationPlan, RoundPlan
from privacy.protocol.scores import federation_scores
from privacy.protocol.selection import Rule, Selection
from privacy.update.quantize import check_fits


class RunCheck:
    """One run, entry by entry. `findings` grows; what is named in the log is kept for the report and the replay."""

    def __init__(self, run_id: RunId, log_vkey: str | None = None) -> None:
        self.run_id, self.log_vkey = run_id, log_vkey
        self.findings: list[Finding] = []
        self.spending = Spending()
        self.opened: RunOpened | None = None
        self.opened_index = 0
        self.ready: dict[SiteId, SiteHello] = {}
        self.plan: RoundPlan | None = None
        self.evaluation: EvaluationPlan | None = None
        self.updates: dict[SiteId, SiteUpdate] = {}
        self.metrics: dict[SiteId, SiteMetrics] = {}
        self.refused: set[SiteId] = set()
        self.evaluated: set[int] = set()
        self.rounds_aggregated = 0
        self.rounds_aborted = 0
        self.model: Digest = ""
        self.closed = False
        self._self_checks = SelfChecks()
        self._selection = Selection(Rule())
        self._counting: PrivacyEvent | None = None
        self._index = 0
        self._version = 0

    def take(self, entry: AuditEntry) -> None:
        """Check the next entry of the run, then let it count."""
        self._index = entry.index
        body = entry.body
        self._expect(not self.closed, "this entry stands after the end of its run")
        self._version = self._version or entry.version
        self._expect(entry.version == self._version, f"the run was opened in version {self._version} of the log")
        if isinstance(body, RunOpened):
            self._open(body, entry)
            return
        if self.opened is None:
            self._expect(False, "this run has no opening before this entry")
            return
        match body:
            case SiteReady():
                self._site_ready(body)
            case RoundPlanned():
                self._round_planned(body.plan, entry.server_round)
            case UpdateReceived():
                self._update_received(body, entry.server_round)
            case ReplyRefused():
                self._reply_refused(body, entry.server_round)
            case RoundAggregated():
                self._round_aggregated(body, entry.server_round)
            case RoundAborted():
                self._round_aborted(body, entry.server_round)
            case EvaluationPlanned():
                self._evaluation_planned(body.plan, entry.server_round)
            case MetricsReceived():
                self._metrics_received(body, entry.server_round)
            case RoundEvaluated():
                self._round_evaluated(body, entry.server_round)
            case RunClosed():
                self._run_closed(body)
            case _:
                self._expect(False, f"there is no law for an entry of kind {body.kind}")

    def _expect(self, holds: bool, message: str) -> None:
        if not holds:
            self.findings.append(Finding(index=self._index, message=message))

    @property
    def rounds_settled(self) -> int:
        """Rounds that were aggregated or aborted."""
        return self.rounds_aggregated + self.rounds_aborted

    @property
    def roster(self) -> Mapping[SiteId, RosterSite]:
        return self.opened.roster if self.opened else {}

    def _open(self, opened: RunOpened, entry: AuditEntry) -> None:
        self._expect(self.opened is None, "this run was opened before")
        self._expect(entry.server_round == 0, "a run opens in round 0")
        settings = digest_of(cast(Json, opened.settings))
        self._expect(settings == opened.settings_digest, "the settings are not those of settings_digest")
        for wrong in outline_faults(opened):
            self._expect(False, wrong)
        self.opened, self.opened_index, self.model = opened, entry.index, opened.initial_model_digest
        self._selection = Selection(Rule.of(opened.settings))

    def _site_ready(self, body: SiteReady) -> None:
        assert self.opened is not None
        hello, asked = body.hello, digest_of(self.opened)
        self._envelope(body.site, body.envelope, hello, "site_hello", "hello", 0, asked)
        self._expect(hello.context_digest == asked, "the site answered another opening")
        self._expect(hello.simulated == self.opened.simulated, "a simulated site and a real run are mixed")
        admitted = self.roster.get(body.site)
        if admitted is not None:
            said = (hello.role, hello.size_bucket, hello.policy_digest)
            self._expect(
                said == (admitted.role, admitted.size_bucket, admitted.policy_digest),
                f"{body.site} is not what it was admitted as",
            )
        self.ready[body.site] = hello

    def _round_planned(self, plan: RoundPlan, server_round: int) -> None:
        assert self.opened is not None
        number = self.rounds_settled + 1
        self._expect(self.plan is None and self.evaluation is None, "the phase before was not finished")
        self._expect(plan.server_round == server_round == number, f"the next round of this run is {number}")
        self._expect(
            plan.planned_rounds == self.opened.planned_rounds and number <= plan.planned_rounds,
            f"the run was opened for {self.opened.planned_rounds} rounds",
        )
        self._same_work(plan)
        for site, member in plan.cohort.items():
            admitted = self.roster.get(site)
            trains = admitted is not None and admitted.role == "trainer" and site in self.ready
            self._expect(trains, f"{site} is in the cohort, but is no trainer that was ready")
            self._expect(
                admitted is None or member.size_bucket == admitted.size_bucket,
                f"the size bucket of {site} is not the one it was admitted with",
            )
        self._encoding(plan)
        self._privacy_of(plan)
        asked = plan.anonymization.model_dump(mode="json") if plan.anonymization else None
        self._expect(
            asked == self.opened.settings.get("anonymization"), "the self-check is not the one the run opened with"
        )
        update = self.opened.settings.get("update")
        momentum = update.get("server_momentum", "0") if isinstance(update, dict) else "0"
        self._expect(momentum == (plan.server_momentum or "0"), "the server's momentum is not that of the opening")
        self.plan, self.updates, self.refused = plan, {}, set()

    def _encoding(self, plan: RoundPlan) -> None:
        total = sum(member.weight for member in plan.cohort.values())
        try:
            check_fits(max(total, 1), plan.update_clip_norm, plan.encoding.scale_log2)
        except ContractError as error:
            self._expect(False, error.message)

    def _privacy_of(self, plan: RoundPlan) -> None:
        assert self.opened is not None
        private = plan.privacy
        noise_multiplier = private.noise_multiplier if private else None
        self._expect(
            noise_multiplier == self.opened.noise_multiplier, "the noise multiplier is not the one the run opened with"
        )
        if private is not None:
            self._expect(not (wrong := overspent(private, [private.event()] * plan.planned_rounds)), wrong or "")
            for site in plan.cohort:
                self.spending.ask(site, private.event())

    def _same_work(self, plan: RoundPlan | EvaluationPlan) -> None:
        assert self.opened is not None
        self._expect(plan.run_id == self.run_id, "the plan names another run")
        self._expect(plan.contract_digest == self.opened.contract_digest, "the plan names another model contract")
        self._expect(plan.model_digest == self.model, "the plan's model is not the newest one of the run")
        outline = self.opened.outline
        departures = outline.departures(plan) if outline else ()
        self._expect(not departures, f"the plan departs from what the run was opened for: {', '.join(departures)}")

    def _update_received(self, body: UpdateReceived, server_round: int) -> None:
        plan, update, site = self.plan, body.update, body.site
        if plan is None or site not in plan.cohort or plan.server_round != server_round:
            self._expect(False, f"no plan asked {site} for an update of round {server_round}")
            return
        self._expect(site not in self.updates and site not in self.refused, f"{site} answered this round before")
        asked = digest_of(plan)
        self._envelope(site, body.envelope, update, "site_update", "update", server_round, asked)
        self._expect(update.plan_digest == asked, "the update answers another plan")
        self._expect(update.encoding == plan.encoding, "the update's encoding is not the plan's")
        self._expect(update.num_steps == plan.num_steps, "the update's steps are not the plan's")
        private = plan.privacy
        event = private.event() if private else None
        delta = private.target_delta if private else ""
        for wrong in self.spending.answer(site, event, update.spent, plan.unit, delta):
            self._expect(False, wrong)
        for wrong in self._self_checks.wrong(plan, site, update, self._version):
            self._expect(False, wrong)
        self.updates[site] = update

    def _reply_refused(self, body: ReplyRefused, server_round: int) -> None:
        assert self.opened is not None
        if body.phase == "hello":
            asked, sites = digest_of(self.opened), set(self.roster)
        elif body.phase == "update":
            asked = digest_of(self.plan) if self.plan else ""
            sites = set(self.plan.cohort) if self.plan else set()
        else:
            asked = digest_of(self.evaluation) if self.evaluation else ""
            sites = set(self.evaluation.sites) if self.evaluation else set()
        self._expect(body.site in sites and body.plan_digest == asked, f"nothing asked {body.site} for this reply")
        if body.phase != "hello":
            answered = self.updates if body.phase == "update" else self.metrics
            self._expect(body.site not in self.refused and body.site not in answered, f"{body.site} answered before")
            self.refused.add(body.site)
        if body.by == "site":
            expected_round = 0 if body.phase == "hello" else server_round
            self._envelope(body.site, body.envelope, body.refusal, "refusal", body.phase, expected_round, asked)
        if body.refusal is not None:
            said = (body.refusal.reason, body.refusal.plan_digest)
            self._expect(said == (body.reason, asked), f"the refusal is not what {body.site} signed")

    def _round_aggregated(self, body: RoundAggregated, server_round: int) -> None:
        plan = self.plan
        if plan is None or server_round != plan.server_round:
            self._expect(False, f"round {server_round} is not open")
            return
        self._all_accounted_for(plan.cohort, self.updates)
        self._expect(body.plan_digest == digest_of(plan), "another plan is aggregated")
        self._expect(body.included == tuple(sorted(self.updates)), "what is included is not what was received")
        self._expect(len(body.included) >= plan.min_sites, f"fewer than {plan.min_sites} updates were aggregated")
        weight = sum(plan.cohort[site].weight for site in body.included if site in plan.cohort)
        self._expect(body.total_weight == weight, f"the included weights sum to {weight}, not {body.total_weight}")
        self._expect(body.model_in == plan.model_digest, "the aggregate starts from another model than the plan's")
        self.model = body.model_out
        self.rounds_aggregated += 1
        self.plan = None

    def _round_aborted(self, body: RoundAborted, server_round: int) -> None:
        plan = self.plan
        if plan is None or server_round != plan.server_round:
            self._expect(False, f"round {server_round} is not open")
            return
        self._all_accounted_for(plan.cohort, self.updates)
        self._expect(body.plan_digest == digest_of(plan), "another plan is aborted")
        said = (body.received, body.min_sites)
        self._expect(said == (len(self.updates), plan.min_sites), "the abort's figures are not those of the round")
        self._expect(len(self.updates) < plan.min_sites, "the round was aborted though enough updates came")
        self.rounds_aborted += 1
        self.plan = None

    def _all_accounted_for(self, asked: Iterable[SiteId], answered: Iterable[SiteId]) -> None:
        silent = sorted(set(asked) - set(answered) - self.refused)
        self._expect(not silent, f"neither an answer nor a refusal is logged of {', '.join(silent)}")

    def _evaluation_planned(self, plan: EvaluationPlan, server_round: int) -> None:
        assert self.opened is not None
        self._expect(self.plan is None and self.evaluation is None, "the phase before was not finished")
        self._expect(plan.server_round == server_round == self.rounds_settled, "another round's model is the newest")
        self._expect(server_round not in self.evaluated, f"round {server_round} was evaluated before")
        self._same_work(plan)
        self._expect(set(plan.sites) <= set(self.ready), "a site is asked that was not ready")
        self._expect(len(set(plan.sites)) == len(plan.sites), "a site is asked twice")
        self._expect(
            plan.noise_multiplier == self.opened.evaluation_noise_multiplier,
            "the counts' noise multiplier is not the one the run opened with",
        )
        try:
            self._counting = counting_event(plan)
        except ContractError as error:
            self._counting = None
            self._expect(False, error.message)
        private = [site for site in plan.sites if not self._has_public_data(site)]
        bare = plan.noise_multiplier is None and self.opened.noise_multiplier is not None
        self._expect(not (bare and private), "counts without noise are asked of private data")
        for site in private:
            self.spending.ask(site, self._counting)
        self.evaluation, self.metrics, self.refused = plan, {}, set()

    def _has_public_data(self, site: SiteId) -> bool:
        admitted = self.roster.get(site)
        return admitted is not None and admitted.role == "evaluator"

    def _metrics_received(self, body: MetricsReceived, server_round: int) -> None:
        plan, metrics, site = self.evaluation, body.metrics, body.site
        if plan is None or site not in plan.sites or plan.server_round != server_round:
            self._expect(False, f"no plan asked {site} for metrics of round {server_round}")
            return
        self._expect(site not in self.metrics and site not in self.refused, f"{site} answered this evaluation before")
        asked = digest_of(plan)
        self._envelope(site, body.envelope, metrics, "site_metrics", "evaluate", server_round, asked)
        self._expect(metrics.plan_digest == asked, "the metrics answer another plan")
        public, admitted = self._has_public_data(site), self.roster.get(site)
        for wrong in faults_of_counts(metrics, plan, admitted.size_bucket if admitted else 1, public=public):
            self._expect(False, wrong)
        event = None if public else self._counting
        for wrong in self.spending.answer(site, event, metrics.spent, plan.unit, plan.target_delta):
            self._expect(False, wrong)
        self.metrics[site] = metrics

    def _round_evaluated(self, body: RoundEvaluated, server_round: int) -> None:
        plan = self.evaluation
        if plan is None or server_round != plan.server_round:
            self._expect(False, f"no evaluation of round {server_round} is open")
            return
        self._all_accounted_for(plan.sites, self.metrics)
        self._expect(body.plan_digest == digest_of(plan), "another evaluation is scored")
        self._expect(body.sites == tuple(sorted(self.metrics)), "what is scored is not what was received")
        try:
            scores = federation_scores(plan.task.places, [self.metrics[site] for site in sorted(self.metrics)])
        except ContractError as error:
            self._expect(False, error.message)
        else:
            said = (body.accuracy, body.macro_f1)
            self._expect(said == scores, f"accuracy and macro-F1 are {said}, the counts give {scores}")
        self.evaluated.add(server_round)
        self._selection.take(server_round, body, self.model)
        self.evaluation = None

    def _run_closed(self, body: RunClosed) -> None:
        assert self.opened is not None
        self._expect(self.plan is None and self.evaluation is None, "the phase before was not finished")
        self._expect(
            body.rounds_aggregated == self.rounds_aggregated, f"{self.rounds_aggregated} rounds were aggregated"
        )
        kept = self._selection.kept(self.model)
        self._expect(body.final_model == kept, "the final model is not the one that the run's settings keep")
        done = self.rounds_settled == self.opened.planned_rounds
        self._expect(done or body.outcome != "done", "the run is called done before its last round")
        early = body.outcome != "early" or self._selection.is_over
        self._expect(early, "the run was ended early, though its figures still rose")
        self.closed = True

    def _envelope(
        self,
        site: SiteId,
        envelope: Envelope | None,
        body: SiteHello | SiteUpdate | SiteMetrics | Refusal | None,
        kind: Kind,
        phase: Phase,
        server_round: int,
        asked: Digest,
    ) -> None:
        """See privacy/audit/openings.py."""
        admitted = self.roster.get(site)
        if admitted is None or envelope is None:
            self._expect(False, f"{site} is not admitted to this run, or its envelope is missing")
            return
        said = (kind, phase, site, self.run_id, server_round)
        for wrong in envelope_faults(envelope, said, asked, body, admitted.signing_key, self.log_vkey):
            self._expect(False, wrong)


def check_run(run_id: RunId, entries: Sequence[AuditEntry], log_vkey: str | None = None) -> RunCheck:
    """All entries of one run, in log order, held against the law above. `log_vkey`: the log that they stand in."""
    check = RunCheck(run_id, log_vkey)
    for entry in entries:
        check.take(entry)
    return check
