# SPDX-License-Identifier: Apache-2.0
"""A site has no part in a phase's result: it refused, did not answer in time, or its reply was refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from privacy.base.identifiers import Digest, SiteId
from privacy.protocol import law
from privacy.protocol.body import EntryBody
from privacy.protocol.messages import Envelope, Phase, Refusal
from privacy.protocol.reasons import Fault, ReasonCode, unless

if TYPE_CHECKING:
    from privacy.protocol.entries import AuditEntry
    from privacy.protocol.run import Request, Run

LEAVES: Final[Mapping[str, frozenset[str]]] = {
    "hello": frozenset({"budget_exceeded", "declined", "policy"}),
    "update": frozenset({"budget_exceeded", "mechanism_check_failed", "policy", "recall_below_floor"}),
}
"""A site that refused a phase for one of these is not asked again in this run, neither to train nor to count: its
answer would be the same, and counting would cost epsilon for a run that it has no part in."""


class ReplyRefused(EntryBody):
    """A site that is not in this phase's result: it refused, did not answer in time, or its reply was refused."""

    kind: Literal["reply_refused"] = "reply_refused"
    site: SiteId
    phase: Phase
    plan_digest: Digest
    by: Literal["site", "coordinator"]
    reason: ReasonCode
    envelope: Envelope | None = Field(description="of the site's own refusal or of the refused reply, where one came")
    refusal: Refusal | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="what the site signed when it refused; there from version 4 on",
    )

    def _request(self, run: Run) -> Request | None:
        request = run.open.get(self.phase)
        return request if request is not None and self.site in request.sites else None

    def faults(self, run: Run, entry: AuditEntry) -> Iterator[Fault]:
        request, site = self._request(run), self.site
        digest = request.digest if request is not None else ""
        known = request is not None and self.plan_digest == digest
        yield from unless(known, f"nothing asked {site} for this reply")
        if request is not None and self.phase != "hello":
            yield from unless(not request.has_of(site), f"{site} answered before")
        if self.by == "site":
            number = 0 if self.phase == "hello" else entry.server_round
            expected = law.expected("refusal", self.phase, site, run, number)
            yield from law.envelope_faults(run, expected, self.envelope, self.refusal)
        if self.refusal is not None:
            signed = (self.refusal.reason, self.refusal.plan_digest)
            yield from unless(signed == (self.reason, digest), f"the refusal is not what {site} signed")

    def fold(self, run: Run, entry: AuditEntry) -> None:
        if self.phase == "hello":
            run.round(entry.server_round).absent.add(self.site)
        elif (request := run.open.get(self.phase)) is not None:
            request.refused.add(self.site)
        if self.reason == "no_reply":
            run.silent.add((self.phase, entry.server_round))
        if self.by == "site" and self.reason in LEAVES.get(self.phase, ()):
            run.gone.add(self.site)
        if self.by == "site" and self.reason == "run_unknown":
            run.forgot.add(self.site)

    def sentence(self, run: Run, entry: AuditEntry) -> str:
        who = "refused" if self.by == "site" else "was refused"
        return f"round {entry.server_round}: {self.site} {who} ({self.phase}: {self.reason})"

    def headline(self, run: Run, entry: AuditEntry) -> str:
        return f"{self.site}: no {self.phase} in round {entry.server_round} ({self.reason})"

    def check_version(self, version: int) -> None:
        if self.envelope is not None:
            law.check_bound(self.envelope, version)
        if self.by == "site" and (self.refusal is not None) != (version >= 4):
            raise ValueError("what a site signed when it refused is there from version 4 on, and only there")
        if self.by == "coordinator" and self.refusal is not None:
            raise ValueError("the coordinator's own refusal is signed by no site")
