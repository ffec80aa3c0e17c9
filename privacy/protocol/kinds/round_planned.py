# SPDX-License-Identifier: Apache-2.0
"""A round's training is planned: what a site is sent is this entry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from privacy.base.canonical import digest_of
from privacy.base.errors import ContractError
from privacy.base.identifiers import Digest
from privacy.protocol import law
from privacy.protocol.body import EntryBody
from privacy.protocol.encoding import check_fits
from privacy.protocol.plans import RoundPlan
from privacy.protocol.reasons import Fault, unless
from privacy.protocol.run import Request
from privacy.protocol.spending import overspent

if TYPE_CHECKING:
    from privacy.protocol.entries import AuditEntry
    from privacy.protocol.run import Run


class RoundPlanned(EntryBody):
    """A round's plan, in full. What a site is sent is this entry."""

    kind: Literal["round_planned"] = "round_planned"
    plan: RoundPlan

    def faults(self, run: Run, entry: AuditEntry) -> Iterator[Fault]:
        assert run.opened is not None
        plan, number, planned = self.plan, run.rounds_settled + 1, run.opened.planned_rounds
        yield from law.nothing_open(run)
        in_order = plan.server_round == entry.server_round == number
        yield from unless(in_order, f"the next round of this run is {number}")
        as_opened = plan.planned_rounds == planned and number <= plan.planned_rounds
        yield from unless(as_opened, f"the run was opened for {planned} rounds")
        yield from law.same_work(run, plan)
        yield from self._cohort_faults(run)
        yield from self._privacy_faults(run)
        anonymization = plan.anonymization.model_dump(mode="json") if plan.anonymization else None
        same = anonymization == run.opened.settings.get("anonymization")
        yield from unless(same, "the self-check is not the one the run opened with")
        update = run.opened.settings.get("update")
        momentum = update.get("server_momentum", "0") if isinstance(update, dict) else "0"
        same = momentum == (plan.server_momentum or "0")
        yield from unless(same, "the server's momentum is not that of the opening")

    def _cohort_faults(self, run: Run) -> Iterator[Fault]:
        plan = self.plan
        for site, member in plan.cohort.items():
            admitted = run.roster.get(site)
            trains = admitted is not None and admitted.role == "trainer" and site in run.hellos
            yield from unless(trains, f"{site} is in the cohort, but is no trainer that was ready")
            same = admitted is None or member.size_bucket == admitted.size_bucket
            yield from unless(same, f"the size bucket of {site} is not the one it was admitted with")
        total = sum(member.weight for member in plan.cohort.values())
        try:
            check_fits(max(total, 1), plan.update_clip_norm, plan.encoding.scale_log2)
        except ContractError as error:
            yield Fault(error.message)

    def _privacy_faults(self, run: Run) -> Iterator[Fault]:
        assert run.opened is not None
        private = self.plan.privacy
        same = (private.noise_multiplier if private else None) == run.opened.noise_multiplier
        yield from unless(same, "the noise multiplier is not the one the run opened with")
        if private is not None and (sentence := overspent(private, [private.event()] * self.plan.planned_rounds)):
            yield Fault(sentence)

    def fold(self, run: Run, entry: AuditEntry) -> None:
        plan, of_round = self.plan, run.round(entry.server_round)
        of_round.plan, of_round.updates = plan, {}
        cohort = tuple(sorted(plan.cohort))
        run.ask(Request("update", entry.server_round, entry.index, self.request_digest(), cohort))
        for site in cohort:
            run.spending.ask(site, plan.privacy.event() if plan.privacy else None)

    def sentence(self, run: Run, entry: AuditEntry) -> str:
        plan = self.plan
        return f"round {entry.server_round} of {plan.planned_rounds}: asked {len(plan.cohort)} sites to train"

    def headline(self, run: Run, entry: AuditEntry) -> str:
        return f"round {entry.server_round}: planned, logged and sent"

    def request_digest(self) -> Digest:
        return digest_of(self.plan)

    def check_version(self, version: int) -> None:
        if (self.plan.anonymization is not None) != (version >= 2):
            raise ValueError("a plan speaks of the self-check from version 2 on, and only there")
