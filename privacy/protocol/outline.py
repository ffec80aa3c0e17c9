# SPDX-License-Identifier: Apache-2.0
"""The whole planned run in one typed value, as it is opened: what every plan of the run must say again.

A site holds its policy and its budget against it before anything is charged, and each later plan against it field for
field; the auditor does the same. So nothing that noise or epsilon follows from can change within a run. What a plan
adds to it is its round, its cohort, its public seed and the model that it starts from.
"""

from __future__ import annotations

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from privacy.base.canonical import DecimalString
from privacy.base.identifiers import Digest
from privacy.dp.params import DeltaDecimal, PositiveDecimal, PrivacyEvent, PrivacyParams, Unit
from privacy.protocol.anonymization_check import AnonymizationPlan
from privacy.protocol.plans import EncodingPlan, EvaluationPlan, Figures, RoundPlan, TaskPlan, TrainingPlan

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)

_SAME_IN_ROUNDS: Final = (
    "planned_rounds",
    "min_sites",
    "task",
    "pretrained_digest",
    "tokenizer_digest",
    "training",
    "unit",
    "sample_rate",
    "num_steps",
    "privacy",
    "update_clip_norm",
    "encoding",
    "aggregation",
    "anonymization",
    "server_momentum",
)
_SAME_IN_EVALUATIONS: Final = (
    "task",
    "pretrained_digest",
    "tokenizer_digest",
    "training",
    "unit",
    "target_delta",
    "figures",
)


class RunOutline(BaseModel):
    """What is the same in every plan of a run, and how many plans of each kind there may be."""

    model_config = STRICT
    planned_rounds: int = Field(ge=1, le=100_000)
    min_sites: int = Field(ge=1, le=10_000)
    task: TaskPlan
    pretrained_digest: Digest
    tokenizer_digest: Digest
    training: TrainingPlan
    unit: Unit
    sample_rate: DecimalString
    num_steps: int = Field(ge=1, le=10_000_000, description="of one round")
    privacy: PrivacyParams | None = Field(description="of one round; None: a run that is not private")
    update_clip_norm: DecimalString
    encoding: EncodingPlan
    aggregation: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    anonymization: AnonymizationPlan
    server_momentum: DecimalString | None
    evaluate_every: int = Field(ge=0, le=100_000, description="rounds between two evaluations; 0: there are none")
    figures: Figures
    evaluation_noise_multiplier: PositiveDecimal | None = Field(description="None: no evaluations, or exact counts")
    target_delta: DeltaDecimal

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        private = self.privacy
        if private is not None and (private.unit, private.sample_rate, private.num_steps, private.target_delta) != (
            self.unit,
            self.sample_rate,
            self.num_steps,
            self.target_delta,
        ):
            raise ValueError("privacy must be computed for the run's own unit, sample_rate, num_steps and delta")
        noised = private is not None and self.evaluate_every > 0
        if noised != (self.evaluation_noise_multiplier is not None):
            raise ValueError("the counts of a private run have noise, and no others")
        return self

    def is_evaluated(self, server_round: int) -> bool:
        """Whether the model after `server_round` is evaluated: the first, each k-th, and the last."""
        if self.evaluate_every == 0:
            return False
        return server_round % self.evaluate_every == 0 or server_round == self.planned_rounds

    @property
    def evaluations(self) -> int:
        """How many evaluations the whole run may ask for."""
        return evaluations(self.planned_rounds, self.evaluate_every)

    def counting_event(self) -> PrivacyEvent | None:
        """What one evaluation of private data releases."""
        noise = self.evaluation_noise_multiplier
        if noise is None:
            return None
        return PrivacyEvent(noise_multiplier=noise, sample_rate="1", steps=1, partition="dev")

    def events(self) -> tuple[PrivacyEvent, ...]:
        """All that the whole planned run releases at one training site; () for a run that is not private."""
        counting = self.counting_event()
        training = () if self.privacy is None else (self.privacy.event(),) * self.planned_rounds
        return training + (() if counting is None else (counting,) * self.evaluations)

    def departures(self, plan: RoundPlan | EvaluationPlan) -> tuple[str, ...]:
        """The fields in which `plan` is not the one that the run was opened for; () for a plan that keeps to it."""
        if isinstance(plan, RoundPlan):
            return tuple(name for name in _SAME_IN_ROUNDS if getattr(plan, name) != getattr(self, name))
        names = [name for name in _SAME_IN_EVALUATIONS if getattr(plan, name) != getattr(self, name)]
        if plan.noise_multiplier != self.evaluation_noise_multiplier:
            names.append("noise_multiplier")
        if not self.is_evaluated(plan.server_round):
            names.append("server_round")
        return tuple(names)


def evaluations(planned_rounds: int, evaluate_every: int) -> int:
    """The initial model, each k-th and the last round's; 0 where there are none."""
    return 0 if evaluate_every == 0 else 1 + -(-planned_rounds // evaluate_every)
