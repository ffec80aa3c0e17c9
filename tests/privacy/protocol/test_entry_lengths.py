# SPDX-License-Identifier: Apache-2.0
"""No entry of a run of 100 sites is longer than 65,535 bytes, which is what a tiled log (C2SP tlog-tiles) can hold.

Names, numbers and recalls are as long as they may be; 16 labels are of 100 characters each, 200 rounds are paid for:
each adds 195 bytes to a claim, whose events are all listed. The roster stands in the opening alone: what comes in each
round names its sites and no more of them.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from coordinator.planning import run_outline
from coordinator.settings import FederationSettings
from privacy.base.canonical import canonical_bytes
from privacy.commandline.settings_file import plain
from privacy.dp.params import PrivacyEvent, PrivacySpent
from privacy.protocol import kinds, mechanism
from privacy.protocol.anonymization_check import IDENTIFIERS, EntityRecall, SelfCheck
from privacy.protocol.entries import (
    AuditEntry,
    EntryBody,
    EvaluationPlanned,
    MetricsReceived,
    ReplyRefused,
    RosterSite,
    RoundAborted,
    RoundAggregated,
    RoundEvaluated,
    RoundPlanned,
    RunClosed,
    RunOpened,
    SiteReady,
    UpdateReceived,
)
from privacy.protocol.messages import Envelope, Refusal, SiteHello, SiteMetrics, SiteUpdate
from privacy.protocol.plans import CohortMember, EncodingPlan, EvaluationPlan, RoundPlan
from privacy.update.delta import ArraySpec, ModelContract

LONGEST: Final = 65_535
SITES: Final = tuple(f"s{number:031d}" for number in range(100))
RUN: Final = "r" * 64
DIGEST, KEY = "a" * 64, "b" * 64
BUCKET, WEIGHT, ROUND, SIZE = 1 << 40, 1 << 20, 100_000, 1 << 40
NOISE: Final = "1.234567890123456"
LABELS: Final = tuple(f"{number:0100d}" for number in range(16))
SETTINGS: Final = FederationSettings.model_validate(
    {
        "task": {"labels": LABELS},
        "training": {"rounds": ROUND, "sample_rate": 0.0123456789},
        "rounds": {"per_class": True},
        "anonymization": {"min_recall": dict.fromkeys(IDENTIFIERS, 0.9999)},
    }
)
CONTRACT: Final = ModelContract(
    task=SETTINGS.task_plan(),
    training=SETTINGS.training.plan(),
    pretrained_digest=DIGEST,
    tokenizer_digest=DIGEST,
    arrays=(ArraySpec(name="head.bias", shape=(16,)),),
)
OUTLINE: Final = run_outline(SETTINGS, CONTRACT, NOISE, NOISE)
SAME: Final[dict[str, Any]] = {
    "run_id": RUN,
    "server_round": ROUND,
    "public_seed": KEY,
    "contract_digest": DIGEST,
    "model_digest": DIGEST,
}


def of_outline(plan: type[RoundPlan] | type[EvaluationPlan]) -> dict[str, Any]:
    return {name: getattr(OUTLINE, name) for name in plan.model_fields if hasattr(OUTLINE, name)}


def spent(rounds: int) -> PrivacySpent:
    training = PrivacyEvent(noise_multiplier=NOISE, sample_rate="0.0123456789", steps=10_000_000, partition="train")
    counting = PrivacyEvent(noise_multiplier=NOISE, sample_rate="1", steps=1, partition="dev")
    return PrivacySpent(
        epsilon="123.4567", delta="0.00001", unit="patient", accountant="prv", events=(training, counting) * rounds
    )


def envelope(kind: str, phase: str) -> Envelope:
    return Envelope(
        kind=kind,
        run_id=RUN,
        server_round=ROUND,
        attempt=2,
        phase=phase,
        sender=SITES[0],
        context_digest=DIGEST,
        body_digest=DIGEST,
        log_vkey=f"collab/{'w' * 60}+e973f7aa+{'A' * 44}",
        recipient="coordinator",
        signature="c" * 128,
    )


def update(rounds: int) -> SiteUpdate:
    private = OUTLINE.privacy
    assert private is not None
    recall = dict.fromkeys(IDENTIFIERS, EntityRecall(planted=100_000, found=100_000))
    return SiteUpdate(
        plan_digest=DIGEST,
        payload_digest=DIGEST,
        payload_bytes=SIZE,
        num_steps=10_000_000,
        encoding=EncodingPlan(dtype="int32", scale_log2=30),
        spent=spent(rounds),
        secret_seed_commitment=DIGEST,
        environment_digest=DIGEST,
        anonymization_commitment=DIGEST,
        self_check=SelfCheck(notes=1000, recall=recall, engine_fingerprint=DIGEST),
        mechanism_check=mechanism.passed(private, SIZE),
        seen_tree_size=SIZE,
    )


def metrics(rounds: int) -> SiteMetrics:
    counts = tuple([-SIZE] * len(LABELS))
    return SiteMetrics(
        plan_digest=DIGEST,
        correct=-SIZE,
        incorrect=-SIZE,
        right=counts,
        actual=counts,
        predicted=counts,
        noise_std=NOISE,
        spent=spent(rounds),
        seen_tree_size=SIZE,
    )


def bodies(rounds: int) -> list[EntryBody]:
    """One of every kind, in a run of 100 sites, of whose rounds `rounds` are paid for."""
    site, software = SITES[0], {f"{number:064d}": "v" * 128 for number in range(64)}
    cohort = dict.fromkeys(SITES, CohortMember(weight=WEIGHT, size_bucket=BUCKET))
    admitted = RosterSite(signing_key=KEY, size_bucket=BUCKET, policy_digest=DIGEST, role="evaluator")
    return [
        RunOpened(
            settings=plain(SETTINGS),  # type: ignore[arg-type]
            settings_digest=DIGEST,
            roster=dict.fromkeys(SITES, admitted),
            contract_digest=DIGEST,
            initial_model_digest=DIGEST,
            public_seed=KEY,
            planned_rounds=ROUND,
            noise_multiplier=NOISE,
            evaluation_noise_multiplier=NOISE,
            software=dict.fromkeys(list(software)[:16], "v" * 128),
            simulated=False,
            outline=OUTLINE,
        ),
        SiteReady(
            site=site,
            envelope=envelope("site_hello", "hello"),
            hello=SiteHello(
                context_digest=DIGEST,
                policy_digest=DIGEST,
                size_bucket=BUCKET,
                role="evaluator",
                software=software,
                device="d" * 128,
                threads=1 << 16,
                deterministic=False,
                simulated=False,
                environment_digest=DIGEST,
                seen_tree_size=SIZE,
            ),
        ),
        RoundPlanned(plan=RoundPlan(**SAME | of_outline(RoundPlan), cohort=cohort)),
        UpdateReceived(site=site, envelope=envelope("site_update", "update"), update=update(rounds)),
        ReplyRefused(
            site=site,
            phase="evaluate",
            plan_digest=DIGEST,
            by="site",
            reason="mechanism_check_failed",
            envelope=envelope("refusal", "evaluate"),
            refusal=Refusal(plan_digest=DIGEST, reason="mechanism_check_failed", seen_tree_size=SIZE),
        ),
        RoundAggregated(
            plan_digest=DIGEST,
            included=SITES,
            total_weight=100 * WEIGHT,
            sum_digest=DIGEST,
            model_in=DIGEST,
            model_out=DIGEST,
        ),
        RoundAborted(plan_digest=DIGEST, received=99, min_sites=100),
        EvaluationPlanned(
            plan=EvaluationPlan(**SAME | of_outline(EvaluationPlan), sites=SITES, noise_multiplier=NOISE)
        ),
        MetricsReceived(site=site, envelope=envelope("site_metrics", "evaluate"), metrics=metrics(rounds)),
        RoundEvaluated(plan_digest=DIGEST, sites=SITES, accuracy=NOISE, macro_f1=NOISE),
        RunClosed(outcome="stopped", rounds_aggregated=ROUND, final_model=DIGEST),
    ]


def length(body: EntryBody) -> int:
    entry = AuditEntry(index=SIZE, run_id=RUN, server_round=ROUND, recorded_at=1 << 42, body=body)
    return len(canonical_bytes(entry))


def test_every_kind_is_here() -> None:
    assert sorted(body.kind for body in bodies(1)) == sorted(kinds.names())


@pytest.mark.parametrize("kind", kinds.names())
def test_no_entry_of_100_sites_is_longer_than_a_tiled_log_holds(kind: str) -> None:
    (body,) = [each for each in bodies(200) if each.kind == kind]
    assert length(body) <= LONGEST


@pytest.mark.parametrize("kind", [kind for kind in kinds.names() if kind != "run_opened"])
def test_the_roster_stands_in_the_opening_alone(kind: str) -> None:
    (body,) = [each for each in bodies(1) if each.kind == kind]
    assert KEY not in body.model_dump_json(exclude={"plan": {"public_seed"}})
