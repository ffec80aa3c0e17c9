# SPDX-License-Identifier: Apache-2.0
"""What the log holds: one strict model per kind of entry. The canonical bytes of an AuditEntry are the Merkle leaf.

No floats, no free text, no personal data. What a site says is embedded with its signed envelope, so that an auditor
who trusts nobody can check who said it. An entry of a kind or version that this code does not know is refused,
never skipped.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from privacy.base.canonical import DecimalString
from privacy.base.identifiers import Digest, HexBytes, RunId, SiteId
from privacy.protocol.messages import Envelope, Printable, ReasonCode, Refusal, SiteHello, SiteMetrics, SiteUpdate
from privacy.protocol.outline import RunOutline
from privacy.protocol.plans import EvaluationPlan, RoundPlan

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class RosterSite(BaseModel):
    """A site as admitted: the keys and the declared facts that its replies are held against."""

    model_config = STRICT
    signing_key: HexBytes = Field(min_length=64, max_length=64)
    size_bucket: int = Field(ge=1)
    policy_digest: Digest
    role: Literal["trainer", "evaluator"]


class RunOpened(BaseModel):
    """The run's whole recipe. `settings` are the resolved settings in full, `roster` the admitted sites.

    `outline` is what every plan of the run must say again; it is there from version 4 on.
    """

    model_config = STRICT
    kind: Literal["run_opened"] = "run_opened"
    settings: dict[str, JsonValue] = Field(description="no floats: a real number is a decimal string")
    settings_digest: Digest
    roster: dict[SiteId, RosterSite]
    contract_digest: Digest
    initial_model_digest: Digest
    public_seed: HexBytes
    planned_rounds: int = Field(ge=1)
    noise_multiplier: DecimalString | None = Field(description="calibrated over all planned rounds; None: not private")
    evaluation_noise_multiplier: DecimalString | None = Field(
        description="over all planned evaluations; None: none or not private"
    )
    software: dict[str, Printable]
    simulated: bool
    outline: RunOutline | None = Field(default=None, exclude_if=lambda value: value is None)


class SiteReady(BaseModel):
    """A site answered the run's opening, with what it runs on."""

    model_config = STRICT
    kind: Literal["site_ready"] = "site_ready"
    site: SiteId
    envelope: Envelope
    hello: SiteHello


class RoundPlanned(BaseModel):
    """A round's plan, in full. What a site is sent is this entry."""

    model_config = STRICT
    kind: Literal["round_planned"] = "round_planned"
    plan: RoundPlan


class UpdateReceived(BaseModel):
    """A site's update, whose payload is stored under `update.payload_digest` before this entry is written."""

    model_config = STRICT
    kind: Literal["update_received"] = "update_received"
    site: SiteId
    envelope: Envelope
    update: SiteUpdate


class ReplyRefused(BaseModel):
    """A site that is not in this phase's result: it refused, did not answer in time, or its reply was refused."""

    model_config = STRICT
    kind: Literal["reply_refused"] = "reply_refused"
    site: SiteId
    phase: Literal["hello", "update", "evaluate"]
    plan_digest: Digest
    by: Literal["site", "coordinator"]
    reason: ReasonCode
    envelope: Envelope | None = Field(description="of the site's own refusal or of the refused reply, where one came")
    refusal: Refusal | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="what the site signed when it refused; there from version 4 on",
    )


class RoundAggregated(BaseModel):
    """The round's integer sum and the model that follows from it."""

    model_config = STRICT
    kind: Literal["round_aggregated"] = "round_aggregated"
    plan_digest: Digest
    included: tuple[SiteId, ...] = Field(min_length=1)
    total_weight: int = Field(ge=1)
    sum_digest: Digest = Field(description="SHA-256 of the sum as little-endian int64")
    model_in: Digest
    model_out: Digest


class RoundAborted(BaseModel):
    """Too few updates: the model stays as it is; what the sites spent stays spent."""

    model_config = STRICT
    kind: Literal["round_aborted"] = "round_aborted"
    plan_digest: Digest
    received: int = Field(ge=0)
    min_sites: int = Field(ge=1)


