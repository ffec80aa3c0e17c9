# SPDX-License-Identifier: Apache-2.0
"""What the log holds: one leaf is the canonical bytes of an AuditEntry, whose body is of one of the kinds in
privacy/protocol/kinds/.

No floats, no free text, no personal data. What a site says is embedded with its signed envelope, so that an auditor
who trusts nobody can check who said it. An entry of a kind or version that this code does not know is refused, never
skipped. The kinds that a run has always had are named here too, for who writes or reads them by name.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationInfo, WrapValidator, model_validator
from pydantic_core import to_json

from privacy.base.identifiers import RunId
from privacy.protocol.body import EntryBody
from privacy.protocol.kinds import body_of
from privacy.protocol.kinds.evaluation_planned import EvaluationPlanned
from privacy.protocol.kinds.metrics_received import MetricsReceived
from privacy.protocol.kinds.reply_refused import ReplyRefused
from privacy.protocol.kinds.round_aborted import RoundAborted
from privacy.protocol.kinds.round_aggregated import RoundAggregated
from privacy.protocol.kinds.round_evaluated import RoundEvaluated
from privacy.protocol.kinds.round_planned import RoundPlanned
from privacy.protocol.kinds.run_closed import RunClosed
from privacy.protocol.kinds.run_opened import RosterSite, RunOpened
from privacy.protocol.kinds.site_ready import SiteReady
from privacy.protocol.kinds.update_received import UpdateReceived

__all__ = [
    "AuditEntry",
    "EntryBody",
    "EvaluationPlanned",
    "MetricsReceived",
    "ReplyRefused",
    "RosterSite",
    "RoundAborted",
    "RoundAggregated",
    "RoundEvaluated",
    "RoundPlanned",
    "RunClosed",
    "RunOpened",
    "SiteReady",
    "UpdateReceived",
]


def _of_its_kind(value: object, _: object, info: ValidationInfo) -> EntryBody:
    """The body that `value` is, by the file that its `kind` names; strict, as the rest of the entry."""
    if isinstance(value, EntryBody):
        return value
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        raise ValueError("a body names its kind")
    if info.mode == "json":  # lists are tuples in JSON alone: pydantic hands us Python's values
        return body_of(kind).model_validate_json(to_json(value, inf_nan_mode="constants"))
    return body_of(kind).model_validate(value)


class AuditEntry(BaseModel):
    """One leaf of the log. `recorded_at` (milliseconds since 1970, UTC) informs; the order is by `index`.

    Version 4 is what is written. Version 1 is still read: it says nothing of the self-check of anonymization, which
    plans ask for and updates show from version 2 on (docs/adr/0013-self-check-in-the-log.md). So are version 2, which
    says nothing of the mechanism check (docs/adr/0019-mechanism-check-in-the-log.md), and version 3, whose envelopes
    name no recipient and whose runs have no outline (docs/adr/0028-bound-envelopes-and-the-outline.md).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    version: Literal[1, 2, 3, 4] = 4
    index: int = Field(ge=0)
    run_id: RunId
    server_round: int = Field(ge=0)
    recorded_at: int = Field(ge=0)
    body: Annotated[SerializeAsAny[EntryBody], WrapValidator(_of_its_kind)]

    @model_validator(mode="after")
    def _says_what_its_version_says(self) -> Self:
        self.body.check_version(self.version)
        return self
