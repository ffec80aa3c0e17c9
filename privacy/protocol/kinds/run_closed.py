# SPDX-License-Identifier: Apache-2.0
"""A run's end: the last entry of every run that has one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from privacy.base.identifiers import Digest
from privacy.protocol import law
from privacy.protocol.body import EntryBody
from privacy.protocol.reasons import Fault, unless

if TYPE_CHECKING:
    from privacy.protocol.entries import AuditEntry
    from privacy.protocol.run import Run


class RunClosed(EntryBody):
    """The run's end."""

    in_a_round: ClassVar[bool] = False
    kind: Literal["run_closed"] = "run_closed"
    outcome: Literal["done", "stopped", "early"] = Field(
        description="early: the figures stopped rising (rounds.patience); stopped: too few sites were left"
    )
    rounds_aggregated: int = Field(ge=0)
    final_model: Digest

    def faults(self, run: Run, entry: AuditEntry) -> Iterator[Fault]:
        assert run.opened is not None
        yield from law.nothing_open(run)
        same = self.rounds_aggregated == run.rounds_aggregated
        yield from unless(same, f"{run.rounds_aggregated} rounds were aggregated")
        chosen = run.selection.kept(run.model_digest)
        yield from unless(self.final_model == chosen, "the final model is not the one that the run's settings keep")
        done = run.rounds_settled == run.opened.planned_rounds
        yield from unless(done or self.outcome != "done", "the run is called done before its last round")
        early = self.outcome != "early" or run.selection.is_over
        yield from unless(early, "the run was ended early, though its figures still rose")

    def fold(self, run: Run, entry: AuditEntry) -> None:
        run.closed, run.closed_at = self, entry.recorded_at

    def sentence(self, run: Run, entry: AuditEntry) -> str:
        model = self.final_model[:12]
        return f"run {entry.run_id} {self.outcome}: {self.rounds_aggregated} rounds, model {model}"

    def headline(self, run: Run, entry: AuditEntry) -> None:
        return None
