# SPDX-License-Identifier: Apache-2.0
"""What a site lets a plan ask for. A plan can tighten the policy, never loosen it; a no is a PlanRefused.

Checks come before any data is read and any budget is reserved. Whether the budget allows it is the ledger's word.
"""

from __future__ import annotations

from decimal import Decimal

from client.settings import PolicySection, SiteSettings
from privacy.audit.entries import RunOpened
from privacy.audit.keys import VerifyKey
from privacy.canonical import digest_of
from privacy.errors import PlanRefused
from privacy.exchange.plans import EvaluationPlan, RoundPlan, TrainingPlan
from privacy.identifiers import Digest
from privacy.update.delta import ModelContract

ASK_COORDINATOR = "ask the coordinator for another plan; only the site can change its own policy"


def _refuse(sentence: str, reason: str = "policy") -> PlanRefused:
    return PlanRefused(f"{sentence}; nothing was read or trained", reason=reason, next_step=ASK_COORDINATOR)


def check_opened(opened: RunOpened, settings: SiteSettings, key: VerifyKey, simulated: bool) -> None:
    """A run's opening must name this site as it enrolled, and must not mix simulated with real sites."""
    entry = opened.roster.get(settings.site.name)
    if entry is None or entry.signing_key != key.hex():
        raise _refuse("the run's roster does not hold this site with its own key", "not_in_cohort")
    declared = (settings.site.role, settings.policy.size_bucket, settings.policy_digest)
    if (entry.role, entry.size_bucket, entry.policy_digest) != declared:
        raise _refuse("the run's roster holds another role, size bucket or policy than this site now declares")
    if opened.simulated != simulated:
        raise _refuse("a simulated site and a real federation never mix")


def check_outline(plan: RoundPlan | EvaluationPlan, opened: RunOpened) -> None:
    """A plan is one that the run was opened for, field for field. Raises PlanRefused."""
    departures = ("outline",) if opened.outline is None else opened.outline.departures(plan)
    if departures:
        raise _refuse(f"the plan departs from what the run was opened for: {', '.join(departures)}")


def check_round(plan: RoundPlan, opened: RunOpened, settings: SiteSettings) -> None:
    """Every bound of the policy against a round's plan. Raises PlanRefused at the first that does not hold."""
    policy, site = settings.policy, settings.site.name
    member = plan.cohort.get(site)
    if member is None or settings.site.role != "trainer":
        raise _refuse(f"{site} is not in the cohort of round {plan.server_round}", "not_in_cohort")
    if member.size_bucket != policy.size_bucket:
        raise _refuse(f"the plan says a size bucket of {member.size_bucket}, this site declared {policy.size_bucket}")
    if plan.planned_rounds != opened.planned_rounds or plan.server_round > plan.planned_rounds:
        raise _refuse("the plan has more rounds than the run was opened with")
    if plan.planned_rounds > policy.max_rounds:
        raise _refuse(f"{plan.planned_rounds} rounds are planned, this site allows {policy.max_rounds}")
    _check_work(plan.task.name, plan.training, policy)
    if Decimal(plan.update_clip_norm) > Decimal(str(policy.max_update_clip_norm)):
        raise _refuse(f"an update may be {plan.update_clip_norm} long, this site allows {policy.max_update_clip_norm}")
    _check_privacy(plan, policy)


def check_search(plan: RoundPlan, settings: SiteSettings) -> None:
    """A trial of the site's own search keeps the policy like a coordinator's plan. Raises PlanRefused."""
    _check_work(plan.task.name, plan.training, settings.policy)
    _check_privacy(plan, settings.policy)


def _check_work(task: str, training: TrainingPlan, policy: PolicySection) -> None:
    if task not in policy.tasks:
        raise _refuse(f"the task {task} is not among {', '.join(policy.tasks)}")
    if training.scope not in policy.scopes:
        raise _refuse(f"the scope {training.scope} is not among {', '.join(policy.scopes)}")


def _check_privacy(plan: RoundPlan, policy: PolicySection) -> None:
    private = plan.privacy
    if private is None:
        if not policy.allow_non_private:
            raise _refuse("the plan has no differential privacy, and this site's policy demands it")
        return
    if private.unit != policy.unit:
        raise _refuse(f"the plan protects a {private.unit}, this site's unit is the {policy.unit}")
    at_least = {"noise_multiplier": (private.noise_multiplier, policy.min_noise_multiplier)}
    at_most = {
        "max_grad_norm": (private.max_grad_norm, policy.max_grad_norm),
        "sample_rate": (private.sample_rate, policy.max_sample_rate),
        "target_delta": (private.target_delta, policy.delta),
    }
    for name, (asked, allowed) in at_least.items():
        if Decimal(asked) < Decimal(str(allowed)):
            raise _refuse(f"the plan's {name} is {asked}, this site demands at least {allowed}")
    for name, (asked, allowed) in at_most.items():
        if Decimal(asked) > Decimal(str(allowed)):
            raise _refuse(f"the plan's {name} is {asked}, this site allows at most {allowed}")


def check_evaluation(plan: EvaluationPlan, settings: SiteSettings) -> None:
    """A site may keep its metrics; an evaluator's data is public and needs no noise."""
    policy = settings.policy
    if settings.site.name not in plan.sites:
        raise _refuse("this site is not asked to evaluate", "not_in_cohort")
    if not policy.send_metrics:
        raise _refuse("this site's policy keeps its metrics at home")
    _check_work(plan.task.name, plan.training, policy)
    if settings.site.role == "evaluator":
        return
    if plan.noise_multiplier is None:
        if not policy.allow_non_private:
            raise _refuse("counts without noise are asked for, and this site's policy demands noise")
        return
    if plan.unit != policy.unit:
        raise _refuse(f"the plan protects a {plan.unit}, this site's unit is the {policy.unit}")
    if Decimal(plan.noise_multiplier) < Decimal(str(policy.min_noise_multiplier)):
        raise _refuse(
            f"the counts' noise_multiplier is {plan.noise_multiplier}, "
            f"this site demands at least {policy.min_noise_multiplier}"
        )
    if Decimal(plan.target_delta) > Decimal(str(policy.delta)):
        raise _refuse(f"the plan's target_delta is {plan.target_delta}, this site allows at most {policy.delta}")


def check_contract(
    plan: RoundPlan | EvaluationPlan, opened: RunOpened, contract: ModelContract, initial: Digest
) -> None:
    """The model that this site would build, and start from, is the one that the run was opened with."""
    same_contract = plan.contract_digest == opened.contract_digest == digest_of(contract)
    if not same_contract or initial != opened.initial_model_digest:
        raise PlanRefused(
            "the plan's model is not the one that this site builds from its own pretrained files",
            reason="model_mismatch",
            next_step="compare the pretrained model and tokenizer digests with the coordinator's",
        )
