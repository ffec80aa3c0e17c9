# SPDX-License-Identifier: Apache-2.0
"""The story of a run, as the coordinator tells it: plan, send, receive, fold, log. A newcomer starts here.

`next_action` (coordinator/phases.py) says what comes next, from the log alone; each method here does one such thing and
ends by writing the log. Payloads are stored before the entry that names them; a plan is logged before it is sent. The
same code runs on the network's grid and on the in-process one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from coordinator import phases
from coordinator.blobs import BlobStore
from coordinator.journal import Journal
from coordinator.phases import Action, History, next_action
from coordinator.planning import Recipe, check_same_settings, evaluation_plan, members, round_plan
from coordinator.replies import Refused, RequestDispatcher, judge_hello, judge_metrics, judge_update
from coordinator.wire.message_exchange import MessageExchange
from privacy.aggregation import load_rule, with_momentum
from privacy.base.canonical import canonical_bytes, digest_of
from privacy.base.errors import ContractError, SettingsError, Unreachable
from privacy.base.identifiers import Digest, SiteId, sha256
from privacy.log.keys import SigningKey
from privacy.protocol.entries import (
    AuditEntry,
    EntryBody,
    EvaluationPlanned,
    MetricsReceived,
    ReplyRefused,
    RoundAborted,
    RoundAggregated,
    RoundEvaluated,
    RoundPlanned,
    RunClosed,
    SiteReady,
    UpdateReceived,
)
from privacy.protocol.messages import Phase, SiteHello, SiteMetrics, SiteUpdate
from privacy.protocol.plans import EvaluationPlan, RoundPlan
from privacy.protocol.scores import federation_scores
from privacy.update.delta import model_bytes, model_vector
from privacy.update.quantize import check_fits

Progress = Callable[[AuditEntry], None]


class Rounds:
    """One run, from wherever its log stands to its end."""

    def __init__(
        self,
        recipe: Recipe,
        journal: Journal,
        blobs: BlobStore,
        message_exchange: MessageExchange,
        key: SigningKey,
        progress: Progress,
    ) -> None:
        self.recipe, self.journal, self.blobs, self.progress = recipe, journal, blobs, progress
        self.run_id = recipe.settings.run.run_id
        self.history = History.read(journal.entries(self.run_id))
        self.dispatcher = RequestDispatcher(recipe, journal, message_exchange, key)
        self.dispatcher.seen.update(self.history.seen)

    def run(self) -> RunClosed:
        """Go on until the run is closed. Raises Unreachable when too few sites are there: start again to resume."""
        self._check_same_recipe()
        while self.history.closed is None:
            self._perform(next_action(self.history, min_sites=self.recipe.settings.rounds.min_sites))
            self.journal.settle()
        return self.history.closed

    def _perform(self, action: Action) -> None:
        match action:
            case phases.OpenRun():
                self._open()
            case phases.Greet(server_round, sites):
                self._greet(server_round, sites)
            case phases.PlanRound(server_round, sites):
                self._log(server_round, RoundPlanned(plan=round_plan(self.recipe, self.history, server_round, sites)))
            case phases.CollectUpdates(index, plan, missing):
                self._collect_updates(index, plan, missing)
            case phases.Aggregate(plan, updates):
                self._aggregate(plan, dict(updates))
            case phases.AbortRound(plan, received):
                self._abort(plan, received)
            case phases.PlanEvaluation(server_round, sites):
                evaluation = evaluation_plan(self.recipe, self.history, server_round, sites)
                self._log(server_round, EvaluationPlanned(plan=evaluation))
            case phases.CollectMetrics(index, evaluation, missing):
                self._collect_metrics(index, evaluation, missing)
            case phases.Score(evaluation, metrics):
                self._score(evaluation, dict(metrics))
            case phases.CloseRun(rounds_aggregated, outcome):
                final = self.history.selection().kept(self.history.model_digest)
                self._log(
                    self.recipe.opened.planned_rounds,
                    RunClosed(outcome=outcome, rounds_aggregated=rounds_aggregated, final_model=final),
                )

    def _check_same_recipe(self) -> None:
        opened = self.history.opened
        if opened is not None and self.history.closed is None:
            check_same_settings(opened, self.run_id, self.recipe.opened.settings_digest)
        here = (digest_of(self.recipe.contract), sha256(self.recipe.initial_model))
        if opened is not None and here != (opened.contract_digest, opened.initial_model_digest):
            raise SettingsError(
                f"run {self.run_id} was opened with another model than the one in model/",
                next_step="restore model/ to go on with it, or choose a new run.run_id",
            )

    def _open(self) -> None:
        """Store the contract and the first model, then log the whole recipe."""
        weights, needed = members(self.recipe, tuple(self.recipe.opened.roster)), self.recipe.settings.rounds.min_sites
        if len(weights) < needed:
            raise SettingsError(
                f"a round needs {needed} training sites, and {len(weights)} training site(s) were admitted",
                next_step="admit more sites, or lower rounds.min_sites",
            )
        total = sum(member.weight for member in weights.values())
        check_fits(total, self.recipe.clip_norm, self.recipe.settings.update.scale_log2)
        model_vector(self.recipe.contract, self.recipe.initial_model)
        self.blobs.put(canonical_bytes(self.recipe.contract))
        self.blobs.put(self.recipe.initial_model)
        self._log(0, self.recipe.opened)

    def _greet(self, server_round: int, sites: Sequence[SiteId]) -> None:
        """Ask what each site runs on. Too few of them is the end for now, and nothing is lost."""
        entry, before = self._entry(self.history.opened_index), len(self.history.ready)
        asked = digest_of(entry.body)
        for site, reply in self.dispatcher.ask(entry, sites, "hello", asked, b"", SiteHello, self.history):
            verdict = reply if isinstance(reply, Refused) else judge_hello(reply, site, self.recipe, asked)
            if isinstance(reply, Refused) or verdict is not None:
                self._refuse(server_round, site, "hello", asked, verdict)
            else:
                greeted = SiteReady(site=site, envelope=reply.message.envelope, hello=reply.body)
                self._log_reply(server_round, site, "hello", asked, greeted)
        ready, needed = len(self.history.trainers()), self.recipe.settings.rounds.min_sites
        if ready < needed and len(self.history.ready) == before:
            raise Unreachable(
                f"{ready} of at least {needed} training sites are there for round {server_round}",
                next_step="start the sites' clients, then start the coordinator again: it goes on from here",
            )

    def _collect_updates(self, index: int, plan: RoundPlan, missing: Sequence[SiteId]) -> None:
        """Send the plan and its model; store each payload, then log it."""
        asked, model, told = digest_of(plan), self.blobs.get(plan.model_digest), self.history
        for site, reply in self.dispatcher.ask(self._entry(index), missing, "update", asked, model, SiteUpdate, told):
            verdict = reply if isinstance(reply, Refused) else judge_update(reply, plan, site, self.recipe, told)
            if isinstance(reply, Refused) or verdict is not None:
                self._refuse(plan.server_round, site, "update", asked, verdict)
                continue
            self.blobs.put(reply.message.payload)
            received = UpdateReceived(site=site, envelope=reply.message.envelope, update=reply.body)
            self._log_reply(plan.server_round, site, "update", asked, received)

    def _aggregate(self, plan: RoundPlan, updates: dict[SiteId, SiteUpdate]) -> None:
        """Fold the stored payloads in the order of site names; memory does not grow with the number of sites."""
        contract, rule = self.recipe.contract, load_rule(plan.aggregation)
        total = rule.start(contract.size)
        for site in sorted(updates):
            rule.fold(total, self.blobs.open_array(updates[site].payload_digest))
        weight = sum(plan.cohort[site].weight for site in updates)
        model_in = model_vector(contract, self.blobs.get(plan.model_digest))
        model_out = rule.finish(model_in, total, weight, plan.encoding.scale_log2)
        before = self.history.model_before
        if plan.server_momentum is not None and before is not None:
            last = model_vector(contract, self.blobs.get(before))
            model_out = with_momentum(model_out, model_in, last, plan.server_momentum)
        aggregated = RoundAggregated(
            plan_digest=digest_of(plan),
            included=tuple(sorted(updates)),
            total_weight=weight,
            sum_digest=rule.sum_digest(total),
            model_in=plan.model_digest,
            model_out=self.blobs.put(model_bytes(contract, model_out)),
        )
        self._log(plan.server_round, aggregated)

    def _abort(self, plan: RoundPlan, received: int) -> None:
        self._log(
            plan.server_round,
            RoundAborted(plan_digest=digest_of(plan), received=received, min_sites=plan.min_sites),
        )
        raise Unreachable(
            f"round {plan.server_round} was aborted: {received} of at least {plan.min_sites} updates came",
            next_step="see why with collab-audit show; start the coordinator again to go on with the next round",
        )

    def _collect_metrics(self, index: int, plan: EvaluationPlan, missing: Sequence[SiteId]) -> None:
        """Send the model back out; a site answers with noised counts, or with a no."""
        asked, model, told = digest_of(plan), self.blobs.get(plan.model_digest), self.history
        for site, reply in self.dispatcher.ask(
            self._entry(index), missing, "evaluate", asked, model, SiteMetrics, told
        ):
            verdict = reply if isinstance(reply, Refused) else judge_metrics(reply, plan, site, self.recipe, told)
            if isinstance(reply, Refused) or verdict is not None:
                self._refuse(plan.server_round, site, "evaluate", asked, verdict)
                continue
            received = MetricsReceived(site=site, envelope=reply.message.envelope, metrics=reply.body)
            self._log_reply(plan.server_round, site, "evaluate", asked, received)

    def _score(self, plan: EvaluationPlan, metrics: dict[SiteId, SiteMetrics]) -> None:
        sites = tuple(sorted(metrics))
        accuracy, macro_f1 = federation_scores(plan.task.places, [metrics[site] for site in sites])
        evaluated = RoundEvaluated(plan_digest=digest_of(plan), sites=sites, accuracy=accuracy, macro_f1=macro_f1)
        self._log(plan.server_round, evaluated)

    def _refuse(self, server_round: int, site: SiteId, phase: Phase, asked: Digest, verdict: Refused | None) -> None:
        """A refusal is always logged, never silent."""
        assert verdict is not None
        refused = ReplyRefused(
            site=site,
            phase=phase,
            plan_digest=asked,
            by=verdict.by,
            reason=verdict.reason,
            envelope=verdict.envelope,
            refusal=verdict.refusal,
        )
        self._log(server_round, refused)

    def _log_reply(
        self,
        server_round: int,
        site: SiteId,
        phase: Phase,
        asked: Digest,
        reply: SiteReady | UpdateReceived | MetricsReceived,
    ) -> None:
        """A reply that the log cannot hold is refused like any other: one site must not end the run of all."""
        try:
            self._log(server_round, reply)
        except ContractError:
            self._refuse(server_round, site, phase, asked, Refused("coordinator", "malformed"))

    def _entry(self, index: int) -> AuditEntry:
        return next(entry for entry in self.journal.entries(self.run_id) if entry.index == index)

    def _log(self, server_round: int, body: EntryBody) -> None:
        for entry in self.journal.append(self.run_id, server_round, body):
            self.history.take(entry)
            self.progress(entry)
