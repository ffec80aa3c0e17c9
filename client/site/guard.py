# SPDX-License-Identifier: Apache-2.0
"""What a site lets a plan ask for. A plan can tighten the policy, never loosen it; a no is a PlanRefused.

Checks come before any data is read and any budget is reserved. Whether the budget allows it is the ledger's word.
"""

from __future__ import annotations

from decimal import Decimal

from client.settings.policy import PolicySection
from client.settings.site_settings import SiteSettings
from privacy.base.canonical import digest_of
from privacy.base.errors import ContractError, PlanRefused
from privacy.base.identifiers import Digest
from privacy.dp.params import Unit
from privacy.log.keys import VerifyKey
from privacy.protocol.entries import RunOpened
from privacy.protocol.outline import RunOutline
from privacy.protocol.plans import EvaluationPlan, RoundPlan, TaskPlan, TrainingPlan
from privacy.update.clip import LEAST_BOUND
from privacy.update.delta import ModelContract
from privacy.update.quantize import check_fits

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
    if len(plan.cohort) < policy.min_cohort:
        raise _refuse(f"the round asks {len(plan.cohort)} sites, this site wants {policy.min_cohort} at least")
    if plan.planned_rounds != opened.planned_rounds or plan.server_round > plan.planned_rounds:
        raise _refuse("the plan has more rounds than the run was opened with")
    check_training(plan, policy)
    _check_encoding(plan, sum(one.weight for one in plan.cohort.values()))


def check_run(outline: RunOutline, settings: SiteSettings) -> None:
    """Every bound of the policy against a whole planned run, before anything of it is charged. Raises PlanRefused."""
    policy = settings.policy
    check_work(outline.task, outline.training, policy)
    if settings.site.role == "evaluator":
        return
    check_training(outline, policy)
    _check_encoding(outline, total_weight=1)
    if outline.min_sites < policy.min_cohort:
        raise _refuse(f"rounds may have {outline.min_sites} sites, this site wants {policy.min_cohort} at least")
    if outline.evaluations and policy.send_metrics:
        check_evaluations(outline.evaluations - 1, settings)
        _check_counts(outline.evaluation_noise_multiplier, outline.unit, outline.target_delta, policy)


def check_search(plan: RoundPlan, settings: SiteSettings) -> None:
    """A trial of the site's own search keeps the policy like a coordinator's plan. Raises PlanRefused."""
    check_work(plan.task, plan.training, settings.policy)
    _check_privacy(plan, settings.policy)


def check_training(plan: RoundPlan | RunOutline, policy: PolicySection) -> None:
    """What a run's rounds ask for, whoever is in them. Raises PlanRefused."""
    if plan.planned_rounds > policy.max_rounds:
        raise _refuse(f"{plan.planned_rounds} rounds are planned, this site allows {policy.max_rounds}")
    if (steps := plan.planned_rounds * plan.num_steps) > policy.max_steps:
        raise _refuse(f"{steps} steps are planned over all rounds, this site allows {policy.max_steps}")
    check_work(plan.task, plan.training, policy)
    if Decimal(plan.update_clip_norm) > Decimal(str(policy.max_update_clip_norm)):
        raise _refuse(f"an update may be {plan.update_clip_norm} long, this site allows {policy.max_update_clip_norm}")
    _check_privacy(plan, policy)


def _check_encoding(plan: RoundPlan | RunOutline, total_weight: int) -> None:
    """No update can leave the plan's integers, so that whether one does never hangs on the data."""
    if float(plan.update_clip_norm) < LEAST_BOUND:
        raise _refuse(f"an update of at most {plan.update_clip_norm:.40} is no update")
    try:
        check_fits(total_weight, plan.update_clip_norm, plan.encoding.scale_log2)
    except ContractError as error:
        raise _refuse(error.message) from None


def check_work(task: TaskPlan, training: TrainingPlan, policy: PolicySection) -> None:
    """What is trained, and by what: the part of a plan that a task file tells before a run. Raises PlanRefused."""
    if task.name not in policy.tasks:
        raise _refuse(f"the task {task.name} is not among {', '.join(policy.tasks)}")
    if policy.labels and task.labels and set(task.labels) not in [set(labels) for labels in policy.labels]:
        raise _refuse("the task's labels are none of the sets of policy.labels")
    if training.scope not in policy.scopes:
        raise _refuse(f"the scope {training.scope} is not among {', '.join(policy.scopes)}")
    if training.physical_batch_size > policy.max_physical_batch:
        raise _refuse(
            f"{training.physical_batch_size} examples are to be in memory at once, "
            f"this site allows {policy.max_physical_batch}"
        )


