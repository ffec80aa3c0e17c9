# SPDX-License-Identifier: Apache-2.0
"""A site's noised counts came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from privacy.base.identifiers import SiteId
from privacy.protocol import counts, law
from privacy.protocol.body import EntryBody
from privacy.protocol.messages import Envelope, SiteMetrics
from privacy.protocol.reasons import Fault, unless
from privacy.protocol.spending import ClaimedRelease

if TYPE_CHECKING:
    from privacy.protocol.entries import AuditEntry
    from privacy.protocol.run import Run


class MetricsReceived(EntryBody):
    """A site's noised counts."""

    kind: Literal["metrics_received"] = "metrics_received"
    site: SiteId
    envelope: Envelope
    metrics: SiteMetrics

    def faults(self, run: Run, entry: AuditEntry) -> Iterator[Fault]:
        number, site, metrics = entry.server_round, self.site, self.metrics
        request = run.requested("evaluate", number, site)
        plan = run.evaluation_plan(number)
        if request is None or plan is None or plan.server_round != number:
            yield Fault(f"no plan asked {site} for metrics of round {number}")
            return
        yield from unless(not request.has_of(site), f"{site} answered this evaluation before")
        expected = law.expected("site_metrics", "evaluate", site, run, number)
        yield from law.envelope_faults(run, expected, self.envelope, metrics)
        yield from unless(metrics.plan_digest == request.digest, "the metrics answer another plan")
        public, admitted = law.has_public_data(run, site), run.roster.get(site)
        yield from counts.faults(metrics, plan, admitted.size_bucket if admitted else 1, public=public)
        release = ClaimedRelease(law.counting_of(run, plan, site), metrics.spent)
        yield from run.spending.faults(site, release, plan.unit, plan.target_delta)

    def fold(self, run: Run, entry: AuditEntry) -> None:
        run.round(entry.server_round).metrics[self.site] = self.metrics
        run.answer("evaluate", self.site, self.metrics.seen_tree_size)
        if (plan := run.evaluation_plan(entry.server_round)) is not None:
            run.spending.take(self.site, ClaimedRelease(law.counting_of(run, plan, self.site), self.metrics.spent))

    def sentence(self, run: Run, entry: AuditEntry) -> str:
        return f"round {entry.server_round}: {self.site} sent noised counts"

    def headline(self, run: Run, entry: AuditEntry) -> None:
        return None

    def check_version(self, version: int) -> None:
        law.check_bound(self.envelope, version)
        new = version >= 4
        if (self.metrics.correct is not None) != new or (self.metrics.incorrect is not None) != new:
            raise ValueError("counts of right and wrong are there from version 4 on, and only there")
