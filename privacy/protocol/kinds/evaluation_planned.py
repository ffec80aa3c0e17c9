# SPDX-License-Identifier: Apache-2.0
"""A round's evaluation is planned: what a site is sent is this entry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from privacy.base.canonical import digest_of
from privacy.base.errors import ContractError
from privacy.base.identifiers import Digest
from privacy.protocol import law
from privacy.protocol.body import EntryBody
from privacy.protocol.plans import EvaluationPlan
from privacy.protocol.reasons import Fault, unless
from privacy.protocol.run import Request
from privacy.protocol.spending import counting_event

if TYPE_CHECKING:
    from privacy.protocol.entries import AuditEntry
    from privacy.protocol.run import Run


class EvaluationPlanned(EntryBody):
    """An evaluation's plan, in full. What a site is sent is this entry."""

    kind: Literal["evaluation_planned"] = "evaluation_planned"
    plan: EvaluationPlan

    def faults(self, run: Run, entry: AuditEntry) -> Iterator[Fault]:
        assert run.opened is not None
        plan, number = self.plan, entry.server_round
        yield from law.nothing_open(run)
        newest = plan.server_round == number == run.rounds_settled
        yield from unless(newest, "another round's model is the newest")
        again = number in run.rounds and run.rounds[number].evaluated is not None
        yield from unless(not again, f"round {number} was evaluated before")
        yield from law.same_work(run, plan)
        yield from unless(set(plan.sites) <= set(run.hellos), "a site is asked that was not ready")
        yield from unless(len(set(plan.sites)) == len(plan.sites), "a site is asked twice")
        same = plan.noise_multiplier == run.opened.evaluation_noise_multiplier
        yield from unless(same, "the counts' noise multiplier is not the one the run opened with")
        try:
            counting_event(plan)
        except ContractError as error:
            yield Fault(error.message)
        private = any(not law.has_public_data(run, site) for site in plan.sites)
        bare = plan.noise_multiplier is None and run.opened.noise_multiplier is not None
        yield from unless(not (bare and private), "counts without noise are asked of private data")

    def fold(self, run: Run, entry: AuditEntry) -> None:
        plan, of_round = self.plan, run.round(entry.server_round)
        of_round.evaluation, of_round.metrics = plan, {}
        run.ask(Request("evaluate", entry.server_round, entry.index, self.request_digest(), plan.sites))
        for site in plan.sites:
            run.spending.ask(site, law.counting_of(run, plan, site))

    def sentence(self, run: Run, entry: AuditEntry) -> str:
        return f"round {entry.server_round}: asked {len(self.plan.sites)} sites to evaluate"

    def headline(self, run: Run, entry: AuditEntry) -> None:
        return None

    def request_digest(self) -> Digest:
        return digest_of(self.plan)

    def check_version(self, version: int) -> None:
        if (self.plan.figures is not None) != (version >= 4):
            raise ValueError("an evaluation says which counts from version 4 on, and only there")
