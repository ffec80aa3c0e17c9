# SPDX-License-Identifier: Apache-2.0
"""Too few updates came: the model stays as it is; what the sites spent stays spent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from privacy.base.identifiers import Digest
from privacy.protocol import law
from privacy.protocol.body import EntryBody
from privacy.protocol.reasons import Fault, unless

if TYPE_CHECKING:
    from privacy.protocol.entries import AuditEntry
    from privacy.protocol.run import Run


class RoundAborted(EntryBody):
    """Too few updates: the model stays as it is; what the sites spent stays spent."""

    kind: Literal["round_aborted"] = "round_aborted"
    plan_digest: Digest
    received: int = Field(ge=0)
    min_sites: int = Field(ge=1)

    def faults(self, run: Run, entry: AuditEntry) -> Iterator[Fault]:
        number = entry.server_round
        plan, request = run.round_plan(number), run.open.get("update")
        if plan is None or request is None or not number == plan.server_round == request.server_round:
            yield Fault(f"round {number} is not open")
            return
        yield from law.all_accounted_for(request)
        yield from unless(self.plan_digest == request.digest, "another plan is aborted")
        received = len(request.answered)
        same = (self.received, self.min_sites) == (received, plan.min_sites)
        yield from unless(same, "the abort's figures are not those of the round")
        yield from unless(received < plan.min_sites, "the round was aborted though enough updates came")

    def fold(self, run: Run, entry: AuditEntry) -> None:
        run.round(entry.server_round).aborted = self
        run.rounds_aborted += run.settle("update", entry.server_round) is not None

    def sentence(self, run: Run, entry: AuditEntry) -> str:
        came = f"{self.received} of at least {self.min_sites} updates"
        return f"round {entry.server_round} aborted: {came}; the model stays"

    def headline(self, run: Run, entry: AuditEntry) -> None:
        return None
