# SPDX-License-Identifier: Apache-2.0
"""What a round may spend (`PrivacyParams`), what happened (`PrivacyEvent`) and what it cost (`PrivacySpent`).

Strict frozen models for files, wire and log; without torch, so that the coordinator and the auditor can read them.
Neighbouring data sets differ by one added or removed privacy unit: one record, or one patient with all notes. Real
numbers are canonical decimal strings of at most 40 characters: the number that was signed is the number that is
accounted.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from privacy.base.canonical import DecimalString, decimal_string
from privacy.base.errors import ContractError

MAX_STEPS = 10_000_000
MAX_NOTES = 1024
ROW_BY_ROW = ("ghost", "hooks")
"""Clipping methods that bound single rows, not the sum of several."""

Unit = Literal["record", "patient"]
"""What one neighbouring data set lacks: one record, or one patient with all of that patient's notes."""

Partition = Literal["train", "dev"]
"""The part of a site's data that a release reads. No privacy unit is in two parts."""

PARTITIONS: Final[tuple[Partition, ...]] = get_args(Partition)

Accountant = Literal["prv", "pld", "rdp"]
"""Whose bound an epsilon is: PRV of Opacus, PLD of dp-accounting where PRV would take minutes, RDP where both are
hopeless. No other name is read or signed."""


def _short(text: str) -> str:
    if len(text) > 40:
        raise ValueError("a decimal has at most 40 characters")
    return text


def _positive(text: str) -> str:
    if Decimal(_short(text)) <= 0:
        raise ValueError("must be above 0")
    return text


def _rate(text: str) -> str:
    if not 0 < Decimal(_short(text)) <= 1:
        raise ValueError("must be above 0 and at most 1")
    return text


def _delta(text: str) -> str:
    if not 0 < Decimal(_short(text)) < 1:
        raise ValueError("must be above 0 and below 1")
    return text


def _epsilon(text: str) -> str:
    if Decimal(_short(text)) < 0:
        raise ValueError("must not be negative")
    return text


PositiveDecimal = Annotated[DecimalString, AfterValidator(_positive)]
RateDecimal = Annotated[DecimalString, AfterValidator(_rate)]
DeltaDecimal = Annotated[DecimalString, AfterValidator(_delta)]
EpsilonDecimal = Annotated[DecimalString, AfterValidator(_epsilon)]


class PrivacyParams(BaseModel):
    """The DP-SGD of one site in one round, as the plan fixes it for all sites.

    `target_epsilon` and `target_delta` belong to the whole planned run; sample_rate, noise_multiplier and num_steps to
    this round. No exact data size is in here: gradients are normalised by sample_rate times the declared size bucket.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sample_rate: RateDecimal = Field(description="Probability with which each privacy unit joins a step; in (0, 1].")
    noise_multiplier: PositiveDecimal = Field(description="Noise standard deviation over max_grad_norm; above 0.")
    max_grad_norm: PositiveDecimal = Field(description="l2 bound of one unit's gradient over all parameters; above 0.")
    target_epsilon: PositiveDecimal = Field(description="Epsilon that the whole planned run may cost; above 0.")
    target_delta: DeltaDecimal = Field(description="Delta of the whole planned run; in (0, 1).")
    num_steps: int = Field(ge=1, le=MAX_STEPS, description="DP-SGD steps in this round.")
    unit: Unit = Field(description="The privacy unit: record or patient.")
    clipping: str = Field(
        default="bookkeeping",
        max_length=64,
        pattern=r"^[a-z][a-z0-9_]*$",
        description="How gradients are clipped: the name of a file in privacy/dp/clipping.",
    )
    accountant: Literal["prv"] = Field(default="prv", description="The accountant that calibrates and charges.")
    notes_per_unit: int = Field(
        default=1,
        ge=1,
        le=MAX_NOTES,
        exclude_if=lambda value: value == 1,
        description="Rows of a sampled unit in a step, at the most; their gradients are summed and clipped as one.",
    )

    @model_validator(mode="after")
    def _several_notes_are_of_a_patient(self) -> Self:
        if self.notes_per_unit > 1 and self.unit == "record":
            raise ValueError("a record is one row: several notes in a step need unit = patient")
        if self.notes_per_unit > 1 and self.clipping in ROW_BY_ROW:
            raise ValueError(f"clipping = {self.clipping} bounds single rows: several notes need bookkeeping")
        return self

    def event(self) -> PrivacyEvent:
        """What training with these parameters releases."""
        return PrivacyEvent(
            noise_multiplier=self.noise_multiplier,
            sample_rate=self.sample_rate,
            steps=self.num_steps,
            partition="train",
        )


class PrivacyEvent(BaseModel):
    """One kind of release, made `steps` times: Gaussian noise of `noise_multiplier` x sensitivity.

    Noised counts over all units are the case sample_rate "1".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    noise_multiplier: PositiveDecimal
    sample_rate: RateDecimal
    steps: int = Field(ge=1, le=MAX_STEPS)
    partition: Partition


class PrivacySpent(BaseModel):
    """What `events` cost together: (epsilon, delta) for `unit`, by `accountant`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    epsilon: EpsilonDecimal
    delta: DeltaDecimal
    unit: Unit
    accountant: Accountant = Field(description="The accountant that computed this epsilon, not the one asked first.")
    events: tuple[PrivacyEvent, ...]


def epsilon_string(epsilon: float) -> DecimalString:
    """An epsilon as it is reported: rounded up to four places. Raises ContractError unless it is finite and >= 0."""
    if not (math.isfinite(epsilon) and epsilon >= 0):
        raise ContractError("an epsilon must be finite and not negative")
    return decimal_string(Decimal(epsilon).quantize(Decimal("0.0001"), rounding=ROUND_CEILING))
