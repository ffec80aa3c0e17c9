# SPDX-License-Identifier: Apache-2.0
"""What comes next: a pure function of the log. A restarted coordinator reads the log and goes on where it was.

A run is: open; then for each round: greet the sites that are not there yet, plan, collect updates, aggregate (or
abort), plan the evaluation, collect metrics, evaluate; then close. Round 0 is the evaluation of the initial model. Each
phase is a value of `Action`; secure aggregation and reviews add theirs here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from privacy.base.canonical import digest_of
from privacy.base.identifiers import Digest, SiteId
from privacy.protocol.entries import (
    AuditEntry,
    EvaluationPlanned,
    MetricsReceived,
    ReplyRefused,
    RoundAborted,
    RoundAggregated,
    RoundEvaluated,
    RoundPlanned,
    RunClosed,
    RunOpened,
    SiteReady,
    UpdateReceived,
)
from privacy.protocol.messages import SiteHello, SiteMetrics, SiteUpdate
from privacy.protocol.plans import EvaluationPlan, RoundPlan
from privacy.protocol.selection import Rule, Selection

LEAVES_FOR_GOOD = frozenset({"budget_exceeded", "mechanism_check_failed", "policy", "recall_below_floor"})
"""A site that refused an update for one of these is not asked again in this run, neither to train nor to count: its
answer would be the same, and counting would cost epsilon for a run that it has no part in."""

STAYS_AWAY = frozenset({"budget_exceeded", "declined", "policy"})
"""A site that refused the opening for one of these is not greeted again in this run."""


@dataclass(frozen=True)
class OpenRun:
    """Nothing is logged of this run yet."""


@dataclass(frozen=True)
class Greet:
    """Ask `sites` what they run on, before round `server_round`."""

    server_round: int
    sites: tuple[SiteId, ...]


@dataclass(frozen=True)
class PlanRound:
    """Log the plan of round `server_round` for `sites`."""

    server_round: int
    sites: tuple[SiteId, ...]


@dataclass(frozen=True)
class CollectUpdates:
    """Ask `missing` for their updates to the plan that stands in entry `index`."""

    index: int
    plan: RoundPlan
    missing: tuple[SiteId, ...]


@dataclass(frozen=True)
class Aggregate:
    """Fold the logged updates of a plan into the next model."""

    plan: RoundPlan
    updates: tuple[tuple[SiteId, SiteUpdate], ...]


@dataclass(frozen=True)
class AbortRound:
    """Too few updates: the model stays as it is."""

    plan: RoundPlan
    received: int


@dataclass(frozen=True)
class PlanEvaluation:
    """Log the evaluation of the model after round `server_round`, asked of `sites`."""

    server_round: int
    sites: tuple[SiteId, ...]


@dataclass(frozen=True)
class CollectMetrics:
    """Ask `missing` for their counts to the plan that stands in entry `index`."""

    index: int
    plan: EvaluationPlan
    missing: tuple[SiteId, ...]


@dataclass(frozen=True)
class Score:
    """Turn the logged counts of a plan into the federation's figures."""

    plan: EvaluationPlan
    metrics: tuple[tuple[SiteId, SiteMetrics], ...]


@dataclass(frozen=True)
class CloseRun:
    """All planned rounds are over ("done"), too few sites are left to ever have another one ("stopped"), or the figures
    of the last evaluations rose no more ("early")."""

    rounds_aggregated: int
    outcome: Literal["done", "stopped", "early"] = "done"


@dataclass(frozen=True)
class Finished:
    """The run is closed."""


Action = (
    OpenRun
    | Greet
    | PlanRound
    | CollectUpdates
    | Aggregate
    | AbortRound
    | PlanEvaluation
    | CollectMetrics
    | Score
    | CloseRun
    | Finished
)


