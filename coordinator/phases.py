# SPDX-License-Identifier: Apache-2.0
"""What comes next: a pure function of the log. A restarted coordinator reads the log and goes on where it was.

A run is: open; then for each round: greet the sites that are not there yet, plan, collect updates, aggregate (or
abort), plan the evaluation, collect metrics, evaluate; then close. Round 0 is the evaluation of the initial model. A
further phase is a step of the round (`STEPS`), with an `Action` and what does it (coordinator/rounds.py): it may ask
the same sites several times, send each its own payload, and wait for people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from privacy.base.identifiers import Digest, SiteId
from privacy.protocol.messages import Phase
from privacy.protocol.run import Request, Round, Run


@dataclass(frozen=True)
class Action:
    """One thing to do next; each kind of it is a class of its own."""


@dataclass(frozen=True)
class OpenRun(Action):
    """Nothing is logged of this run yet."""


@dataclass(frozen=True)
class Greet(Action):
    """Ask `sites` what they run on, before round `server_round`."""

    server_round: int
    sites: tuple[SiteId, ...]


@dataclass(frozen=True)
class PlanRound(Action):
    """Log the plan of round `server_round` for `sites`."""

    server_round: int
    sites: tuple[SiteId, ...]


@dataclass(frozen=True)
class Collect(Action):
    """Ask `missing` what entry `index` asks of them in `phase`, each with the stored payload that is named for it.

    `payloads` are (site, digest) of those that get one.
    """

    phase: Phase
    server_round: int
    index: int
    missing: tuple[SiteId, ...]
    payloads: tuple[tuple[SiteId, Digest], ...] = ()

    @classmethod
    def of(cls, request: Request, payload: Digest) -> Collect:
        """What is missing of `request`; all get the same payload."""
        missing = request.missing
        of_sites = tuple((site, payload) for site in missing)
        return cls(request.phase, request.server_round, request.index, missing, of_sites)


@dataclass(frozen=True)
class Aggregate(Action):
    """Fold the logged updates to the plan of round `server_round` into the next model."""

    server_round: int


@dataclass(frozen=True)
class AbortRound(Action):
    """Too few updates came in round `server_round`: the model stays as it is."""

    server_round: int


@dataclass(frozen=True)
class PlanEvaluation(Action):
    """Log the evaluation of the model after round `server_round`, asked of `sites`."""

    server_round: int
    sites: tuple[SiteId, ...]


@dataclass(frozen=True)
class Score(Action):
    """Turn the logged counts after round `server_round` into the federation's figures."""

    server_round: int


@dataclass(frozen=True)
class CloseRun(Action):
    """All planned rounds are over ("done"), too few sites are left to ever have another one ("stopped"), or the figures
    of the last evaluations rose no more ("early")."""

    rounds_aggregated: int
    outcome: Literal["done", "stopped", "early"] = "done"


@dataclass(frozen=True)
class Finished(Action):
    """The run is closed."""


RoundStep = Callable[[Run, int, int], Action | None]
"""A step of a round: what it does next in round `number` with at least `min_sites`; None when it is done there."""


def _is_evaluated(run: Run, number: int) -> bool:
    outline = run.opened.outline if run.opened is not None else None
    return outline is not None and outline.is_evaluated(number)


def greet(run: Run, number: int, min_sites: int) -> Action | None:
    """Sites to greet before a round: each once, and again as long as too few are there; the end, if they never will."""
    of_round = run.rounds.get(number) or Round(number)
    begun = of_round.plan is not None or of_round.evaluation is not None
    if begun or not (number > 0 or _is_evaluated(run, number)):
        return None
    if run.left_to_train() < min_sites:
        return CloseRun(run.rounds_aggregated, "stopped")
    enough = len(run.trainers()) >= min_sites
    here = run.ready.keys() | run.gone | (of_round.absent if enough else set())
    absent = tuple(sorted(run.roster.keys() - here))
    return Greet(number, absent) if absent else None


def train(run: Run, number: int, min_sites: int) -> Action | None:
    """Plan, collect updates, aggregate or abort. Round 0 trains nothing."""
    of_round = run.rounds.get(number) or Round(number)
    if of_round.is_trained:
        return None
    if of_round.plan is None:
        return PlanRound(number, run.trainers())
    request = of_round.requests["update"]
    if request.missing:
        return Collect.of(request, of_round.plan.model_digest)
    return AbortRound(number) if len(request.answered) < min_sites else Aggregate(number)


def evaluate(run: Run, number: int, min_sites: int) -> Action | None:
    """Plan an evaluation, collect metrics, score. An aborted round has no new model to evaluate."""
    of_round = run.rounds.get(number) or Round(number)
    if not _is_evaluated(run, number) or of_round.aborted is not None or of_round.evaluated is not None:
        return None
    if of_round.evaluation is None:
        return PlanEvaluation(number, tuple(site for site in sorted(run.ready) if site not in run.gone))
    request = of_round.requests["evaluate"]
    return Collect.of(request, of_round.evaluation.model_digest) if request.missing else Score(number)


STEPS: Final[tuple[RoundStep, ...]] = (greet, train, evaluate)
"""The steps of every round, in order."""


def next_action(run: Run, *, min_sites: int, steps: Sequence[RoundStep] = STEPS) -> Action:
    """The one thing to do next. Pure: the same log gives the same action, as fast in the last round as in the first."""
    if run.opened is None:
        return OpenRun()
    if run.closed is not None:
        return Finished()
    last = run.opened.planned_rounds
    for number in range(max(run.at - 1, 0), last + 1):
        for step in steps:
            if (action := step(run, number, min_sites)) is not None:
                return action
        if number < last and run.selection.is_over:
            return CloseRun(run.rounds_aggregated, "early")
    return CloseRun(run.rounds_aggregated)
