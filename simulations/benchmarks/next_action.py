# SPDX-License-Identifier: Apache-2.0
"""What a coordinator's next step costs after so many rounds: one entry folded into the run, and what comes next known.

    python -m simulations.benchmarks.next_action [ROUNDS ...]

The entries are those of a run of three sites whose figures rise in every round, without a signature or a payload: a run
is folded from any entries.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from coordinator.phases import Finished, next_action
from coordinator.planning import run_outline
from coordinator.settings import FederationSettings
from privacy.base.canonical import digest_of
from privacy.protocol.entries import (
    AuditEntry,
    EntryBody,
    EvaluationPlanned,
    MetricsReceived,
    RosterSite,
    RoundAggregated,
    RoundEvaluated,
    RoundPlanned,
    RunOpened,
    SiteReady,
    UpdateReceived,
)
from privacy.protocol.messages import SiteHello, SiteMetrics, SiteUpdate
from privacy.protocol.plans import CohortMember, EvaluationPlan, RoundPlan
from privacy.protocol.run import Run
from privacy.update.delta import ArraySpec, ModelContract

SITES: Final = ("alder", "birch", "cedar")
MIN_SITES: Final = 2
MEASURED_ROUNDS: Final = 20
ZERO: Final = "0" * 64

Part = TypeVar("Part", bound=BaseModel)


def entries(rounds: int) -> Iterator[AuditEntry]:
    """The log of a run of `rounds` rounds that go well and are evaluated, without its end."""
    settings = FederationSettings.model_validate(
        {"task": {"labels": ("heart", "lung")}, "training": {"scope": "head", "rounds": rounds}}
    )
    opened = _opened(settings)
    yield _entry(0, opened)
    hello = _part(SiteHello, context_digest=digest_of(opened), role="trainer", seen_tree_size=1)
    for site in SITES:
        yield _entry(0, _part(SiteReady, site=site, hello=hello))
    yield from _evaluation(opened, 0)
    for number in range(1, rounds + 1):
        yield from _training(opened, number)
        yield from _evaluation(opened, number)


def _part(model: type[Part], **fields: Any) -> Part:
    """A `model` that says no more than a fold reads."""
    return model.model_construct(**fields)


def _entry(server_round: int, body: EntryBody) -> AuditEntry:
    return _part(AuditEntry, version=4, index=0, run_id="long", server_round=server_round, recorded_at=0, body=body)


def _of_outline(opened: RunOpened, plan: type[BaseModel], number: int) -> dict[str, Any]:
    same = {name: getattr(opened.outline, name) for name in plan.model_fields if hasattr(opened.outline, name)}
    own = {"run_id": "long", "server_round": number, "public_seed": ZERO}
    return same | own | {"contract_digest": ZERO, "model_digest": ZERO}


def _opened(settings: FederationSettings) -> RunOpened:
    contract = ModelContract(
        task=settings.task_plan(),
        training=settings.training.plan(),
        pretrained_digest=ZERO,
        tokenizer_digest=ZERO,
        arrays=(ArraySpec(name="head.bias", shape=(2,)),),
    )
    admitted = RosterSite(signing_key=ZERO, size_bucket=100, policy_digest=ZERO, role="trainer")
    return RunOpened(
        settings={"rounds": {"patience": 5}},
        settings_digest=ZERO,
        roster=dict.fromkeys(SITES, admitted),
        contract_digest=ZERO,
        initial_model_digest=ZERO,
        public_seed=ZERO,
        planned_rounds=settings.training.rounds,
        noise_multiplier="1",
        evaluation_noise_multiplier="4",
        software={},
        simulated=True,
        outline=run_outline(settings, contract, "1", "4"),
    )


def _training(opened: RunOpened, number: int) -> Iterator[AuditEntry]:
    cohort = dict.fromkeys(SITES, CohortMember(weight=1, size_bucket=100))
    plan = _part(RoundPlan, **_of_outline(opened, RoundPlan, number), cohort=cohort)
    yield _entry(number, RoundPlanned(plan=plan))
    update = _part(SiteUpdate, spent=None, self_check=None, mechanism_check=None, seen_tree_size=1)
    for site in SITES:
        yield _entry(number, _part(UpdateReceived, site=site, update=update))
    aggregated = _part(
        RoundAggregated, plan_digest=digest_of(plan), included=SITES, total_weight=3, model_in=ZERO, model_out=ZERO
    )
    yield _entry(number, aggregated)


def _evaluation(opened: RunOpened, number: int) -> Iterator[AuditEntry]:
    same = _of_outline(opened, EvaluationPlan, number)
    plan = _part(EvaluationPlan, **same, sites=SITES, noise_multiplier="4")
    yield _entry(number, EvaluationPlanned(plan=plan))
    counts = _part(
        SiteMetrics,
        correct=60,
        incorrect=40,
        right=(),
        actual=(),
        predicted=(),
        noise_std="4",
        spent=None,
        seen_tree_size=1,
    )
    for site in SITES:
        yield _entry(number, _part(MetricsReceived, site=site, metrics=counts))
    yield _entry(
        number, RoundEvaluated(plan_digest=digest_of(plan), sites=SITES, accuracy=f"0.{number + 1000}1", macro_f1=None)
    )


def next_action_milliseconds(rounds: int) -> float:
    """The median cost of one step of a coordinator after `rounds` rounds, over the entries of the next few."""
    run, steps = Run(), []
    for entry in entries(rounds + MEASURED_ROUNDS):
        start = time.perf_counter()
        run.take(entry)
        action = next_action(run, min_sites=MIN_SITES)
        if entry.server_round > rounds:
            steps.append(1000 * (time.perf_counter() - start))
        assert not isinstance(action, Finished)
    return statistics.median(steps)


if __name__ == "__main__":
    for rounds in map(int, sys.argv[1:] or ("10", "100", "1000")):
        print(f"{rounds} rounds: {next_action_milliseconds(rounds):.4f} ms")
