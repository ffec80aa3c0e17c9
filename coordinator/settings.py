# SPDX-License-Identifier: Apache-2.0
"""federation.toml: one federation, one recipe. Every field has a unit and a bound; unknown keys are refused.

Real numbers are plain floats here, for people; they become canonical decimal strings when a plan is made.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from privacy.base.canonical import decimal_string
from privacy.base.identifiers import RunId
from privacy.dp.params import MAX_NOTES, ROW_BY_ROW, PrivacyParams, Unit
from privacy.protocol.anonymization_check import MOST_NOTES, AnonymizationPlan, Floor, Identifier, written
from privacy.protocol.outline import evaluations
from privacy.protocol.plans import EncodingPlan, Figures, Scope, TaskPlan, TrainingPlan

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


def _decimals(bounds: tuple[float, float]) -> tuple[str, str]:
    return decimal_string(bounds[0]), decimal_string(bounds[1])


class RunSection(BaseModel):
    """Which run this is."""

    model_config = STRICT
    name: RunId = Field(default="federation", description="name of the federation; the log's origin is collab/<name>")
    run_id: RunId = Field(default="run-1", description="name of this run, unique in this folder's log")
    public_seed: int = Field(
        default=0, ge=0, lt=1 << 63, description="integer, public and logged: drives cohort, initialization, order"
    )


class NetworkSection(BaseModel):
    """Where sites reach the coordinator."""

    model_config = STRICT
    host: str = Field(
        default="127.0.0.1", description="address to listen on; sites reach it by a name in the certificate"
    )
    port: int = Field(default=9443, ge=1, le=65535, description="TCP port, TLS only")


class TaskSection(BaseModel):
    """What is learnt."""

    model_config = STRICT
    name: str = Field(default="classification", description="name of a file in client/learning/tasks")
    labels: tuple[str, ...] = Field(
        default=("no", "yes"),
        description="all labels, in order; of token_classification the types of spans; of regression, "
        "question_answering and masked_language none",
    )
    max_tokens: int = Field(default=128, ge=8, le=512, description="word pieces a text; longer texts are cut")
    counted: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="most that one unit adds to each count of an evaluation: labels or spans of a text, or the steps "
        "in which a share is counted; the noise grows with it",
    )
    value_range: tuple[float, float] | None = Field(
        default=None, description="least and greatest value of the target; regression only"
    )
    mask_rate: float = Field(
        default=0.15, gt=0, le=1, description="share of word pieces that are hidden; masked_language and joint only"
    )
    masked_weight: float = Field(
        default=0.5, gt=0, le=1, description="share of the masked-language loss in the joint loss; joint only"
    )

    def plan(self) -> TaskPlan:
        """The task as a plan holds it: what only other tasks read is left out."""
        hides = self.name in ("masked_language", "joint")
        return TaskPlan(
            name=self.name,
            labels=self.labels,
            max_tokens=self.max_tokens,
            counted=self.counted if self.counted > 1 else None,
            counted_per_label=1 if self.counted > 1 and self.name == "multi_label" else None,
            value_range=None if self.value_range is None else _decimals(self.value_range),
            mask_rate=decimal_string(self.mask_rate) if hides else None,
            masked_weight=decimal_string(self.masked_weight) if self.name == "joint" else None,
        )


class TrainingSection(BaseModel):
    """Which arrays are trained and how. The same at every site."""

    model_config = STRICT
    scope: Scope = Field(default="top", description="head, top (layers), lora, bitfit or full")
    top_layers: int = Field(
        default=1, ge=0, le=64, description="layers trained (top), or adapted (lora, bitfit; 0 is all)"
    )
    lora_rank: int = Field(default=8, ge=0, le=256, description="rank of the adapters; lora only")
    lora_alpha: int = Field(default=16, ge=0, le=1024, description="scale of the adapters is alpha / rank; lora only")
    optimizer: Literal["sgd", "adam", "adamw"] = Field(default="adam", description="local optimizer, new in each round")
    learning_rate: float = Field(default=1e-3, gt=0, le=10, description="of the transformer's arrays, a step")
    head_learning_rate: float = Field(default=1e-2, gt=0, le=100, description="of the head's arrays, a step")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="of sgd; 0 to below 1")
    weight_decay: float = Field(default=0.0, ge=0, le=1, description="a step; 0 to 1")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        default="constant", description="how the learning rates fall over all steps of the run"
    )
    warmup_steps: int = Field(
        default=0, ge=0, le=10_000_000, description="steps of the whole run over which the learning rates rise from 0"
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="probability, from a site's secret seed")
    physical_batch_size: int = Field(default=32, ge=1, le=4096, description="examples in memory at once")
    rounds: int = Field(default=4, ge=1, le=100_000, description="rounds of the whole run")
    steps_per_round: int = Field(default=5, ge=1, le=1_000_000, description="local steps a round")
    sample_rate: float = Field(default=0.1, gt=0, le=1, description="probability of each privacy unit to join a step")

    def plan(self) -> TrainingPlan:
        """The part of it that a round's plan holds."""
        return TrainingPlan(
            scope=self.scope,
            top_layers=self.top_layers if self.scope in ("top", "lora", "bitfit") else 0,
            lora_rank=self.lora_rank if self.scope == "lora" else 0,
            lora_alpha=self.lora_alpha if self.scope == "lora" else 0,
            optimizer=self.optimizer,
            learning_rate=decimal_string(self.learning_rate),
            head_learning_rate=decimal_string(self.head_learning_rate),
            momentum=decimal_string(self.momentum),
            weight_decay=decimal_string(self.weight_decay),
            dropout=decimal_string(self.dropout),
            physical_batch_size=self.physical_batch_size,
            schedule=None if self.schedule == "constant" else self.schedule,
            warmup_steps=self.warmup_steps or None,
        )


