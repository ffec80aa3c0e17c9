# SPDX-License-Identifier: Apache-2.0
"""A plan can tighten a site's policy, never loosen it: each bound by itself, at its edge and just beyond."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from client.settings.site_settings import SiteSettings
from client.site.guard import (
    check_contract,
    check_evaluation,
    check_evaluations,
    check_model,
    check_opened,
    check_round,
    check_seconds,
)
from privacy.base.canonical import digest_of
from privacy.base.errors import PlanRefused
from privacy.dp.params import PrivacyParams
from privacy.log.keys import SigningKey
from privacy.protocol.entries import RosterSite, RunOpened
from privacy.protocol.plans import CohortMember, EncodingPlan, EvaluationPlan, RoundPlan, TaskPlan, TrainingPlan
from privacy.update.delta import ArraySpec, ModelContract

KEY = SigningKey(b"\x03" * 32).verify_key()
TASK = TaskPlan(name="classification", labels=("no", "yes"), max_tokens=64)
TRAINING = TrainingPlan(
    scope="head",
    top_layers=0,
    lora_rank=0,
    lora_alpha=0,
    optimizer="sgd",
    learning_rate="0.1",
    head_learning_rate="0.1",
    momentum="0",
    weight_decay="0",
    dropout="0",
    physical_batch_size=8,
)
CONTRACT = ModelContract(
    task=TASK,
    training=TRAINING,
    pretrained_digest="d" * 64,
    tokenizer_digest="e" * 64,
    arrays=(ArraySpec(name="head", shape=(2, 4)),),
)


def settings(role: str = "trainer", **policy: Any) -> SiteSettings:
    bounds = {
        "unit": "patient",
        "epsilon_limit": 8.0,
        "delta": 0.001,
        "min_noise_multiplier": 0.8,
        "max_grad_norm": 1.0,
        "max_update_clip_norm": 2.0,
        "max_sample_rate": 0.1,
        "max_rounds": 5,
        "max_steps": 20,
        "max_physical_batch": 8,
        "max_weight": 3.0,
        "max_evaluations": 2,
        "max_seconds": 60.0,
        "min_cohort": 1,
        "labels": (("maybe", "never"), ("yes", "no")),
        "scopes": ("head", "top"),
        "size_bucket": 256,
    }
    return SiteSettings.model_validate(
        {
            "site": {"name": "clinic", "role": role},
            "data": {"files": (Path("notes.csv"),), "dataset": "notes", "patient_column": "patient"},
            "policy": bounds | policy,
        }
    )


def params(**changes: Any) -> PrivacyParams:
    base = {
        "sample_rate": "0.1",
        "noise_multiplier": "0.8",
        "max_grad_norm": "1",
        "target_epsilon": "8",
        "target_delta": "0.001",
        "num_steps": 4,
        "unit": "patient",
    }
    return PrivacyParams.model_validate(base | changes)


def plan(privacy: PrivacyParams | None = None, **changes: Any) -> RoundPlan:
    """A plan at the very edge of the policy in every respect."""
    private = params() if privacy is None else privacy
    base = {
        "run_id": "spring",
        "server_round": 5,
        "planned_rounds": 5,
        "cohort": {"clinic": CohortMember(weight=1, size_bucket=256)},
        "min_sites": 1,
        "public_seed": "00",
        "task": TASK,
        "pretrained_digest": "d" * 64,
        "tokenizer_digest": "e" * 64,
        "contract_digest": digest_of(CONTRACT),
        "model_digest": "a" * 64,
        "training": TRAINING,
        "unit": private.unit,
        "sample_rate": private.sample_rate,
        "num_steps": private.num_steps,
        "privacy": private,
        "update_clip_norm": "2",
        "encoding": EncodingPlan(dtype="int32", scale_log2=20),
        "aggregation": "weighted_sum",
    }
    return RoundPlan.model_validate(base | changes)


def opened(**changes: Any) -> RunOpened:
    roster = {
        "clinic": RosterSite(
            signing_key=KEY.hex(), size_bucket=256, policy_digest=settings().policy_digest, role="trainer"
        )
    }
    base = {
        "settings": {},
        "settings_digest": "0" * 64,
        "roster": roster,
        "contract_digest": digest_of(CONTRACT),
        "initial_model_digest": "a" * 64,
        "public_seed": "00",
        "planned_rounds": 5,
        "noise_multiplier": "0.8",
        "evaluation_noise_multiplier": "1",
        "software": {},
        "simulated": False,
    }
    return RunOpened.model_validate(base | changes)


def test_a_plan_at_every_edge_of_the_policy_is_allowed() -> None:
    check_round(plan(), opened(), settings())


TRAINING_OTHER = TRAINING.model_copy(update={"scope": "full"})
ROUND_LIES: dict[str, tuple[RoundPlan, str, list[str]]] = {
    "less noise": (plan(params(noise_multiplier="0.7999")), "policy", ["0.7999", "0.8"]),
    "a higher sample rate": (plan(params(sample_rate="0.1001")), "policy", ["0.1001", "0.1"]),
    "a longer gradient": (plan(params(max_grad_norm="1.01")), "policy", ["1.01", "1.0"]),
    "a larger delta": (plan(params(target_delta="0.0011")), "policy", ["0.0011", "0.001"]),
    "another unit": (plan(params(unit="record")), "policy", ["record", "patient"]),
    "a longer update": (plan(update_clip_norm="2.001"), "policy", ["2.001", "2.0"]),
    "a bucket that is greater by 1": (
        plan(cohort={"clinic": CohortMember(weight=1, size_bucket=257)}),
        "policy",
        ["257", "256"],
    ),
    "a bucket that is smaller by 1": (
        plan(cohort={"clinic": CohortMember(weight=1, size_bucket=255)}),
        "policy",
        ["255", "256"],
    ),
    "a hair less noise": (plan(params(noise_multiplier="0.79999999999")), "policy", ["0.79999999999"]),
    "a hair more of everybody": (plan(params(sample_rate="0.10000000001")), "policy", ["0.10000000001"]),
    "a hair longer update": (plan(update_clip_norm="2.00000000001"), "policy", ["2.00000000001"]),
    "a hair longer gradient": (plan(params(max_grad_norm="1.00000000001")), "policy", ["1.00000000001"]),
    "a hair more delta": (plan(params(target_delta="0.00100000001")), "policy", ["0.00100000001"]),
    "one step a round more": (plan(params(num_steps=5)), "policy", ["25 steps", "20"]),
    "one example more at once": (
        plan(training=TRAINING.model_copy(update={"physical_batch_size": 9})),
        "policy",
        ["9 examples", "8"],
    ),
    "another label": (plan(task=TASK.model_copy(update={"labels": ("no", "yes", "maybe")})), "policy", ["labels"]),
    "a label less": (plan(task=TASK.model_copy(update={"labels": ("yes",)})), "policy", ["labels"]),
    "weights that overflow the sum": (
        plan(
            cohort={
                "clinic": CohortMember(weight=1, size_bucket=256),
                "other": CohortMember(weight=1023, size_bucket=1),
            }
        ),
        "policy",
        ["1024"],
    ),
    "an update too short to be one": (plan(update_clip_norm="0." + "0" * 30 + "1"), "policy", ["no update"]),
    "a cohort without the site": (
        plan(cohort={"other": CohortMember(weight=1, size_bucket=256)}),
        "not_in_cohort",
        ["round 5"],
    ),
    "more rounds than the run": (plan(planned_rounds=4), "policy", ["more rounds"]),
    "rounds that the run was not opened for": (plan(planned_rounds=6), "policy", ["more rounds"]),
    "a round after the last": (plan(server_round=6), "policy", ["more rounds"]),
    "no noise at all": (plan().model_copy(update={"privacy": None}), "policy", ["no differential privacy"]),
    "a scope that is not allowed": (plan(training=TRAINING_OTHER), "policy", ["full", "head, top"]),
    "a task that is not allowed": (
        plan(task=TASK.model_copy(update={"name": "summaries"})),
        "policy",
        ["summaries", "classification"],
    ),
}


@pytest.mark.parametrize("name", ROUND_LIES)
def test_a_plan_beyond_the_policy_is_refused_with_both_figures(name: str) -> None:
    asked, reason, figures = ROUND_LIES[name]
    with pytest.raises(PlanRefused) as refused:
        check_round(asked, opened(), settings())
    assert refused.value.reason == reason
    assert refused.value.exit_code == 3
    assert all(figure in refused.value.message for figure in figures)
    assert "nothing was read or trained" in refused.value.message
    assert refused.value.next_step


def test_a_cohort_of_one_is_refused_where_two_are_wanted() -> None:
    two = {name: CohortMember(weight=1, size_bucket=256) for name in ("clinic", "other")}
    check_round(plan(cohort=two), opened(), settings(min_cohort=2))
    with pytest.raises(PlanRefused, match="asks 1 sites, this site wants 2"):
        check_round(plan(), opened(), settings(min_cohort=2))


def test_a_sum_just_below_31_bits_is_taken() -> None:
    others = {"clinic": CohortMember(weight=1, size_bucket=256), "other": CohortMember(weight=1022, size_bucket=1)}
    check_round(plan(cohort=others), opened(), settings())


@pytest.mark.parametrize(
    ("check", "edge", "beyond"),
    [
        (check_model, 3.0, math.nextafter(3.0, 4.0)),
        (check_model, 0.0, math.nan),
        (check_seconds, 60.0, math.nextafter(60.0, 61.0)),
        (check_seconds, 0.0, math.nan),
        (check_evaluations, 1, 2),
    ],
)
def test_a_figure_at_its_bound_is_allowed_and_the_next_one_is_not(check: Any, edge: float, beyond: float) -> None:
    check(edge, settings())
    with pytest.raises(PlanRefused) as refused:
        check(beyond, settings())
    assert refused.value.reason == "policy"


def test_more_rounds_than_the_site_allows_are_refused() -> None:
    with pytest.raises(PlanRefused, match="5 rounds are planned, this site allows 4"):
        check_round(plan(), opened(), settings(max_rounds=4))


def test_a_site_that_allows_it_takes_a_plan_without_noise() -> None:
    check_round(plan().model_copy(update={"privacy": None}), opened(), settings(allow_non_private=True))


def test_an_evaluator_never_trains() -> None:
    with pytest.raises(PlanRefused) as refused:
        check_round(plan(), opened(), settings(role="evaluator"))
    assert refused.value.reason == "not_in_cohort"


# -- the opening -------------------------------------------------------------------------------------------------------


def roster(**changes: Any) -> dict[str, RosterSite]:
    return {"clinic": opened().roster["clinic"].model_copy(update=changes)}


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (opened(roster={}), "not_in_cohort"),
        (opened(roster=roster(signing_key="00" * 32)), "not_in_cohort"),
        (opened(roster=roster(size_bucket=512)), "policy"),
        (opened(roster=roster(policy_digest="0" * 64)), "policy"),
        (opened(roster=roster(role="evaluator")), "policy"),
        (opened(simulated=True), "policy"),
    ],
)
def test_an_opening_that_says_something_else_of_the_site_is_refused(run: RunOpened, reason: str) -> None:
    check_opened(opened(), settings(), KEY, simulated=False)
    with pytest.raises(PlanRefused) as refused:
        check_opened(run, settings(), KEY, simulated=False)
    assert refused.value.reason == reason


def test_a_simulated_site_refuses_a_real_run() -> None:
    with pytest.raises(PlanRefused, match="never mix"):
        check_opened(opened(), settings(), KEY, simulated=True)


# -- evaluations -------------------------------------------------------------------------------------------------------


def evaluation(**changes: Any) -> EvaluationPlan:
    base = {
        "run_id": "spring",
        "server_round": 1,
        "sites": ("clinic",),
        "public_seed": "00",
        "task": TASK,
        "pretrained_digest": "d" * 64,
        "tokenizer_digest": "e" * 64,
        "contract_digest": digest_of(CONTRACT),
        "model_digest": "a" * 64,
        "training": TRAINING,
        "unit": "patient",
        "noise_multiplier": "0.8",
        "target_delta": "0.001",
    }
    return EvaluationPlan.model_validate(base | changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sites": ("other",)}, "not_in_cohort"),
        ({"noise_multiplier": "0.79"}, "policy"),
        ({"noise_multiplier": None}, "policy"),
        ({"unit": "record"}, "policy"),
        ({"target_delta": "0.002"}, "policy"),
        ({"training": TRAINING_OTHER}, "policy"),
    ],
)
def test_an_evaluation_beyond_the_policy_is_refused(changes: dict[str, Any], reason: str) -> None:
    check_evaluation(evaluation(), settings())
    with pytest.raises(PlanRefused) as refused:
        check_evaluation(evaluation(**changes), settings())
    assert refused.value.reason == reason


def test_an_evaluators_public_data_needs_no_noise() -> None:
    check_evaluation(evaluation(noise_multiplier=None), settings(role="evaluator"))


@pytest.mark.parametrize("kind", [plan, evaluation])
@pytest.mark.parametrize(
    "changes",
    [
        {"task": TASK.model_copy(update={"counted": 1000})},
        {"training": TRAINING.model_copy(update={"learning_rate": "0.2"})},
        {"pretrained_digest": "f" * 64},
        {"tokenizer_digest": "f" * 64},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_a_plan_says_of_its_model_is_what_the_contract_says(kind: Any, changes: dict[str, Any]) -> None:
    """Its digest alone was compared: counts were those of the contract, noise and charge those of the plan's word."""
    check_contract(kind(), opened(), CONTRACT, "a" * 64)
    with pytest.raises(PlanRefused) as refused:
        check_contract(kind(**changes), opened(), CONTRACT, "a" * 64)
    assert refused.value.reason == "model_mismatch"


@pytest.mark.parametrize(
    ("asked", "run", "initial"),
    [
        ("0" * 64, digest_of(CONTRACT), "a" * 64),
        (digest_of(CONTRACT), "0" * 64, "a" * 64),
        (digest_of(CONTRACT), digest_of(CONTRACT), "b" * 64),
    ],
)
def test_a_model_that_the_site_would_not_build_itself_is_refused(asked: str, run: str, initial: str) -> None:
    check_contract(plan(), opened(), CONTRACT, "a" * 64)
    with pytest.raises(PlanRefused) as refused:
        check_contract(plan(contract_digest=asked), opened(contract_digest=run), CONTRACT, initial)
    assert refused.value.reason == "model_mismatch"
