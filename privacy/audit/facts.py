# SPDX-License-Identifier: Apache-2.0
"""What was done, in words and numbers: a run's recipe, a round's plan and a site's machine, as its entries say.

A reader sees hyper-parameters, seeds and versions, not digests alone. Names are the fields' own.
"""

from __future__ import annotations

from privacy.base.canonical import canonical_bytes
from privacy.protocol.anonymization_check import AnonymizationPlan, SelfCheck
from privacy.protocol.entries import RunOpened
from privacy.protocol.mechanism import MechanismCheck
from privacy.protocol.messages import SiteHello
from privacy.protocol.plans import EvaluationPlan, RoundPlan

Facts = dict[str, str]


def of_run(opened: RunOpened) -> Facts:
    """The settings in full, one line a section, with seed, calibrated noise and the coordinator's versions."""
    facts = {name: _text(section) for name, section in opened.settings.items()}
    return facts | {
        "public seed": opened.public_seed,
        "noise_multiplier": opened.noise_multiplier or "none: not private",
        "noise_multiplier of counts": opened.evaluation_noise_multiplier or "none",
        "model contract": opened.contract_digest,
        "initial model": opened.initial_model_digest,
        "coordinator runs": _listed(opened.software),
    }


def of_round(plan: RoundPlan) -> Facts:
    """One round's seed, model, hyper-parameters and privacy parameters."""
    training = plan.training.model_dump()
    private = plan.privacy
    noise = "none: NOT private"
    if private is not None:
        noise = (
            f"noise_multiplier {private.noise_multiplier}, max_grad_norm {private.max_grad_norm}, {private.clipping} "
            f"clipping, target epsilon {private.target_epsilon} at delta {private.target_delta} over "
            f"{plan.planned_rounds} rounds, accountant {private.accountant}"
        )
    return {
        "public seed": plan.public_seed,
        "model in": plan.model_digest,
        "training": _listed({name: str(value) for name, value in training.items()}),
        "sampling": f"sample_rate {plan.sample_rate} of each {plan.unit}, {plan.num_steps} steps",
        "privacy": noise,
        "update": f"l2 at most {plan.update_clip_norm}, int32 at 2^-{plan.encoding.scale_log2}, {plan.aggregation}",
        "self-check": _asked(plan.anonymization),
    }


def of_evaluation(plan: EvaluationPlan) -> Facts:
    """How the counts of a round's evaluation were noised."""
    if plan.noise_multiplier is None:
        return {"evaluation": "exact counts: NOT private"}
    counted = "right and wrong" if plan.figures == "accuracy" else "by class"
    noise = f"each +/- {float(plan.noise_std()):.3g} at noise_multiplier {plan.noise_multiplier}"
    return {"evaluation": f"counts {counted}, {noise}"}


def of_site(hello: SiteHello) -> Facts:
    """What a site says that it runs on."""
    return {
        "device": hello.device,
        "threads": str(hello.threads),
        "deterministic": "yes" if hello.deterministic else "no",
        "size bucket": str(hello.size_bucket),
        "software": _listed(hello.software),
    }


def of_self_check(check: SelfCheck) -> Facts:
    """What a site's anonymizer found in notes that it invented for the run, by identifier."""
    shares = {
        name.upper(): f"{recall.found / max(recall.planted, 1):.3f} ({recall.found} of {recall.planted})"
        for name, recall in sorted(check.recall.items())
    }
    return {"engine": check.engine_fingerprint[:12], "notes": str(check.notes), "recall": _listed(dict(shares))}


def of_mechanism_check(check: MechanismCheck) -> Facts:
    """What of its noise and sampling a site says that it tested, and against which parameters of the plan."""
    return {
        "sigma": f"{check.noise_multiplier} x {check.max_grad_norm} within {check.sigma_tolerance}",
        "draws": str(check.noise_draws),
        "sampling": f"at {check.sample_rate}",
        "passed": ", ".join(check.tests),
    }


def _asked(plan: AnonymizationPlan | None) -> str:
    if plan is None:
        return "none: a log of version 1"
    floors = {name.upper(): floor for name, floor in plan.min_recall.items()}
    return f"{plan.self_check_notes} invented notes; recall at least: {_listed(floors) or 'as each site sets'}"


def _listed(values: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(values.items()))


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return " | ".join(_text(item) for item in value)
    return value if isinstance(value, str) else canonical_bytes(value).decode()  # type: ignore[arg-type]