class PrivacySection(BaseModel):
    """How much may be learnt about one unit at one site. Noise is calibrated over the whole planned run (PRV)."""

    model_config = STRICT
    mode: Literal["dp_sgd", "none"] = Field(default="dp_sgd", description="none: NOT private; sites must allow it")
    unit: Unit = Field(default="patient", description="what epsilon protects: record or patient")
    target_epsilon: float = Field(default=8.0, gt=0, le=1000, description="of the whole run at each site, for the unit")
    target_delta: float = Field(default=1e-5, gt=0, lt=1, description="of the whole run; below 1 / number of units")
    max_grad_norm: float = Field(default=1.0, gt=0, le=1e6, description="l2 bound of one unit's gradient")
    clipping: str = Field(default="bookkeeping", description="name of a file in privacy/dp/clipping")
    notes_per_patient: int = Field(
        default=1,
        ge=1,
        le=MAX_NOTES,
        description="notes of a sampled patient in a step, at the most, drawn anew each step; their gradients are "
        "summed and clipped as one, so epsilon does not depend on it; 1 to 1024; above 1 unit must be patient and "
        "clipping bookkeeping",
    )

    @model_validator(mode="after")
    def _several_notes_are_of_a_patient(self) -> Self:
        if self.notes_per_patient > 1 and (self.mode == "none" or self.unit == "record" or self.clipping in ROW_BY_ROW):
            raise ValueError("notes_per_patient above 1 needs mode dp_sgd, unit patient and clipping bookkeeping")
        return self


class UpdateSection(BaseModel):
    """How a site's update becomes integers, and how they are added."""

    model_config = STRICT
    clip_norm: float = Field(default=1.0, gt=0, le=1e6, description="l2 bound of one site's update over all arrays")
    scale_log2: int = Field(default=22, ge=8, le=30, description="integers are truncated at 2^scale_log2")
    weights: Literal["bucket", "uniform"] = Field(default="bucket", description="by declared size bucket, or equal")
    aggregation: str = Field(default="weighted_sum", description="name of a file in privacy/aggregation")
    server_momentum: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of the last round's step that the next model goes on with; costs no privacy; 0 to below 1",
    )

    def encoding(self) -> EncodingPlan:
        """The integer encoding of a plan."""
        return EncodingPlan(dtype="int32", scale_log2=self.scale_log2)

    def momentum(self) -> str | None:
        """The server's momentum as a plan writes it; None where there is none."""
        return decimal_string(self.server_momentum) if self.server_momentum else None


class AnonymizationSection(BaseModel):
    """What a site's anonymizer must show on invented notes before it trains. Sites' own floors hold beside it."""

    model_config = STRICT
    self_check_notes: int = Field(
        default=60,
        ge=1,
        le=MOST_NOTES,
        description="invented notes that each site checks itself with, once a run, before it trains; 1 to 1000",
    )
    min_recall: dict[Identifier, Floor] = Field(
        default_factory=dict,
        description="by identifier (person = 0.9), the share of invented values that must be found; 0 to 1; a site's "
        "own floors hold beside these",
    )

    def plan(self) -> AnonymizationPlan:
        """What a plan holds of it."""
        return AnonymizationPlan(self_check_notes=self.self_check_notes, min_recall=written(self.min_recall))


