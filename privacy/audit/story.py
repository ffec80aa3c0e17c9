# SPDX-License-Identifier: Apache-2.0
"""A log's runs as they went: per round the plans, what each site said, and what came of it. Unchecked, as logged.

privacy/audit/values.py makes JSON of it, privacy/audit/report.py tables for people; whether it is true is the business
of privacy/audit/verify.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from privacy.audit.uncertainty import UNKNOWN, Spread, Spreads
from privacy.base.identifiers import RunId, SiteId
from privacy.protocol.anonymization_check import SelfCheck
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
from privacy.protocol.mechanism import MechanismCheck
from privacy.protocol.messages import SiteHello
from privacy.protocol.plans import EvaluationPlan, RoundPlan

Reply = UpdateReceived | MetricsReceived | ReplyRefused


@dataclass
class RoundStory:
    """One round. Round 0 is the evaluation of the initial model. `replies` are (recorded_at, body), in log order."""

    server_round: int
    began_at: int
    plan: RoundPlan | None = None
    evaluation: EvaluationPlan | None = None
    replies: list[tuple[int, Reply]] = field(default_factory=list)
    aggregated: RoundAggregated | None = None
    aborted: RoundAborted | None = None
    evaluated: RoundEvaluated | None = None
    spread: Spread = UNKNOWN
    ended_at: int = 0

    @property
    def outcome(self) -> str:
        if self.aggregated is not None:
            return "aggregated"
        if self.aborted is not None:
            return f"aborted: {self.aborted.received} of at least {self.aborted.min_sites} updates"
        return "initial model" if self.server_round == 0 else "open"


@dataclass
class RunStory:
    """One run with its rounds. Of hellos, self-checks and mechanism checks, the last of each site; it repeats them."""

    run_id: RunId
    opened: RunOpened | None = None
    opened_at: int = 0
    closed: RunClosed | None = None
    closed_at: int = 0
    hellos: dict[SiteId, SiteHello] = field(default_factory=dict)
    self_checks: dict[SiteId, SelfCheck] = field(default_factory=dict)
    mechanism_checks: dict[SiteId, MechanismCheck] = field(default_factory=dict)
    rounds: dict[int, RoundStory] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        return self.closed.outcome if self.closed else "open"


def runs(entries: Iterable[AuditEntry]) -> list[RunStory]:
    """All runs, in the order in which they were opened."""
    found: dict[RunId, RunStory] = {}
    spreads = Spreads()
    for entry in entries:
        spreads.take(entry)
        run = found.setdefault(entry.run_id, RunStory(entry.run_id))
        _take(run, entry)
        if isinstance(entry.body, RoundEvaluated):
            run.rounds[entry.server_round].spread = spreads.of(run.run_id, entry.server_round)
    return list(found.values())


def _take(run: RunStory, entry: AuditEntry) -> None:
    body = entry.body
    if isinstance(body, UpdateReceived) and body.update.self_check is not None:
        run.self_checks[body.site] = body.update.self_check
    if isinstance(body, UpdateReceived) and body.update.mechanism_check is not None:
        run.mechanism_checks[body.site] = body.update.mechanism_check
    match body:
        case RunOpened():
            run.opened, run.opened_at = body, entry.recorded_at
        case SiteReady():
            run.hellos[body.site] = body.hello
        case RunClosed():
            run.closed, run.closed_at = body, entry.recorded_at
        case _:
            number, at = entry.server_round, entry.recorded_at
            story = run.rounds.setdefault(number, RoundStory(number, at))
            story.ended_at = at
            _take_of_round(story, body, at)


def _take_of_round(story: RoundStory, body: object, at: int) -> None:
    match body:
        case RoundPlanned(plan=plan):
            story.plan = plan
        case EvaluationPlanned(plan=evaluation):
            story.evaluation = evaluation
        case UpdateReceived() | MetricsReceived() | ReplyRefused():
            story.replies.append((at, body))
        case RoundAggregated():
            story.aggregated = body
        case RoundAborted():
            story.aborted = body
        case RoundEvaluated():
            story.evaluated = body