class EvaluationPlanned(BaseModel):
    """An evaluation's plan, in full. What a site is sent is this entry."""

    model_config = STRICT
    kind: Literal["evaluation_planned"] = "evaluation_planned"
    plan: EvaluationPlan


class MetricsReceived(BaseModel):
    """A site's noised counts."""

    model_config = STRICT
    kind: Literal["metrics_received"] = "metrics_received"
    site: SiteId
    envelope: Envelope
    metrics: SiteMetrics


class RoundEvaluated(BaseModel):
    """The federation's figures from the noised counts, by privacy.protocol.scores. None: nothing to count."""

    model_config = STRICT
    kind: Literal["round_evaluated"] = "round_evaluated"
    plan_digest: Digest
    sites: tuple[SiteId, ...]
    accuracy: DecimalString | None
    macro_f1: DecimalString | None


class RunClosed(BaseModel):
    """The run's end."""

    model_config = STRICT
    kind: Literal["run_closed"] = "run_closed"
    outcome: Literal["done", "stopped", "early"] = Field(
        description="early: the figures stopped rising (rounds.patience); stopped: too few sites were left"
    )
    rounds_aggregated: int = Field(ge=0)
    final_model: Digest


EntryBody = Annotated[
    RunOpened
    | SiteReady
    | RoundPlanned
    | UpdateReceived
    | ReplyRefused
    | RoundAggregated
    | RoundAborted
    | EvaluationPlanned
    | MetricsReceived
    | RoundEvaluated
    | RunClosed,
    Field(discriminator="kind"),
]


class AuditEntry(BaseModel):
    """One leaf of the log. `recorded_at` (milliseconds since 1970, UTC) informs; the order is by `index`.

    Version 4 is what is written. Version 1 is still read: it says nothing of the self-check of anonymization, which
    plans ask for and updates show from version 2 on (docs/adr/0013-self-check-in-the-log.md). So are version 2, which
    says nothing of the mechanism check (docs/adr/0019-mechanism-check-in-the-log.md), and version 3, whose envelopes
    name no recipient and whose runs have no outline (docs/adr/0028-bound-envelopes-and-the-outline.md).
    """

    model_config = STRICT
    version: Literal[1, 2, 3, 4] = 4
    index: int = Field(ge=0)
    run_id: RunId
    server_round: int = Field(ge=0)
    recorded_at: int = Field(ge=0)
    body: EntryBody

    @model_validator(mode="after")
    def _says_what_version_4_says(self) -> Self:
        body, new = self.body, self.version >= 4
        match body:
            case RunOpened():
                told = [body.outline is not None]
            case SiteReady() | UpdateReceived():
                told = [body.envelope.bound]
            case MetricsReceived(metrics=metrics):
                told = [body.envelope.bound, metrics.correct is not None, metrics.incorrect is not None]
            case EvaluationPlanned(plan=plan):
                told = [plan.figures is not None]
            case ReplyRefused():
                told = [] if body.envelope is None else [body.envelope.bound]
                told += [body.refusal is not None] if body.by == "site" else []
                if body.by == "coordinator" and body.refusal is not None:
                    raise ValueError("the coordinator's own refusal is signed by no site")
            case _:
                return self
        if any(one != new for one in told):
            raise ValueError("outline, bound envelopes, refusals and counts of right and wrong are of version 4")
        return self

    @model_validator(mode="after")
    def _says_what_its_version_says(self) -> Self:
        match self.body:
            case RoundPlanned(plan=plan):
                told = plan.anonymization is not None
            case UpdateReceived(update=update):
                told = update.self_check is not None
                if update.mechanism_check is not None and self.version < 3:
                    raise ValueError("an update speaks of the mechanism check from version 3 on")
            case _:
                return self
        if told != (self.version >= 2):
            raise ValueError("a plan and an update speak of the self-check from version 2 on, and only there")
        return self
