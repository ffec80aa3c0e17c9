# SPDX-License-Identifier: Apache-2.0
"""One run as its log tells it, folded entry by entry: the one reading of a log, for who writes, audits and shows it.

`Run.take` is the only way to change it. What an entry means is said by its kind (privacy/protocol/kinds/); here is what
kinds keep of a run for each other. All of it is kept up as entries come, so that what comes next is known at once,
however long the run is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from privacy.base.identifiers import Digest, RunId, SiteId
from privacy.protocol.messages import Phase, SiteHello, SiteMetrics, SiteUpdate
from privacy.protocol.plans import EvaluationPlan, RoundPlan
from privacy.protocol.reasons import Fault, unless
from privacy.protocol.selection import Rule, Selection
from privacy.protocol.self_checks import SelfChecks
from privacy.protocol.spending import Spending
from privacy.protocol.uncertainty import UNKNOWN, Spread, spread

if TYPE_CHECKING:
    from privacy.protocol.body import EntryBody
    from privacy.protocol.entries import (
        AuditEntry,
        RosterSite,
        RoundAborted,
        RoundAggregated,
        RoundEvaluated,
        RunClosed,
        RunOpened,
    )

OwnState = TypeVar("OwnState")


@dataclass
class Request:
    """What one entry asks of sites in one phase of a round, who answered it, and of whom a refusal is logged."""

    phase: Phase
    server_round: int
    index: int
    digest: Digest
    sites: tuple[SiteId, ...]
    answered: set[SiteId] = field(default_factory=set)
    refused: set[SiteId] = field(default_factory=set)

    @property
    def missing(self) -> tuple[SiteId, ...]:
        """Those asked, in order, that neither answered nor are logged as refused."""
        return tuple(site for site in self.sites if site not in self.answered and site not in self.refused)

    def has_of(self, site: SiteId) -> bool:
        """Whether there is an answer or a refusal of `site`."""
        return site in self.answered or site in self.refused


@dataclass
class Round:
    """One round. Round 0 is the evaluation of the initial model. `entries` are (recorded_at, body), in log order."""

    number: int
    began_at: int = 0
    ended_at: int = 0
    plan: RoundPlan | None = None
    evaluation: EvaluationPlan | None = None
    requests: dict[Phase, Request] = field(default_factory=dict)
    updates: dict[SiteId, SiteUpdate] = field(default_factory=dict)
    metrics: dict[SiteId, SiteMetrics] = field(default_factory=dict)
    absent: set[SiteId] = field(default_factory=set)
    """Sites that were greeted before this round and did not say yes."""
    aggregated: RoundAggregated | None = None
    aborted: RoundAborted | None = None
    evaluated: RoundEvaluated | None = None
    entries: list[tuple[int, EntryBody]] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        if self.aggregated is not None:
            return "aggregated"
        if self.aborted is not None:
            return f"aborted: {self.aborted.received} of at least {self.aborted.min_sites} updates"
        return "initial model" if self.number == 0 else "open"

    @property
    def is_trained(self) -> bool:
        """Whether its model is known: a new one, or after an abort the old one."""
        return self.number == 0 or self.aggregated is not None or self.aborted is not None

    def refusals_of(self, site: SiteId) -> int:
        """In how many of its phases a refusal of `site` is logged."""
        return (site in self.absent) + sum(site in request.refused for request in self.requests.values())

    @property
    def spread(self) -> Spread:
        """How far the noise of the counts moves its figures; unknown before it was evaluated."""
        return self.spread_of(self.evaluated.sites) if self.evaluated is not None else UNKNOWN

    def spread_of(self, sites: Iterable[SiteId]) -> Spread:
        """The same for the counts of `sites`."""
        return spread([self.metrics[site] for site in sites if site in self.metrics])


@dataclass
class Run:
    """Everything that a run's law, its next step and its story need. `log_vkey`: the log's key line, if it is known.

    `hellos` are the sites that answered the opening, each with its last answer; `forgot` those of them that said later
    that they do not know the run. `silent` are phases, with their round, in which a site gave no answer; `open` the
    requests of phases that are not over; `at` the first round that is not over.
    """

    run_id: RunId = ""
    log_vkey: str | None = None
    version: int = 0
    opened: RunOpened | None = None
    opened_index: int = 0
    opened_at: int = 0
    opening_digest: Digest = ""
    closed: RunClosed | None = None
    closed_at: int = 0
    hellos: dict[SiteId, SiteHello] = field(default_factory=dict)
    forgot: set[SiteId] = field(default_factory=set)
    gone: set[SiteId] = field(default_factory=set)
    seen: dict[SiteId, int] = field(default_factory=dict)
    silent: set[tuple[Phase, int]] = field(default_factory=set)
    rounds: dict[int, Round] = field(default_factory=dict)
    open: dict[Phase, Request] = field(default_factory=dict)
    asked_in: dict[Phase, list[int]] = field(default_factory=dict)
    entries: int = 0
    last_entry_at: int = 0
    model_digest: Digest = ""
    """The newest model: the last aggregate's, or the initial one."""
    model_before: Digest | None = None
    """What the newest model was made from; None before the first aggregate."""
    rounds_aggregated: int = 0
    rounds_aborted: int = 0
    at: int = 0
    selection: Selection = field(default_factory=lambda: Selection(Rule()))
    spending: Spending = field(default_factory=Spending)
    self_checks: SelfChecks = field(default_factory=SelfChecks)
    _kept: dict[type, object] = field(default_factory=dict)

    @classmethod
    def read(cls, entries: Iterable[AuditEntry]) -> Run:
        """The run that `entries`, in log order and all of one run, tell."""
        run = cls()
        for entry in entries:
            run.take(entry)
        return run

    def faults(self, entry: AuditEntry) -> Iterator[Fault]:
        """The law: all that is wrong with `entry` as the next one. Whoever logs asks it first, whoever audits after."""
        yield from unless(self.closed is None, "this entry stands after the end of its run")
        version = self.version or entry.version
        yield from unless(entry.version == version, f"the run was opened in version {version} of the log")
        if self.opened is None and entry.body.kind != "run_opened":
            yield Fault("this run has no opening before this entry")
            return
        yield from entry.body.faults(self, entry)

    def take(self, entry: AuditEntry) -> None:
        """Let the next entry count."""
        self.run_id = self.run_id or entry.run_id
        self.version = self.version or entry.version
        self.entries, self.last_entry_at = self.entries + 1, entry.recorded_at
        if entry.body.in_a_round:
            of_round = self.round(entry.server_round, entry.recorded_at)
            of_round.ended_at = entry.recorded_at
            of_round.entries.append((entry.recorded_at, entry.body))
        entry.body.fold(self, entry)
        while self._is_over(self.at):
            self.at += 1

    def _is_over(self, number: int) -> bool:
        opened, of_round = self.opened, self.rounds.get(number)
        if opened is None or number > opened.planned_rounds:
            return False
        evaluated = opened.outline is not None and opened.outline.is_evaluated(number)
        if of_round is None:
            return number == 0 and not evaluated
        return of_round.is_trained and (not evaluated or of_round.aborted is not None or of_round.evaluated is not None)

    def round(self, number: int, at: int = 0) -> Round:
        """Round `number`, begun now if nothing is logged of it yet."""
        return self.rounds.setdefault(number, Round(number, at, at))

    def round_plan(self, number: int) -> RoundPlan | None:
        """The plan of round `number`, if one is logged."""
        return self.rounds[number].plan if number in self.rounds else None

    def evaluation_plan(self, number: int) -> EvaluationPlan | None:
        """The plan of the evaluation after round `number`, if one is logged."""
        return self.rounds[number].evaluation if number in self.rounds else None

    def ask(self, request: Request) -> None:
        """A logged entry asks sites for something: the phase is open until `settle`."""
        self.open[request.phase] = self.round(request.server_round).requests[request.phase] = request
        self.asked_in.setdefault(request.phase, []).append(request.server_round)

    def requested(self, phase: Phase, server_round: int, site: SiteId) -> Request | None:
        """The open request of `phase` that `site` may answer in `server_round`."""
        request = self.open.get(phase)
        if request is None or request.server_round != server_round or site not in request.sites:
            return None
        return request

    def answer(self, phase: Phase, site: SiteId, seen_tree_size: int) -> None:
        """`site` answered the open request of `phase`, and has seen so much of the log."""
        self.seen[site] = seen_tree_size
        if (request := self.open.get(phase)) is not None:
            request.answered.add(site)

    def settle(self, phase: Phase, server_round: int) -> Request | None:
        """The open request of `phase` in `server_round`, which is over with this; None where there is none."""
        request = self.open.get(phase)
        return self.open.pop(phase) if request is not None and request.server_round == server_round else None

    def kept(self, of_kind: type[OwnState]) -> OwnState:
        """What a kind keeps of the run for itself: `of_kind()` at first, then the same value."""
        value = self._kept.setdefault(of_kind, of_kind())
        assert isinstance(value, of_kind)
        return value

    @property
    def roster(self) -> Mapping[SiteId, RosterSite]:
        return self.opened.roster if self.opened else {}

    @property
    def outcome(self) -> str:
        return self.closed.outcome if self.closed else "open"

    @property
    def rounds_settled(self) -> int:
        """Rounds that were aggregated or aborted."""
        return self.rounds_aggregated + self.rounds_aborted

    @property
    def ready(self) -> dict[SiteId, SiteHello]:
        """The sites that answered the opening and know the run."""
        return {site: hello for site, hello in self.hellos.items() if site not in self.forgot}

    def trainers(self) -> tuple[SiteId, ...]:
        """Ready sites that train and have not left for good, sorted."""
        ready = self.ready
        return tuple(s for s in sorted(ready) if ready[s].role == "trainer" and s not in self.gone)

    def left_to_train(self) -> int:
        """Admitted training sites, ready or not, that have not left for good."""
        return sum(admitted.role == "trainer" and site not in self.gone for site, admitted in self.roster.items())


def runs(entries: Iterable[AuditEntry], log_vkey: str | None = None) -> dict[RunId, Run]:
    """All runs of a log, in the order in which they were opened."""
    of_log: dict[RunId, Run] = {}
    for entry in entries:
        of_log.setdefault(entry.run_id, Run(entry.run_id, log_vkey)).take(entry)
    return of_log
