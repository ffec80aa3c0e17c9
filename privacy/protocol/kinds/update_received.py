# SPDX-License-Identifier: Apache-2.0
"""A site's update came: its payload is stored before this entry is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from privacy.base.identifiers import Digest, SiteId
from privacy.protocol import law
from privacy.protocol.body import EntryBody
from privacy.protocol.messages import Envelope, SiteUpdate
from privacy.protocol.plans import RoundPlan
from privacy.protocol.reasons import Fault, unless
from privacy.protocol.spending import ClaimedRelease

if TYPE_CHECKING:
    from privacy.protocol.entries import AuditEntry
    from privacy.protocol.run import Run


class UpdateReceived(EntryBody):
    """A site's update, whose payload is stored under `update.payload_digest` before this entry is written."""

    kind: Literal["update_received"] = "update_received"
    site: SiteId
    envelope: Envelope
    update: SiteUpdate

    def _release(self, plan: RoundPlan) -> ClaimedRelease:
        return ClaimedRelease(plan.privacy.event() if plan.privacy else None, self.update.spent)

    def faults(self, run: Run, entry: AuditEntry) -> Iterator[Fault]:
        number, site, update = entry.server_round, self.site, self.update
        request = run.requested("update", number, site)
        plan = run.round_plan(number)
        if request is None or plan is None or plan.server_round != number:
            yield Fault(f"no plan asked {site} for an update of round {number}")
            return
        yield from unless(not request.has_of(site), f"{site} answered this round before")
        expected = law.expected("site_update", "update", site, run, number)
        yield from law.envelope_faults(run, expected, self.envelope, update)
        yield from unless(update.plan_digest == request.digest, "the update answers another plan")
        yield from unless(update.encoding == plan.encoding, "the update's encoding is not the plan's")
        yield from unless(update.num_steps == plan.num_steps, "the update's steps are not the plan's")
        delta = plan.privacy.target_delta if plan.privacy else ""
        yield from run.spending.faults(site, self._release(plan), plan.unit, delta)
        yield from run.self_checks.faults(plan, site, update, run.version)

    def fold(self, run: Run, entry: AuditEntry) -> None:
        run.round(entry.server_round).updates[self.site] = self.update
        run.answer("update", self.site, self.update.seen_tree_size)
        run.self_checks.take(self.site, self.update)
        if (plan := run.round_plan(entry.server_round)) is not None:
            run.spending.take(self.site, self._release(plan))

    def sentence(self, run: Run, entry: AuditEntry) -> str:
        spent = self.update.spent
        epsilon = f", epsilon {spent.epsilon} of this run spent (unit: {spent.unit})" if spent else ""
        return f"round {entry.server_round}: {self.site} sent an update{epsilon}"

    def headline(self, run: Run, entry: AuditEntry) -> None:
        return None

    def blobs(self) -> tuple[Digest, ...]:
        return (self.update.payload_digest,)

    def check_version(self, version: int) -> None:
        law.check_bound(self.envelope, version)
        if (self.update.self_check is not None) != (version >= 2):
            raise ValueError("an update speaks of the self-check from version 2 on, and only there")
        if self.update.mechanism_check is not None and version < 3:
            raise ValueError("an update speaks of the mechanism check from version 3 on")