class RoundsSection(BaseModel):
    """When a round is done."""

    model_config = STRICT
    min_sites: int = Field(default=2, ge=1, le=10_000, description="updates without which a round is aborted")
    deadline_seconds: float = Field(
        default=3600.0,
        gt=0,
        le=604_800,
        description="seconds a phase waits for its sites; for connected ones at least what the plan needs of a slow "
        "core at the largest declared bucket, doubled after each round in which one did not finish",
    )
    hello_seconds: float = Field(
        default=60.0, gt=0, le=604_800, description="seconds that absent sites are waited for before each round"
    )
    prepare_seconds: float = Field(
        default=7200.0,
        gt=0,
        le=604_800,
        description="seconds that a connected site may take, when a run opens, to read and anonymize its texts and to "
        "test itself; nothing is charged meanwhile",
    )
    evaluate: bool = Field(default=True, description="ask sites for noised counts on their dev split")
    evaluate_every: int = Field(
        default=1,
        ge=1,
        le=100_000,
        description="rounds from one evaluation to the next; the first model and the last are always evaluated; fewer "
        "evaluations bear less noise each",
    )
    per_class: bool = Field(
        default=False,
        description="also count by class, as macro-F1 needs; the counts of right and wrong then bear twice the noise",
    )
    measure: Literal["accuracy", "macro_f1"] = Field(
        default="accuracy", description="the published figure, of noised counts, that keep and patience go by"
    )
    keep: Literal["last", "best"] = Field(
        default="last", description="which model the run ends with: the newest, or the one of the best figure"
    )
    patience: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="evaluations without a better figure after which the run ends; 0: never",
    )

    @model_validator(mode="after")
    def _has_figures(self) -> Self:
        if not self.evaluate and (self.keep == "best" or self.patience):
            raise ValueError("keep = best and patience go by evaluations: set rounds.evaluate to true")
        if self.measure == "macro_f1" and not self.per_class:
            raise ValueError("macro_f1 is made of counts by class: set rounds.per_class to true")
        return self


class FederationSettings(BaseModel):
    """All of federation.toml."""

    model_config = STRICT
    run: RunSection = Field(default_factory=RunSection, description="which run this is")
    network: NetworkSection = Field(default_factory=NetworkSection, description="where sites reach the coordinator")
    task: TaskSection = Field(default_factory=TaskSection, description="what is learnt")
    training: TrainingSection = Field(default_factory=TrainingSection, description="which arrays are trained and how")
    privacy: PrivacySection = Field(default_factory=PrivacySection, description="how much may be learnt about one unit")
    update: UpdateSection = Field(default_factory=UpdateSection, description="how updates are encoded and added")
    anonymization: AnonymizationSection = Field(
        default_factory=AnonymizationSection, description="what a site's anonymizer must show before it trains"
    )
    rounds: RoundsSection = Field(default_factory=RoundsSection, description="when a round is done")

    @model_validator(mode="after")
    def _notes_of_a_patient_fit_in_a_batch(self) -> Self:
        if self.privacy.notes_per_patient > self.training.physical_batch_size:
            raise ValueError("privacy.notes_per_patient must not be above training.physical_batch_size")
        return self

    @property
    def evaluations(self) -> int:
        """How often the dev split is counted in the whole run: before the first round, after each k-th and the last."""
        return evaluations(self.training.rounds, self.evaluate_every)

    @property
    def evaluate_every(self) -> int:
        """Rounds between two evaluations; 0: there are none."""
        return self.rounds.evaluate_every if self.rounds.evaluate else 0

    @property
    def figures(self) -> Figures:
        """Which counts an evaluation asks for."""
        return "per_class" if self.rounds.per_class else "accuracy"

    def task_plan(self) -> TaskPlan:
        """The task as a plan holds it."""
        return self.task.plan()

    def privacy_params(self, noise_multiplier: str | None) -> PrivacyParams | None:
        """One round's parameters at the calibrated `noise_multiplier`; None in a run that is not private."""
        if noise_multiplier is None:
            return None
        return PrivacyParams(
            sample_rate=decimal_string(self.training.sample_rate),
            num_steps=self.training.steps_per_round,
            noise_multiplier=noise_multiplier,
            max_grad_norm=decimal_string(self.privacy.max_grad_norm),
            target_epsilon=decimal_string(self.privacy.target_epsilon),
            target_delta=decimal_string(self.privacy.target_delta),
            unit=self.privacy.unit,
            clipping=self.privacy.clipping,
            accountant="prv",
            notes_per_unit=self.privacy.notes_per_patient,
        )