@dataclass
class History:
    """One run as its entries tell it: `read` and `take` are the only ways to change it.

    `ready` are the sites that answered the opening; one that says that it does not know the run is greeted anew.
    `silent` are phases, with their round, in which a site gave no answer.
    """

    opened: RunOpened | None = None
    opened_index: int = 0
    ready: dict[SiteId, SiteHello] = field(default_factory=dict)
    plans: dict[int, tuple[int, RoundPlan]] = field(default_factory=dict)
    updates: dict[int, dict[SiteId, SiteUpdate]] = field(default_factory=dict)
    evaluations: dict[int, tuple[int, EvaluationPlan]] = field(default_factory=dict)
    metrics: dict[int, dict[SiteId, SiteMetrics]] = field(default_factory=dict)
    refused: dict[tuple[str, int], set[SiteId]] = field(default_factory=dict)
    gone: set[SiteId] = field(default_factory=set)
    silent: set[tuple[str, int]] = field(default_factory=set)
    aggregated: dict[int, RoundAggregated] = field(default_factory=dict)
    aborted: set[int] = field(default_factory=set)
    evaluated: dict[int, RoundEvaluated] = field(default_factory=dict)
    closed: RunClosed | None = None
    seen: dict[SiteId, int] = field(default_factory=dict)

    @classmethod
    def read(cls, entries: Iterable[AuditEntry]) -> History:
        """The history that `entries`, in log order and all of one run, tell."""
        history = cls()
        for entry in entries:
            history.take(entry)
        return history

    def take(self, entry: AuditEntry) -> None:
        """Add the next entry of the run."""
        body, number = entry.body, entry.server_round
        match body:
            case RunOpened():
                self.opened, self.opened_index = body, entry.index
            case SiteReady():
                self.ready[body.site] = body.hello
                self.seen[body.site] = body.hello.seen_tree_size
            case RoundPlanned():
                self.plans[number] = (entry.index, body.plan)
            case UpdateReceived():
                self.updates.setdefault(number, {})[body.site] = body.update
                self.seen[body.site] = body.update.seen_tree_size
            case ReplyRefused():
                self.refused.setdefault((body.phase, number), set()).add(body.site)
                leaves = {"update": LEAVES_FOR_GOOD, "hello": STAYS_AWAY}.get(body.phase, frozenset())
                if body.by == "site" and body.reason in leaves:
                    self.gone.add(body.site)
                if body.reason == "no_reply":
                    self.silent.add((body.phase, number))
                if body.by == "site" and body.reason == "run_unknown":
                    self.ready.pop(body.site, None)
            case RoundAggregated():
                self.aggregated[number] = body
            case RoundAborted():
                self.aborted.add(number)
            case EvaluationPlanned():
                self.evaluations[number] = (entry.index, body.plan)
            case MetricsReceived():
                self.metrics.setdefault(number, {})[body.site] = body.metrics
                self.seen[body.site] = body.metrics.seen_tree_size
            case RoundEvaluated():
                self.evaluated[number] = body
            case RunClosed():
                self.closed = body

    @property
    def model_digest(self) -> Digest:
        """The newest model: the last aggregate's, or the initial one."""
        assert self.opened is not None
        if not self.aggregated:
            return self.opened.initial_model_digest
        return self.aggregated[max(self.aggregated)].model_out

    def selection(self, server_round: int | None = None) -> Selection:
        """The evaluated models of all rounds, or of those up to `server_round`, by the rule that the run was opened
        with."""
        assert self.opened is not None
        selection, model = Selection(Rule.of(self.opened.settings)), self.opened.initial_model_digest
        last = self.opened.planned_rounds if server_round is None else server_round
        for number in range(last + 1):
            if number in self.aggregated:
                model = self.aggregated[number].model_out
            if number in self.evaluated:
                selection.take(number, self.evaluated[number], model)
        return selection

    @property
    def model_before(self) -> Digest | None:
        """What the newest model was made from: the last aggregate's input; None before the first aggregate."""
        return self.aggregated[max(self.aggregated)].model_in if self.aggregated else None

    def trainers(self) -> tuple[SiteId, ...]:
        """Ready sites that train and have not left for good, sorted."""
        return tuple(s for s in sorted(self.ready) if self.ready[s].role == "trainer" and s not in self.gone)

    def left_to_train(self) -> int:
        """Admitted training sites, ready or not, that have not left for good."""
        assert self.opened is not None
        return sum(entry.role == "trainer" and site not in self.gone for site, entry in self.opened.roster.items())

    def missing(
        self, phase: str, server_round: int, asked: Sequence[SiteId], have: Iterable[SiteId]
    ) -> tuple[SiteId, ...]:
        """Of `asked`, in order: those that neither answered nor are logged as refused."""
        done = set(have) | self.refused.get((phase, server_round), set())
        return tuple(site for site in asked if site not in done)


def next_action(history: History, *, min_sites: int) -> Action:
    """The one thing to do next. Pure: the same log gives the same action."""
    if history.opened is None:
        return OpenRun()
    if history.closed is not None:
        return Finished()
    for number in range(history.opened.planned_rounds + 1):
        action = _in_round(history, number, min_sites)
        if action is not None:
            return action
        if number < history.opened.planned_rounds and history.selection(number).is_over:
            return CloseRun(len(history.aggregated), "early")
    return CloseRun(rounds_aggregated=len(history.aggregated))


def _in_round(history: History, number: int, min_sites: int) -> Action | None:
    assert history.opened is not None
    outline = history.opened.outline
    evaluate = outline is not None and outline.is_evaluated(number)
    if number > 0 or evaluate:
        settled = number in history.plans or number in history.evaluations
        if not settled and history.left_to_train() < min_sites:
            return CloseRun(len(history.aggregated), "stopped")
        if not settled and (absent := _absent(history, number, min_sites)):
            return Greet(number, absent)
    if number > 0 and (action := _training(history, number, min_sites)) is not None:
        return action
    if not evaluate or number in history.aborted:
        return None
    return _evaluation(history, number)


def _absent(history: History, number: int, min_sites: int) -> tuple[SiteId, ...]:
    """Sites to greet: each once a round, and again as long as too few are there."""
    assert history.opened is not None
    here = history.ready.keys() | history.gone
    absent = tuple(site for site in sorted(history.opened.roster) if site not in here)
    if len(history.trainers()) < min_sites:
        return absent
    return tuple(site for site in absent if site not in history.refused.get(("hello", number), set()))


def _training(history: History, number: int, min_sites: int) -> Action | None:
    if number in history.aggregated or number in history.aborted:
        return None
    if number not in history.plans:
        return PlanRound(number, history.trainers())
    index, plan = history.plans[number]
    updates = history.updates.get(number, {})
    missing = history.missing("update", number, sorted(plan.cohort), updates)
    if missing:
        return CollectUpdates(index, plan, missing)
    if len(updates) < min_sites:
        return AbortRound(plan, received=len(updates))
    return Aggregate(plan, tuple(sorted(updates.items())))


def _evaluation(history: History, number: int) -> Action | None:
    if number in history.evaluated:
        return None
    if number not in history.evaluations:
        return PlanEvaluation(number, tuple(site for site in sorted(history.ready) if site not in history.gone))
    index, plan = history.evaluations[number]
    metrics = history.metrics.get(number, {})
    missing = history.missing("evaluate", number, plan.sites, metrics)
    if missing:
        return CollectMetrics(index, plan, missing)
    return Score(plan, tuple(sorted(metrics.items())))


def plan_digest(plan: RoundPlan | EvaluationPlan | RunOpened) -> Digest:
    """What replies to `plan` are bound to."""
    return digest_of(plan)
