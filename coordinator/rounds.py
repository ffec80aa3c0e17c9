# SPDX-License-Identifier: Apache-2.0
"""The story of a run, as the coordinator tells it: plan, send, receive, fold, log. A newcomer starts here.

`next_action` (coordinator/phases.py) says what comes next, from the log alone; each method here does one such thing and
ends by writing the log. Payloads are stored before the entry that names them; a plan is logged before it is sent. The
same code runs on the network's grid and on the in-process one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coordinator import phases
from coordinator.blobs import BlobStore
from coordinator.deadlines import deadline
from coordinator.journal import Journal
from coordinator.phases import STEPS, Action, next_action
from coordinator.planning import Recipe, check_same_settings, evaluation_plan, members, round_plan
from coordinator.replies import OpenedReply, Question, RefusedReply, RequestDispatcher, draft, judge
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
    ReplyRefused,
    RoundAborted,
    RoundAggregated,
    RoundEvaluated,
    RoundPlanned,
    RunClosed,
)
from privacy.protocol.phases import definition_of
from privacy.protocol.run import Run
from privacy.protocol.scores import federation_scores
from privacy.update.delta import model_bytes, model_vector
from privacy.update.quantize import check_fits

OnEntry = Callable[[AuditEntry], None]
"""What is told of each new entry of the log."""
Doing = Callable[[Any], None]
"""What does an action; it ends by writing the log."""


class Rounds:
    """One run, from wherever its log stands to its end.

    `steps` are those of a round, `doing` is what does each action. What finds that something is not there yet, be it a
    site or a decision of people, raises Unreachable: the log says what comes next, also to the coordinator that is
    started then.
    """

    def __init__(
        self,
        recipe: Recipe,
        journal: Journal,
        blobs: BlobStore,
        message_exchange: MessageExchange,
        key: SigningKey,
        on_entry: OnEntry,
    ) -> None:
        self.recipe, self.journal, self.blobs, self.on_entry = recipe, journal, blobs, on_entry
        self.run_id = recipe.settings.run.run_id
        self.read = Run(self.run_id, journal.log_key.vkey())
        for entry in journal.entries(self.run_id):
            self.read.take(entry)
        self.dispatcher = RequestDispatcher(recipe, journal, message_exchange, key)
        self.dispatcher.seen.update(self.read.seen)
        self.steps = STEPS
        self.doing: dict[type[Action], Doing] = {
            phases.OpenRun: self._open,
            phases.Greet: self._greet,
            phases.PlanRound: self._plan_round,
            phases.Collect: self.collect,
            phases.Aggregate: self._aggregate,
            phases.AbortRound: self._abort,
            phases.PlanEvaluation: self._plan_evaluation,
            phases.Score: self._score,
            phases.CloseRun: self._close,
        }

    def run(self) -> RunClosed:
        """Go on until the run is closed. Raises Unreachable when too few sites are there: start again to resume."""
        self._check_same_recipe()
        while self.read.closed is None:
            action = next_action(self.read, min_sites=self.recipe.settings.rounds.min_sites, steps=self.steps)
            self.doing[type(action)](action)
            self.journal.settle()
        return self.read.closed

    def _check_same_recipe(self) -> None:
        opened = self.read.opened
        if opened is not None and self.read.closed is None:
            check_same_settings(opened, self.run_id, self.recipe.opened.settings_digest)
        here = (digest_of(self.recipe.contract), sha256(self.recipe.initial_model))
        if opened is not None and here != (opened.contract_digest, opened.initial_model_digest):
            raise SettingsError(
                f"run {self.run_id} was opened with another model than the one in model/",
                next_step="restore model/ to go on with it, or choose a new run.run_id",
            )

    def _open(self, action: phases.OpenRun) -> None:
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
        self.log(0, self.recipe.opened)

    def _greet(self, action: phases.Greet) -> None:
        """Ask what each site runs on. Too few of them is the end for now, and nothing is lost."""
        server_round = action.server_round
        before = len(self.read.ready)
        self.collect(phases.Collect("hello", server_round, self.read.opened_index, action.sites))
        ready, needed = len(self.read.trainers()), self.recipe.settings.rounds.min_sites
        if ready < needed and len(self.read.ready) == before:
            raise Unreachable(
                f"{ready} of at least {needed} training sites are there for round {server_round}",
                next_step="start the sites' clients, then start the coordinator again: it goes on from here",
            )

    def _plan_round(self, action: phases.PlanRound) -> None:
        plan = round_plan(self.recipe, self.read, action.server_round, action.sites)
        self.log(action.server_round, RoundPlanned(plan=plan))

    def collect(self, action: phases.Collect) -> None:
        """Send each site the entry and its payload; store the payload of each good reply, then log it."""
        entry, stored = self.journal.entry(action.index), {digest: b"" for _, digest in action.payloads}
        for digest in stored:  # sites that get the same payload get the same bytes
            stored[digest] = self.blobs.get(digest)
        payloads = {site: stored[digest] for site, digest in action.payloads}
        digest, wait = entry.body.request_digest(), deadline(self.recipe, self.read, action.phase, action.server_round)
        question = Question(entry, action.phase, digest, action.missing, payloads, wait)
        for site, reply in self.dispatcher.ask(question):
            verdict = reply if isinstance(reply, RefusedReply) else self._accept(action, site, reply)
            if verdict is not None:
                self._refuse(action, site, digest, verdict)

    def _accept(self, action: phases.Collect, site: SiteId, answer: OpenedReply[Any]) -> RefusedReply | None:
        """Log a reply that the law accepts. One that the log cannot hold is refused like any other: one site must not
        end the run of all."""
        body = definition_of(action.phase).record(site, answer.message.envelope, answer.body)
        if (verdict := judge(answer, body, self.read, action.server_round, self.recipe)) is not None:
            return verdict
        if body.blobs():
            self.blobs.put(answer.message.payload)
        try:
            self._append(action.server_round, body)
        except ContractError:
            return RefusedReply("coordinator", "malformed")
        return None

    def _aggregate(self, action: phases.Aggregate) -> None:
        """Fold the stored payloads in the order of site names; memory does not grow with the number of sites."""
        of_round = self.read.rounds[action.server_round]
        plan, updates = of_round.plan, of_round.updates
        assert plan is not None
        contract, rule = self.recipe.contract, load_rule(plan.aggregation)
        total = rule.start(contract.size)
        for site in sorted(updates):
            rule.fold(total, self.blobs.open_array(updates[site].payload_digest))
        weight = sum(plan.cohort[site].weight for site in updates)
        model_in = model_vector(contract, self.blobs.get(plan.model_digest))
        model_out = rule.finish(model_in, total, weight, plan.encoding.scale_log2)
        before = self.read.model_before
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
        self.log(plan.server_round, aggregated)

    def _abort(self, action: phases.AbortRound) -> None:
        of_round = self.read.rounds[action.server_round]
        plan, received = of_round.plan, len(of_round.updates)
        assert plan is not None
        self.log(
            plan.server_round,
            RoundAborted(plan_digest=digest_of(plan), received=received, min_sites=plan.min_sites),
        )
        raise Unreachable(
            f"round {plan.server_round} was aborted: {received} of at least {plan.min_sites} updates came",
            next_step="see why with collab-audit show; start the coordinator again to go on with the next round",
        )

    def _plan_evaluation(self, action: phases.PlanEvaluation) -> None:
        plan = evaluation_plan(self.recipe, self.read, action.server_round, action.sites)
        self.log(action.server_round, EvaluationPlanned(plan=plan))

    def _score(self, action: phases.Score) -> None:
        of_round = self.read.rounds[action.server_round]
        plan, sites = of_round.evaluation, tuple(sorted(of_round.metrics))
        assert plan is not None
        accuracy, macro_f1 = federation_scores(plan.task.num_outputs, [of_round.metrics[site] for site in sites])
        evaluated = RoundEvaluated(plan_digest=digest_of(plan), sites=sites, accuracy=accuracy, macro_f1=macro_f1)
        self.log(plan.server_round, evaluated)

    def _close(self, action: phases.CloseRun) -> None:
        final = self.read.selection.kept(self.read.model_digest)
        closed = RunClosed(outcome=action.outcome, rounds_aggregated=action.rounds_aggregated, final_model=final)
        self.log(self.recipe.opened.planned_rounds, closed)

    def _refuse(self, action: phases.Collect, site: SiteId, plan_digest: Digest, verdict: RefusedReply) -> None:
        """A refusal is always logged, never silent."""
        refused = ReplyRefused(
            site=site,
            phase=action.phase,
            plan_digest=plan_digest,
            by=verdict.by,
            reason=verdict.reason,
            envelope=verdict.envelope,
            refusal=verdict.refusal,
        )
        self.log(action.server_round, refused)

    def log(self, server_round: int, body: EntryBody) -> None:
        """Log what this coordinator says itself, after the law was asked: what it would not accept is a bug here."""
        for fault in self.read.faults(draft(body, self.read, server_round)):
            raise ContractError(f"this coordinator was about to log what no auditor accepts: {fault.sentence}")
        self._append(server_round, body)

    def _append(self, server_round: int, body: EntryBody) -> None:
        for entry in self.journal.append(self.run_id, server_round, body):
            self.read.take(entry)
            self.on_entry(entry)
