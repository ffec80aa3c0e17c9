# SPDX-License-Identifier: Apache-2.0
"""A search over hyper-parameters on the site's own private data: charged to the ledger like any other training.

Each trial trains the task's first model with DP-SGD on the train split and is told apart by noised counts on the dev
split. All trials together cost what the ledger composes; that is computed before the first one starts. A trial whose
result is there is not repeated; one that was interrupted stays charged and is charged anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from client.learning.model.pretrained import Pretrained
from client.learning.training.contract import describe_pretrained
from client.learning.training.evaluation import CountNoise, noised_metrics
from client.settings.site_settings import SiteFolder
from client.site import guard
from client.site.budget import Budget
from client.site.pipeline import SitePipeline
from privacy.base.canonical import DecimalString, decimal_string, digest_of
from privacy.base.files import write_whole
from privacy.base.identifiers import Digest, RunId, sha256
from privacy.base.randomness import PublicSeed
from privacy.commandline.settings_file import settings_digest
from privacy.dp.ledger import Charge, Cost, Ledger, check_limit
from privacy.dp.params import PrivacyEvent, PrivacyParams
from privacy.protocol.model_request import ModelRequest
from privacy.protocol.plans import CohortMember, EncodingPlan, EvaluationPlan, RoundPlan, TrainingPlan
from privacy.protocol.scores import federation_scores
from privacy.update.delta import ModelContract, model_vector

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class SearchSection(BaseModel):
    """What all trials share."""

    model_config = STRICT
    target_epsilon: float = Field(gt=0, le=1000, description="what the training of all trials may cost together")
    steps: int = Field(default=50, ge=1, le=1_000_000, description="steps of each trial")
    sample_rate: float = Field(default=0.1, gt=0, le=1, description="probability of each privacy unit to join a step")
    counts_noise_multiplier: float = Field(
        default=5.0, gt=0, le=1e6, description="noise of a trial's counts on dev over their sensitivity"
    )


class TrialSection(BaseModel):
    """What one trial does differently from the task's own training; what is not set stays as the task has it."""

    model_config = STRICT
    optimizer: Literal["sgd", "adam", "adamw"] | None = Field(default=None, description="local optimizer")
    learning_rate: float | None = Field(default=None, gt=0, le=10, description="of the transformer's arrays")
    head_learning_rate: float | None = Field(default=None, gt=0, le=100, description="of the heads' arrays")
    momentum: float | None = Field(default=None, ge=0, lt=1, description="of sgd")
    weight_decay: float | None = Field(default=None, ge=0, le=1, description="a step")
    dropout: float | None = Field(default=None, ge=0, lt=1, description="probability")
    schedule: Literal["linear", "cosine"] | None = Field(default=None, description="how the rates fall")
    max_grad_norm: float = Field(default=1.0, gt=0, le=1e6, description="l2 bound of one unit's gradient")

    def training(self, base: TrainingPlan) -> TrainingPlan:
        """The trial's training."""
        changed = self.model_dump(exclude={"max_grad_norm"}, exclude_none=True)
        written = {name: decimal_string(v) if isinstance(v, float) else v for name, v in changed.items()}
        return TrainingPlan.model_validate(base.model_dump() | written)


class SearchSettings(BaseModel):
    """All of a search file."""

    model_config = STRICT
    search: SearchSection = Field(description="what all trials share")
    trials: tuple[TrialSection, ...] = Field(min_length=1, max_length=1000, description="what is tried, in order")


@dataclass(frozen=True)
class Price:
    """What a search costs the data set: epsilon before and after, of the limit, by what binds (`accountant`: prv, pld,
    rdp or filter), and the noise that this buys."""

    trials: int
    unit: str
    epsilon_before: DecimalString
    epsilon_after: DecimalString
    epsilon_limit: DecimalString
    accountant: str
    noise_multiplier: DecimalString


@dataclass(frozen=True)
class TrialResult:
    """A trial's figures from noised counts on dev; None where the noise leaves nothing to count."""

    trial: int
    plan_digest: Digest
    accuracy: str | None
    macro_f1: str | None
    counts_noise_std: str


