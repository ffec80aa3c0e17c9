# SPDX-License-Identifier: Apache-2.0
"""A site's policy, `[policy]` of its TOML: what it lets a plan ask for. `client.site.guard` holds plans to it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from privacy.dp.params import Unit
from privacy.protocol.anonymization_check import Floor, Identifier
from privacy.protocol.plans import Scope

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)

DEFAULT_MIN_RECALL: Final = MappingProxyType[Identifier, float](
    {
        "account_number": 0.9,
        "age": 0.6,
        "date_time": 0.9,
        "device_id": 0.9,
        "email_address": 0.95,
        "fax_number": 0.9,
        "health_plan_id": 0.9,
        "id_number": 0.85,
        "ip_address": 0.9,
        "license_number": 0.9,
        "location": 0.8,
        "medical_record_number": 0.9,
        "organization": 0.7,
        "person": 0.9,
        "phone_number": 0.9,
        "url": 0.9,
        "us_ssn": 0.95,
        "vehicle_id": 0.9,
    }
)
"""Floors that hold where a site sets none: what the default engine passes by far and rules without a model do not.
A site that chooses such an engine says so with floors of its own."""


class PolicySection(BaseModel):
    """What the site allows, whatever a plan asks."""

    model_config = STRICT
    unit: Unit = Field(description="privacy unit: patient (all notes of one patient together) or record")
    epsilon_limit: float = Field(
        gt=0, le=1000, description="epsilon that all runs over this data may spend together; above 0, at most 1000"
    )
    delta: float = Field(
        gt=0, lt=0.1, description="delta at which epsilon is counted; above 0, below 0.1, well below 1 / units"
    )
    min_noise_multiplier: float = Field(
        0.65, ge=0, le=1000, description="least noise, standard deviation over max_grad_norm, of any step; 0 to 1000"
    )
    max_grad_norm: float = Field(
        10.0, gt=0, le=1e6, description="largest l2 bound of one unit's gradient that a plan may set; above 0"
    )
    max_update_clip_norm: float = Field(
        100.0, gt=0, le=1e6, description="largest l2 bound of the whole update that a plan may set; above 0"
    )
    max_sample_rate: float = Field(
        1.0, gt=0, le=1, description="largest probability with which a unit joins a step; above 0, at most 1"
    )
    max_weight: float = Field(
        1000.0,
        gt=0,
        le=1e6,
        description="largest absolute value of a number of a model that a plan may send, or a round may reach; with "
        "it no BERT up to 1024 hidden units leaves the range of 32-bit floats, where a sum that overflows would tell "
        "of single texts; above 0, at most 1000000",
    )
    max_rounds: int = Field(1000, ge=1, le=100_000, description="rounds that one run may plan; 1 to 100000")
    max_steps: int = Field(
        100_000, ge=1, le=100_000_000, description="steps that one run may plan, over all its rounds; 1 to 100000000"
    )
    max_seconds: float = Field(
        86_400.0,
        gt=0,
        le=31_536_000,
        description="seconds that the expected examples of one round may take, as measured on invented texts of the "
        "plan's longest length when a run opens; above 0, at most 31536000",
    )
    max_physical_batch: int = Field(
        4096, ge=1, le=4096, description="examples that a plan may have in memory at once; 1 to 4096"
    )
    min_cohort: int = Field(
        1, ge=1, le=10_000, description="sites that a round must ask, this one included; 1 to 10000"
    )
    max_evaluations: int = Field(
        10_000, ge=0, le=1_000_000, description="evaluations that one run may ask for; 0 to 1000000"
    )
    max_refusals: int = Field(
        1000,
        ge=1,
        le=1_000_000,
        description="refusals that are signed in one run; after them the site answers its plans no more; 1 to 1000000",
    )
    labels: tuple[tuple[str, ...], ...] = Field(
        (),
        max_length=1000,
        description="sets of labels that a task may have, in any order; none listed: any. A task without labels is "
        "always allowed",
    )
    answer_after_seconds: float = Field(
        0.0,
        ge=0,
        le=604_800,
        description="seconds after a message came in at which its answer leaves, never earlier, so that how long it "
        "took says nothing of the data; 0: as soon as it is made; 0 to 604800",
    )
    tasks: tuple[str, ...] = Field(
        ("classification",),
        min_length=1,
        description="tasks that may be trained: names of files in client/learning/tasks",
    )
    scopes: tuple[Scope, ...] = Field(
        ("head", "top", "lora", "bitfit", "full"), min_length=1, description="which parts of the model may be trained"
    )
    clipping: tuple[str, ...] = Field(
        ("bookkeeping", "hooks"),
        min_length=1,
        description="clipping methods that a plan may name: files in privacy/dp/clipping; ghost measures too short a "
        "row whose enormous terms cancel, so it is for coordinators whose models one trusts",
    )
    min_recall: dict[Identifier, Floor] = Field(
        default_factory=dict,
        validate_default=True,
        description="by identifier, the share of values in invented notes that the anonymizer must find before "
        "anything is trained; 0 to 1; one that is not named keeps its default, 0 asks for nothing; a plan can only "
        "raise it",
    )
    allow_non_private: bool = Field(False, description="whether a run without noise is answered at all")
    release_review_figures: bool = Field(
        False, description="whether `review-sample --release figures` may write the residual leak rate for others"
    )
    send_metrics: bool = Field(True, description="whether noised counts of the dev split are sent (and charged)")
    size_bucket: int = Field(
        ge=1,
        le=1 << 40,
        description="declared size in privacy units, rounded by the site so that it is no secret (a power of 2 is "
        "common); it weights the site's update and scales its gradients; at least 1",
    )

    @field_validator("min_recall")
    @classmethod
    def _with_defaults(cls, floors: dict[Identifier, float]) -> dict[Identifier, float]:
        return dict(sorted({**DEFAULT_MIN_RECALL, **floors}.items()))
