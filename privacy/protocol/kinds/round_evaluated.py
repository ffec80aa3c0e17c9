# SPDX-License-Identifier: Apache-2.0
"""A round's model is scored: the federation's figures from the noised counts, by privacy.protocol.scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from privacy.base.canonical import DecimalString
from privacy.base.errors import ContractError
from privacy.base.identifiers import Digest, SiteId
from privacy.protocol import law
from privacy.protocol.body import EntryBody
from privacy.protocol.reasons import Fault, unless
from privacy.protocol.scores import federation_scores
from privacy.protocol.uncertainty import figure

if TYPE_CHECKING:
    from privacy.protocol.entries import AuditEntry
    from privacy.protocol.run import Run


class RoundEvaluated(EntryBody):
    """The federation's figures from the noised counts, by privacy.protocol.scores. None: nothing to count."""

    kind: Literal["round_evaluated"] = "round_evaluated"
    plan_digest: Digest
    sites: tuple[SiteId, ...]
    accuracy: DecimalString | None
    macro_f1: DecimalString | None

    def faults(self, run: Run, entry: AuditEntry) -> Iterator[Fault]:
        number = entry.server_round
        plan, request = run.evaluation_plan(number), run.open.get("evaluate")
        if plan is None or request is None or not number == plan.server_round == request.server_round:
            yield Fault(f"no evaluation of round {number} is open")
            return
        yield from law.all_accounted_for(request)
        yield from unless(self.plan_digest == request.digest, "another evaluation is scored")
        received = run.rounds[number].metrics
        yield from unless(self.sites == tuple(sorted(received)), "what is scored is not what was received")
        try:
            scores = federation_scores(plan.task.num_outputs, [received[site] for site in sorted(received)])
        except ContractError as error:
            yield Fault(error.message)
            return
        claimed = (self.accuracy, self.macro_f1)
        yield from unless(claimed == scores, f"accuracy and macro-F1 are {claimed}, the counts give {scores}")

    def fold(self, run: Run, entry: AuditEntry) -> None:
        run.round(entry.server_round).evaluated = self
        if run.settle("evaluate", entry.server_round) is not None:
            run.selection.take(self, run.model_digest)

    def sentence(self, run: Run, entry: AuditEntry) -> str:
        spread = run.round(entry.server_round).spread_of(self.sites)
        macro_f1 = f", macro-F1 {figure(self.macro_f1, spread.macro_f1)}" if self.macro_f1 is not None else ""
        noise = " (+/-: one standard deviation of the counts' noise)" if spread.accuracy else ""
        return f"round {entry.server_round}: accuracy {figure(self.accuracy, spread.accuracy)}{macro_f1}{noise}"

    def headline(self, run: Run, entry: AuditEntry) -> str | None:
        if self.accuracy is None:
            return None
        spread = run.round(entry.server_round).spread_of(self.sites).accuracy
        accuracy = f"accuracy {figure(self.accuracy, spread)}{' (noise)' if spread else ''}"
        return f"after round {entry.server_round}: {accuracy} on the sites' dev splits"
