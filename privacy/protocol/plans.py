# SPDX-License-Identifier: Apache-2.0
"""What a coordinator may ask of a site: a round of training, or an evaluation. Logged in full before it is sent.

A plan is the same for every site of its cohort, names models by digest only, and is data: nothing in it
is imported or executed.
Its digest (`privacy.base.canonical.digest_of`) is what a site's reply, its ledger and its nonce are bound to.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from privacy.base.canonical import DecimalString, decimal_string
from privacy.base.identifiers import Digest, HexBytes, RunId, SiteId
from privacy.dp.params import PrivacyParams, RateDecimal, Unit
from privacy.protocol.anonymization_check import AnonymizationPlan

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)

Scope = Literal["head", "top", "lora", "bitfit", "full"]
Figures = Literal["accuracy", "per_class"]
"""What an evaluation counts: right and wrong in all, or also right, actual and predicted for each class."""
Label = Annotated[str, Field(min_length=1, max_length=200)]


BUCKETS: Final = 4
"""A declared bucket may be so many times too small before counts are cut off."""
DEVIATIONS: Final = 16
"""Noise beyond so many standard deviations does not happen."""


def _absent(value: object) -> bool:
    """What is not asked for is not written: a plan made before there was such a field keeps its digest."""
    return value is None


class TaskPlan(BaseModel):
    """The task, its labels (from the plan, never from a site's data) and the longest text in word pieces."""

    model_config = STRICT
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$", description="name of a file in client/learning/tasks")
    labels: tuple[Label, ...] = Field(max_length=4096)
    max_tokens: int = Field(ge=8, le=512, description="word pieces, special tokens included; a longer text is cut")
    counted: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        exclude_if=_absent,
        description="most that one unit adds to each of the three counts of an evaluation; None: 1",
    )
    value_range: tuple[DecimalString, DecimalString] | None = Field(
        default=None, exclude_if=_absent, description="least and greatest value of a regression's target"
    )
    counted_per_label: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        exclude_if=_absent,
        description="most that one unit adds to any one count of a class; None: as much as `counted`",
    )
    mask_rate: RateDecimal | None = Field(
        default=None, exclude_if=_absent, description="share of word pieces that masked-language modelling hides"
    )
    masked_weight: RateDecimal | None = Field(
        default=None, exclude_if=_absent, description="share of the masked-language loss in a joint loss"
    )

    @property
    def num_outputs(self) -> int:
        """The length of each vector of counts: one a label, or one where the task has no labels."""
        return max(1, len(self.labels))

    def counts_sensitivity(self, figures: Figures | None) -> float:
        """How far one unit can move the counts that `figures` ask for together, in l2.

        A unit adds integers >= 0 that sum to at most c = `counted` to each vector, of which none is above p =
        `counted_per_label`: a vector moves by sqrt(c p) at most. It adds at most c to correct + incorrect, one of
        which is the rest of the other, so that both together move by c at most.
        """
        c = self.counted or 1
        squared = 3.0 * c * min(self.counted_per_label or c, c)
        if figures is None:  # before version 4 of the log
            return math.sqrt(squared)
        return float(c) if figures == "accuracy" else math.sqrt(squared + c * c)

    @model_validator(mode="after")
    def _is_a_task(self) -> Self:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("two labels are the same")
        if self.value_range is not None and not Decimal(self.value_range[0]) < Decimal(self.value_range[1]):
            raise ValueError("value_range must be a lower and a higher value")
        return self


class TrainingPlan(BaseModel):
    """Which arrays are trained, and by which local optimizer. Every site uses the same."""

    model_config = STRICT
    scope: Scope
    top_layers: int = Field(
        ge=0, le=64, description="layers trained (top), adapted (lora) or with trained biases (bitfit), from the top"
    )
    lora_rank: int = Field(ge=0, le=256)
    lora_alpha: int = Field(ge=0, le=1024)
    optimizer: Literal["sgd", "adam", "adamw"]
    learning_rate: DecimalString = Field(description="for the transformer's arrays")
    head_learning_rate: DecimalString = Field(description="for the head's arrays")
    momentum: DecimalString = Field(description="of sgd")
    weight_decay: DecimalString
    dropout: DecimalString = Field(description="probability, driven by a site's SecretSeed")
    physical_batch_size: int = Field(
        ge=1, le=4096, description="examples in memory at once; does not change the result's law"
    )
    schedule: Literal["linear", "cosine"] | None = Field(
        default=None, exclude_if=_absent, description="how the rates fall to 0 over all steps of the run; None: not"
    )
    warmup_steps: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        exclude_if=_absent,
        description="steps of the whole run over which the rates rise from 0; None: none",
    )


