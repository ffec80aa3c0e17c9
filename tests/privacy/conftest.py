# SPDX-License-Identifier: Apache-2.0
"""A true log to check: two sites that train and one with public data, two rounds, real keys, payloads, sums and models.

`build_log(folder, edit)` writes it through the real journal. `edit(place, value)` may change any value just before it
is signed or logged, so that a test can lie as a site or as a coordinator who holds the keys: places are "opened",
"plan/1", "update/1/alder" (what the site signs), "entry/round_aggregated/1" (what is logged), ...
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from coordinator.blobs import BlobStore
from coordinator.journal import Journal
from privacy.aggregation import weighted_sum, with_momentum
from privacy.base.canonical import canonical_bytes, digest_of
from privacy.base.identifiers import sha256
from privacy.base.randomness import PublicSeed
from privacy.dp.params import PrivacyEvent, PrivacyParams, PrivacySpent, epsilon_string
from privacy.dp.pld import epsilon_pld
from privacy.log.keys import SigningKey
from privacy.protocol import mechanism
from privacy.protocol.anonymization_check import AnonymizationPlan, EntityRecall, SelfCheck
from privacy.protocol.entries import (
    EvaluationPlanned,
    MetricsReceived,
    ReplyRefused,
    RosterSite,
    RoundAggregated,
    RoundEvaluated,
    RoundPlanned,
    RunClosed,
    RunOpened,
    SiteReady,
    UpdateReceived,
)
from privacy.protocol.messages import COORDINATOR, Envelope, Header, Refusal, SiteHello, SiteMetrics, SiteUpdate, seal
from privacy.protocol.outline import RunOutline
from privacy.protocol.plans import CohortMember, EncodingPlan, EvaluationPlan, RoundPlan, TaskPlan, TrainingPlan
from privacy.protocol.scores import federation_scores
from privacy.update.clip import clip
from privacy.update.delta import ArraySpec, ModelContract, model_bytes
from privacy.update.quantize import encode, quantize

Edit = Callable[[str, Any], Any]

RUN, ORIGIN = "spring", "collab/woods"
LOG_KEY = SigningKey(b"\x01" * 32)
SITE_KEYS = {"alder": SigningKey(b"\x0a" * 32), "birch": SigningKey(b"\x0b" * 32), "cedar": SigningKey(b"\x0c" * 32)}
WEIGHTS = {"alder": 3, "birch": 2}
TRAINERS = tuple(WEIGHTS)
SEED = PublicSeed(b"\x05" * 32)
DELTA = "0.00001"
TASK = TaskPlan(name="classification", labels=("heart", "lung", "skin"), max_tokens=64)
TRAINING = TrainingPlan(
    scope="head",
    top_layers=0,
    lora_rank=0,
    lora_alpha=0,
    optimizer="sgd",
    learning_rate="0.001",
    head_learning_rate="0.1",
    momentum="0.9",
    weight_decay="0",
    dropout="0",
    physical_batch_size=16,
)
CONTRACT = ModelContract(
    task=TASK,
    training=TRAINING,
    pretrained_digest="d" * 64,
    tokenizer_digest="e" * 64,
    arrays=(ArraySpec(name="head.weight", shape=(3, 40)), ArraySpec(name="head.bias", shape=(3,))),
)
PRIVACY = PrivacyParams(
    sample_rate="0.05",
    noise_multiplier="1.1",
    max_grad_norm="1",
    target_epsilon="8",
    target_delta=DELTA,
    num_steps=20,
    unit="patient",
)
COUNTS_NOISE = "4.5"
ANONYMIZATION = AnonymizationPlan(self_check_notes=30, min_recall={"person": "0.9", "us_ssn": "0.95"})
OUTLINE = RunOutline(
    planned_rounds=2,
    min_sites=2,
    task=TASK,
    pretrained_digest=CONTRACT.pretrained_digest,
    tokenizer_digest=CONTRACT.tokenizer_digest,
    training=TRAINING,
    unit="patient",
    sample_rate=PRIVACY.sample_rate,
    num_steps=PRIVACY.num_steps,
    privacy=PRIVACY,
    update_clip_norm="0.5",
    encoding=EncodingPlan(dtype="int32", scale_log2=20),
    aggregation="weighted_sum",
    anonymization=ANONYMIZATION,
    server_momentum=None,
    evaluate_every=1,
    figures="per_class",
    evaluation_noise_multiplier=COUNTS_NOISE,
    target_delta=DELTA,
)
SELF_CHECK = SelfCheck(
    notes=31,
    recall={
        "person": EntityRecall(planted=290, found=281),
        "us_ssn": EntityRecall(planted=17, found=17),
        "url": EntityRecall(planted=9, found=4),
    },
    engine_fingerprint="6" * 64,
)


def unchanged(place: str, value: Any) -> Any:
    return value


class LogBuilder:
    """Plays the coordinator and all sites."""

    def __init__(self, folder: Path, edit: Edit) -> None:
        ticks = count(1_700_000_000_000)
        self.edit = edit
        self.blobs = BlobStore(folder / "blobs")
        self.journal = Journal.open(folder, LOG_KEY, ORIGIN, lambda: next(ticks))
        self.events: dict[str, list[PrivacyEvent]] = {site: [] for site in SITE_KEYS}
        self.generator = SEED.derive("numbers").numpy_generator()
        self.model = np.zeros(CONTRACT.size, np.float32)
        self.before: np.ndarray | None = None
        self.model_digest = self.blobs.put(model_bytes(CONTRACT, self.model))

    def log(self, server_round: int, *bodies: BaseModel) -> None:
        edited = [self.edit(f"entry/{body.kind}/{server_round}", body) for body in bodies]
        self.journal.append(RUN, server_round, *[body for body in edited if body is not None])

    def sealed(self, site: str, body: BaseModel, kind: str, phase: str, number: int, asked: str) -> Envelope:
        log_vkey = self.journal.log_key.vkey()
        header = Header(kind, RUN, number, 1, phase, site, asked, log_vkey, COORDINATOR)
        message = seal(body, header, SITE_KEYS[site])
        return self.edit(f"envelope/{kind}/{number}/{site}", message.envelope)

    def spent(self, site: str) -> PrivacySpent:
        events = tuple(self.events[site])
        epsilon = epsilon_string(epsilon_pld(events, float(DELTA)))
        return PrivacySpent(epsilon=epsilon, delta=DELTA, unit="patient", accountant="prv", events=events)

    def open(self) -> None:
        settings = {
            "run": {"name": RUN, "clip_norm": "0.5"},
            "anonymization": ANONYMIZATION.model_dump(mode="json"),
            "rounds": {"per_class": True},
        }
        roster = {
            site: RosterSite(
                signing_key=key.verify_key().hex(),
                size_bucket=300 if site in TRAINERS else 100,
                policy_digest="9" * 64,
                role="trainer" if site in TRAINERS else "evaluator",
            )
            for site, key in SITE_KEYS.items()
        }
        self.opened = self.edit(
            "opened",
            RunOpened(
                settings=settings,
                settings_digest=digest_of(settings),
                roster=roster,
                contract_digest=self.blobs.put(canonical_bytes(CONTRACT)),
                initial_model_digest=self.model_digest,
                public_seed=SEED.hex(),
                planned_rounds=2,
                noise_multiplier=PRIVACY.noise_multiplier,
                evaluation_noise_multiplier=COUNTS_NOISE,
                software={"collab": "0"},
                simulated=True,
                outline=OUTLINE,
            ),
        )
        self.log(0, self.opened)
        for site in SITE_KEYS:
            self.greet(site)

    def greet(self, site: str) -> None:
        asked = digest_of(self.opened)
        hello = SiteHello(
            context_digest=asked,
            policy_digest="9" * 64,
            size_bucket=self.opened.roster[site].size_bucket,
            role=self.opened.roster[site].role,
            software={"collab": "0"},
            device="cpu",
            threads=1,
            deterministic=True,
            simulated=True,
            environment_digest="8" * 64,
            seen_tree_size=1,
        )
        hello = self.edit(f"hello/{site}", hello)
        self.log(
            0, SiteReady(site=site, envelope=self.sealed(site, hello, "site_hello", "hello", 0, asked), hello=hello)
        )

    def plan(self, number: int) -> RoundPlan:
        plan = RoundPlan(
            run_id=RUN,
            server_round=number,
            planned_rounds=2,
            cohort={site: CohortMember(weight=WEIGHTS[site], size_bucket=300) for site in TRAINERS},
            min_sites=2,
            public_seed=SEED.derive(f"round/{number}").hex(),
            task=TASK,
            pretrained_digest=CONTRACT.pretrained_digest,
            tokenizer_digest=CONTRACT.tokenizer_digest,
            contract_digest=digest_of(CONTRACT),
            model_digest=self.model_digest,
            training=TRAINING,
            unit="patient",
            sample_rate=PRIVACY.sample_rate,
            num_steps=PRIVACY.num_steps,
            privacy=PRIVACY,
            update_clip_norm="0.5",
            encoding=EncodingPlan(dtype="int32", scale_log2=20),
            aggregation="weighted_sum",
            anonymization=ANONYMIZATION,
        )
        return self.edit(f"plan/{number}", plan)

    def train(self, number: int) -> None:
        plan = self.plan(number)
        self.log(number, RoundPlanned(plan=plan))
        asked, total = digest_of(plan), weighted_sum.start(CONTRACT.size)
        for site in TRAINERS:
            delta = self.generator.standard_normal(CONTRACT.size).astype(np.float32)
            integers = quantize(clip(delta, 0.5), WEIGHTS[site], 20)
            integers = self.edit(f"integers/{number}/{site}", integers)
            weighted_sum.fold(total, integers)
            self.events[site].append(PRIVACY.event())
            self.update(plan, asked, site, self.blobs.put(encode(integers)))
        weight = sum(WEIGHTS.values())
        model_out = weighted_sum.finish(self.model, total, weight, 20)
        if plan.server_momentum is not None and self.before is not None:
            model_out = with_momentum(model_out, self.model, self.before, plan.server_momentum)
        self.before, self.model = self.model, self.edit(f"model/{number}", model_out)
        model_in, self.model_digest = self.model_digest, self.blobs.put(model_bytes(CONTRACT, self.model))
        aggregated = RoundAggregated(
            plan_digest=asked,
            included=TRAINERS,
            total_weight=weight,
            sum_digest=weighted_sum.sum_digest(total),
            model_in=model_in,
            model_out=self.model_digest,
        )
        aggregated = self.edit(f"aggregated/{number}", aggregated)
        self.model_digest = aggregated.model_out
        self.log(number, aggregated)

    def update(self, plan: RoundPlan, asked: str, site: str, payload_digest: str) -> None:
        number = plan.server_round
        update = SiteUpdate(
            plan_digest=asked,
            payload_digest=payload_digest,
            payload_bytes=CONTRACT.payload_bytes,
            num_steps=plan.num_steps,
            encoding=plan.encoding,
            spent=self.spent(site),
            secret_seed_commitment=sha256(f"{site}{number}".encode()),
            environment_digest="8" * 64,
            anonymization_commitment="7" * 64,
            self_check=SELF_CHECK,
            mechanism_check=mechanism.passed(PRIVACY, 12_000_000),
            seen_tree_size=2,
        )
        update = self.edit(f"update/{number}/{site}", update)
        envelope = self.sealed(site, update, "site_update", "update", number, asked)
        self.log(number, UpdateReceived(site=site, envelope=envelope, update=update))

    def evaluate(self, number: int) -> None:
        """Birch refuses to count in round 1."""
        plan = EvaluationPlan(
            run_id=RUN,
            server_round=number,
            sites=tuple(SITE_KEYS),
            public_seed=SEED.derive(f"evaluation/{number}").hex(),
            task=TASK,
            pretrained_digest=CONTRACT.pretrained_digest,
            tokenizer_digest=CONTRACT.tokenizer_digest,
            contract_digest=digest_of(CONTRACT),
            model_digest=self.model_digest,
            training=TRAINING,
            unit="patient",
            noise_multiplier=COUNTS_NOISE,
            target_delta=DELTA,
            figures="per_class",
        )
        plan = self.edit(f"evaluation/{number}", plan)
        self.log(number, EvaluationPlanned(plan=plan))
        asked, answers = digest_of(plan), {}
        for site in SITE_KEYS:
            if (number, site) == (1, "birch"):
                refusal = Refusal(plan_digest=asked, reason="policy", seen_tree_size=9)
                envelope = self.sealed(site, refusal, "refusal", "evaluate", number, asked)
                refused = ReplyRefused(
                    site=site,
                    phase="evaluate",
                    plan_digest=asked,
                    by="site",
                    reason="policy",
                    envelope=envelope,
                    refusal=refusal,
                )
                self.log(number, refused)
                continue
            answers[site] = self.count(plan, asked, site)
        whole = [answers[site] for site in sorted(answers) if len(answers[site].right) == 3]
        accuracy, macro_f1 = federation_scores(3, whole)
        evaluated = RoundEvaluated(
            plan_digest=asked, sites=tuple(sorted(answers)), accuracy=accuracy, macro_f1=macro_f1
        )
        self.log(number, self.edit(f"evaluated/{number}", evaluated))

    def count(self, plan: EvaluationPlan, asked: str, site: str) -> SiteMetrics:
        trains = site in TRAINERS
        if trains:
            event = PrivacyEvent(noise_multiplier=COUNTS_NOISE, sample_rate="1", steps=1, partition="dev")
            self.events[site].append(event)
        counts = [tuple(int(value) for value in self.generator.integers(low, low + 20, 3)) for low in (10, 30, 30)]
        metrics = SiteMetrics(
            plan_digest=asked,
            correct=sum(counts[0]),
            incorrect=sum(counts[1]) - sum(counts[0]),
            right=counts[0],
            actual=counts[1],
            predicted=counts[2],
            noise_std=plan.noise_std() if trains else "0",
            spent=self.spent(site) if trains else None,
            seen_tree_size=3,
        )
        number = plan.server_round
        metrics = self.edit(f"metrics/{number}/{site}", metrics)
        envelope = self.sealed(site, metrics, "site_metrics", "evaluate", number, asked)
        self.log(number, MetricsReceived(site=site, envelope=envelope, metrics=metrics))
        return metrics

    def run(self) -> None:
        self.open()
        self.evaluate(0)
        for number in (1, 2):
            self.train(number)
            self.evaluate(number)
        closed = RunClosed(outcome="done", rounds_aggregated=2, final_model=self.model_digest)
        self.log(2, self.edit("closed", closed))
        self.journal.close()


def build(folder: Path, edit: Edit = unchanged) -> Path:
    LogBuilder(folder, edit).run()
    return folder


@pytest.fixture(scope="session")
def build_log() -> Callable[..., Path]:
    """build_log(folder, edit): write the log, lying where `edit` does."""
    return build


@pytest.fixture(scope="session")
def pristine_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The true log. Do not write into it."""
    return build(tmp_path_factory.mktemp("pristine") / "coordinator")


@pytest.fixture
def true_log(pristine_log: Path, tmp_path: Path) -> Path:
    """A copy of the true log that a test may harm: log.sqlite, log.vkey and blobs/ alone."""
    return shutil.copytree(pristine_log, tmp_path / "copy", ignore=shutil.ignore_patterns("log.lock"))
