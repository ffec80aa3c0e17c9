# SPDX-License-Identifier: Apache-2.0
"""A round's updates are summed: the integer sum and the model that follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from privacy.base.identifiers import Digest, SiteId
from privacy.protocol import law
from privacy.protocol.body import EntryBody
from privacy.protocol.reasons import Fault, unless

if TYPE_CHECKING:
    from privacy.protocol.entries import AuditEntry
    from privacy.protocol.run import Run


class RoundAggregated(EntryBody):
    """The round's integer sum and the model that follows from it."""

    kind: Literal["round_aggregated"] = "round_aggregated"
    plan_digest: Digest
    included: tuple[SiteId, ...] = Field(min_length=1)
    total_weight: int = Field(ge=1)
    sum_digest: Digest = Field(description="SHA-256 of the sum as little-endian int64")
    model_in: Digest
    model_out: Digest

    def faults(self, run: Run, entry: AuditEntry) -> Iterator[Fault]:
        number = entry.server_round
        plan, request = run.round_plan(number), run.open.get("update")
        if plan is None or request is None or not number == plan.server_round == request.server_round:
            yield Fault(f"round {number} is not open")
            return
        yield from law.all_accounted_for(request)
        yield from unless(self.plan_digest == request.digest, "another plan is aggregated")
        same = self.included == tuple(sorted(request.answered))
        yield from unless(same, "what is included is not what was received")
        enough = len(self.included) >= plan.min_sites
        yield from unless(enough, f"fewer than {plan.min_sites} updates were aggregated")
        weight = sum(plan.cohort[site].weight for site in self.included if site in plan.cohort)
        sentence = f"the included weights sum to {weight}, not {self.total_weight}"
        yield from unless(self.total_weight == weight, sentence)
        same = self.model_in == plan.model_digest
        yield from unless(same, "the aggregate starts from another model than the plan's")

    def fold(self, run: Run, entry: AuditEntry) -> None:
        run.round(entry.server_round).aggregated = self
        run.model_digest, run.model_before = self.model_out, self.model_in
        run.rounds_aggregated += run.settle("update", entry.server_round) is not None

    def sentence(self, run: Run, entry: AuditEntry) -> str:
        return f"round {entry.server_round}: new model from {len(self.included)} sites, {self.model_out[:12]}"

    def headline(self, run: Run, entry: AuditEntry) -> str:
        return f"round {entry.server_round}: {len(self.included)} updates folded into the next model"

    def blobs(self) -> tuple[Digest, ...]:
        return (self.model_out,)