class EncodingPlan(BaseModel):
    """How a delta becomes integers: truncated at 2^scale_log2, after the weight."""

    model_config = STRICT
    dtype: Literal["int32"]
    scale_log2: int = Field(ge=8, le=30)


class CohortMember(BaseModel):
    """One site's part in a round: its weight in the sum, and the size bucket it declared (privacy units)."""

    model_config = STRICT
    weight: int = Field(ge=1, le=1 << 20)
    size_bucket: int = Field(ge=1, le=1 << 40)


class RoundPlan(BaseModel):
    """One round of training, as logged, sent and answered. `privacy` is None only in a run declared non-private."""

    model_config = STRICT
    run_id: RunId
    server_round: int = Field(ge=1)
    planned_rounds: int = Field(ge=1, description="of the whole run: noise was calibrated over all of them")
    cohort: dict[SiteId, CohortMember]
    min_sites: int = Field(ge=1)
    public_seed: HexBytes
    task: TaskPlan
    pretrained_digest: Digest
    tokenizer_digest: Digest
    contract_digest: Digest = Field(description="SHA-256 of model.json: names, shapes, dtypes and labels")
    model_digest: Digest = Field(description="SHA-256 of this round's input model (safetensors)")
    training: TrainingPlan
    unit: Unit
    sample_rate: DecimalString = Field(description="probability of each unit to join a step, private or not")
    num_steps: int = Field(ge=1, le=10_000_000)
    privacy: PrivacyParams | None
    update_clip_norm: DecimalString
    encoding: EncodingPlan
    aggregation: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$", description="name of a file in privacy/aggregation")
    anonymization: AnonymizationPlan | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="what the site's self-check must show; not there in a log of version 1",
    )
    server_momentum: DecimalString | None = Field(
        default=None,
        exclude_if=_absent,
        description="share of the last aggregated round's step that this one goes on with, in (0, 1); None: none",
    )

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        private = self.privacy
        if private is not None and (private.unit, private.sample_rate, private.num_steps) != (
            self.unit,
            self.sample_rate,
            self.num_steps,
        ):
            raise ValueError("privacy must be computed for the plan's own unit, sample_rate and num_steps")
        if private is not None and private.notes_per_unit > self.training.physical_batch_size:
            raise ValueError("the notes of one unit must fit in a physical batch: it is never split")
        if self.server_momentum is not None and not 0 < Decimal(self.server_momentum) < 1:
            raise ValueError("server_momentum is above 0 and below 1")
        return self


class EvaluationPlan(BaseModel):
    """Counts asked of each site's dev split (of an evaluator's whole data), noised at the site.

    `figures`: which counts; None in logs of version 1 to 3, which hold per-class counts alone.
    """

    model_config = STRICT
    run_id: RunId
    server_round: int = Field(ge=0, description="0: the initial model")
    sites: tuple[SiteId, ...]
    public_seed: HexBytes
    task: TaskPlan
    pretrained_digest: Digest
    tokenizer_digest: Digest
    contract_digest: Digest
    model_digest: Digest
    training: TrainingPlan
    unit: Unit
    noise_multiplier: DecimalString | None = Field(
        description="standard deviation over the l2 sensitivity; None: a non-private run"
    )
    target_delta: DecimalString
    figures: Figures | None = Field(default=None, exclude_if=_absent)

    def noise_std(self) -> DecimalString:
        """The standard deviation of each count of private data, exactly as a site must state it; "0" without noise."""
        if self.noise_multiplier is None:
            return "0"
        return decimal_string(float(self.noise_multiplier) * self.task.counts_sensitivity(self.figures))

    def largest_count(self, size_bucket: int, noise_std: str) -> int:
        """What no count may exceed in size. A site cuts its noised counts off there, which costs no privacy."""
        return BUCKETS * size_bucket * (self.task.counted or 1) + math.ceil(DEVIATIONS * float(noise_std))