@dataclass(frozen=True, eq=False, repr=False)
class Trial:
    """One trial: its plan, which is a round of a run of its own with this site alone, and the model it starts from."""

    number: int
    plan: RoundPlan
    contract: ModelContract
    first_model: NDArray[np.float32]

    @property
    def digest(self) -> Digest:
        return digest_of(self.plan)


class Search:
    """One search at one site: what it would cost (`price`), and then the trials that are not done yet (`run`)."""

    def __init__(self, folder: SiteFolder, pipeline: SitePipeline, budget: Budget, wanted: SearchSettings) -> None:
        self._settings, self._pipeline, self._budget, self._wanted = folder.settings, pipeline, budget, wanted
        self._ledger = Ledger(folder.ledger)
        self._name = f"search-{settings_digest(wanted)[:12]}"
        self._file = folder.reports / f"{self._name}.json"

    def trials(self, request: ModelRequest, pretrained: Pretrained) -> list[Trial]:
        """The trials on the task of `request`, in order.

        Raises PlanRefused where the site's own policy forbids one, SettingsError where no noise reaches the target,
        ContractError where a trial asks for what the model lacks.
        """
        privacy = self._privacy()
        return [
            self._prepare(at, trial, privacy, request, pretrained) for at, trial in enumerate(self._wanted.trials, 1)
        ]

    def _privacy(self) -> PrivacyParams:
        from privacy.dp.accounting import calibrate

        search, policy = self._wanted.search, self._settings.policy
        steps = search.steps * len(self._wanted.trials)
        noise = calibrate(search.target_epsilon, policy.delta, search.sample_rate, steps)
        return PrivacyParams(
            sample_rate=decimal_string(search.sample_rate),
            noise_multiplier=decimal_string(max(noise, policy.min_noise_multiplier)),
            max_grad_norm="1",
            target_epsilon=decimal_string(search.target_epsilon),
            target_delta=decimal_string(policy.delta),
            num_steps=search.steps,
            unit=policy.unit,
        )

    def _prepare(
        self, number: int, trial: TrialSection, privacy: PrivacyParams, request: ModelRequest, pretrained: Pretrained
    ) -> Trial:
        training = trial.training(request.training)
        seed = PublicSeed.from_hex(request.public_seed)
        contract, initial = describe_pretrained(request.task, training, pretrained, seed)
        site, policy = self._settings.site.name, self._settings.policy
        plan = RoundPlan(
            run_id=f"{self._name}-{number}",
            server_round=1,
            planned_rounds=1,
            cohort={site: CohortMember(weight=1, size_bucket=policy.size_bucket)},
            min_sites=1,
            public_seed=request.public_seed,
            task=request.task,
            pretrained_digest=pretrained.digest,
            tokenizer_digest=pretrained.tokenizer_digest,
            contract_digest=digest_of(contract),
            model_digest=sha256(initial),
            training=training,
            unit=privacy.unit,
            sample_rate=privacy.sample_rate,
            num_steps=privacy.num_steps,
            privacy=privacy.model_copy(update={"max_grad_norm": decimal_string(trial.max_grad_norm)}),
            update_clip_norm="1",
            encoding=EncodingPlan(dtype="int32", scale_log2=20),
            aggregation="weighted_sum",
        )
        guard.check_search(plan, self._settings)
        return Trial(number, plan, contract, model_vector(contract, initial))

    def price(self, trials: Sequence[Trial]) -> Price:
        """What the trials that are not done yet would cost, on top of the data set's history."""
        policy = self._settings.policy
        limit = decimal_string(policy.epsilon_limit)
        before = self._ledger.standing(self._settings.data.dataset, policy.unit, limit, trials[0].plan.run_id)
        remaining = self._left(trials)
        after = self._cost(trials) if remaining else before
        noise = trials[0].plan.privacy
        assert noise is not None
        return Price(
            trials=len(remaining),
            unit=policy.unit,
            epsilon_before=before.binding[0],
            epsilon_after=after.binding[0],
            epsilon_limit=limit,
            accountant=after.binding[1],
            noise_multiplier=noise.noise_multiplier,
        )

    def _left(self, trials: Sequence[Trial]) -> list[Trial]:
        done = self.results()
        return [trial for trial in trials if trial.digest not in done]

    def _cost(self, trials: Sequence[Trial]) -> Cost:
        """What the data set comes to with the trials that are not done yet."""
        policy, whole = self._settings.policy, self._whole(trials)
        charge = Charge(
            run_id=trials[0].plan.run_id,
            events=tuple(event for trial in self._left(trials) for event in self._events(trial.plan)),
            limit=decimal_string(policy.epsilon_limit),
            delta=decimal_string(policy.delta),
            split=self._pipeline.records.split(),
            planned=tuple(event for trial in whole.values() for event in trial),
            planned_as=tuple(whole),
        )
        return self._ledger.cost(self._settings.data.dataset, policy.unit, charge)

    def results(self) -> dict[Digest, TrialResult]:
        """The trials that are done, by their plan's digest."""
        results = json.loads(self._file.read_bytes()) if self._file.exists() else []
        return {one["plan_digest"]: TrialResult(**one) for one in results}

    def run(self, trials: Sequence[Trial], tell: Callable[[TrialResult], None]) -> list[TrialResult]:
        """All trials in order, each reserved before it trains. Raises BudgetExceeded before any if all are too much."""
        done, policy = self.results(), self._settings.policy
        limit, site = decimal_string(policy.epsilon_limit), self._settings.site.name
        if self._left(trials):
            check_limit(self._cost(trials), limit, site, 1, policy.unit, what=f"{self._name} as a whole")
        for trial in trials:
            if trial.digest not in done:
                done[trial.digest] = self._try(trial, self._whole(trials))
                write_whole(self._file, json.dumps([asdict(one) for one in done.values()], indent=1).encode())
            tell(done[trial.digest])
        return [done[trial.digest] for trial in trials]

    def _try(self, trial: Trial, whole: Mapping[RunId, tuple[PrivacyEvent, ...]]) -> TrialResult:
        plan, contract = trial.plan, trial.contract
        self._pipeline.examples(contract, plan.public_seed, "train")
        nonce = self._budget.fresh_nonce(trial.digest)
        self._budget.charge_search(plan, self._events(plan), trial.digest, nonce, whole)
        seed = self._budget.seed(nonce, trial.digest)
        trained = self._pipeline.train(plan, contract, plan.public_seed, trial.first_model, seed, lambda step: None)
        counts = self._pipeline.count(contract, plan.public_seed, trained.vector)
        counting = self._counting(plan)
        bucket = self._settings.policy.size_bucket
        metrics = noised_metrics(counts, counting, CountNoise(counting.noise_std(), seed, bucket), None, 0)
        self._budget.settle()
        accuracy, macro_f1 = federation_scores(plan.task.num_outputs, [metrics])
        return TrialResult(trial.number, trial.digest, accuracy, macro_f1, metrics.noise_std)

    def _counting(self, plan: RoundPlan) -> EvaluationPlan:
        """The trial's own evaluation on dev, as a coordinator would plan it."""
        return EvaluationPlan(
            run_id=plan.run_id,
            server_round=plan.server_round,
            sites=tuple(plan.cohort),
            public_seed=plan.public_seed,
            task=plan.task,
            pretrained_digest=plan.pretrained_digest,
            tokenizer_digest=plan.tokenizer_digest,
            contract_digest=plan.contract_digest,
            model_digest=plan.model_digest,
            training=plan.training,
            unit=plan.unit,
            noise_multiplier=decimal_string(self._wanted.search.counts_noise_multiplier),
            target_delta=decimal_string(self._settings.policy.delta),
            figures="per_class",
        )

    def _whole(self, trials: Sequence[Trial]) -> dict[RunId, tuple[PrivacyEvent, ...]]:
        """What the whole search releases, by trial: fixed before the first of them."""
        return {trial.plan.run_id: self._events(trial.plan) for trial in trials}

    def _events(self, plan: RoundPlan) -> tuple[PrivacyEvent, ...]:
        """What a trial releases: its training, and its counts."""
        assert plan.privacy is not None
        noise = decimal_string(self._wanted.search.counts_noise_multiplier)
        return plan.privacy.event(), PrivacyEvent(noise_multiplier=noise, sample_rate="1", steps=1, partition="dev")