def check_seconds(seconds: float, settings: SiteSettings) -> None:
    """How long a round would take, as client.learning.training.pace measured it without data. Raises PlanRefused."""
    if not seconds <= settings.policy.max_seconds:
        raise _refuse(f"a round would take about {seconds:.0f} s here, this site allows {settings.policy.max_seconds}")


def check_model(largest: float, settings: SiteSettings) -> None:
    """A model's largest absolute number, so that no text can make a sum overflow. Raises PlanRefused."""
    if not largest <= settings.policy.max_weight:
        bound = f"{settings.policy.max_weight:.9g}"
        raise _refuse(f"the model holds a number of size {largest:.9g}, this site allows {bound}")


def check_evaluations(others: int, settings: SiteSettings) -> None:
    """One more evaluation of a run that asked for `others` before. Raises PlanRefused."""
    if others >= settings.policy.max_evaluations:
        raise _refuse(f"the run asks for {others + 1} evaluations, this site allows {settings.policy.max_evaluations}")


def _check_privacy(plan: RoundPlan | RunOutline, policy: PolicySection) -> None:
    private = plan.privacy
    if private is None:
        if not policy.allow_non_private:
            raise _refuse("the plan has no differential privacy, and this site's policy demands it")
        return
    if private.unit != policy.unit:
        raise _refuse(f"the plan protects a {private.unit}, this site's unit is the {policy.unit}")
    if private.clipping not in policy.clipping:
        raise _refuse(f"the clipping {private.clipping} is not among {', '.join(policy.clipping)}")
    at_least = {"noise_multiplier": (private.noise_multiplier, policy.min_noise_multiplier)}
    at_most = {
        "max_grad_norm": (private.max_grad_norm, policy.max_grad_norm),
        "sample_rate": (private.sample_rate, policy.max_sample_rate),
        "target_delta": (private.target_delta, policy.delta),
    }
    for name, (planned, allowed) in at_least.items():
        if Decimal(planned) < Decimal(str(allowed)):
            raise _refuse(f"the plan's {name} is {planned}, this site demands at least {allowed}")
    for name, (planned, allowed) in at_most.items():
        if Decimal(planned) > Decimal(str(allowed)):
            raise _refuse(f"the plan's {name} is {planned}, this site allows at most {allowed}")


def check_evaluation(plan: EvaluationPlan, settings: SiteSettings) -> None:
    """A site may keep its metrics; an evaluator's data is public and needs no noise."""
    policy = settings.policy
    if settings.site.name not in plan.sites:
        raise _refuse("this site is not asked to evaluate", "not_in_cohort")
    if not policy.send_metrics:
        raise _refuse("this site's policy keeps its metrics at home")
    check_work(plan.task, plan.training, policy)
    if settings.site.role == "trainer":
        _check_counts(plan.noise_multiplier, plan.unit, plan.target_delta, policy)


def _check_counts(noise_multiplier: str | None, unit: Unit, target_delta: str, policy: PolicySection) -> None:
    """What protects the counts of private data."""
    if noise_multiplier is None:
        if not policy.allow_non_private:
            raise _refuse("counts without noise are asked for, and this site's policy demands noise")
        return
    if unit != policy.unit:
        raise _refuse(f"the plan protects a {unit}, this site's unit is the {policy.unit}")
    if Decimal(noise_multiplier) < Decimal(str(policy.min_noise_multiplier)):
        raise _refuse(
            f"the counts' noise_multiplier is {noise_multiplier}, "
            f"this site demands at least {policy.min_noise_multiplier}"
        )
    if Decimal(target_delta) > Decimal(str(policy.delta)):
        raise _refuse(f"the plan's target_delta is {target_delta}, this site allows at most {policy.delta}")


def check_contract(
    plan: RoundPlan | EvaluationPlan | RunOutline, opened: RunOpened, contract: ModelContract, initial: Digest
) -> None:
    """The model that this site would build, and start from, is the one that the run was opened with.

    And the plan says of it, field for field, what the contract says: noise, charge and counts follow from one object.
    """
    planned = (plan.task, plan.training, plan.pretrained_digest, plan.tokenizer_digest)
    same_model = planned == (contract.task, contract.training, contract.pretrained_digest, contract.tokenizer_digest)
    named = opened.contract_digest if isinstance(plan, RunOutline) else plan.contract_digest
    same_contract = named == opened.contract_digest == digest_of(contract)
    if not (same_model and same_contract) or initial != opened.initial_model_digest:
        raise PlanRefused(
            "the plan's model is not the one that this site builds from its own pretrained files",
            reason="model_mismatch",
            next_step="compare the pretrained model and tokenizer digests with the coordinator's",
        )
