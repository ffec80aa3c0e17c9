# SPDX-License-Identifier: Apache-2.0
"""A site is ready: it answered the run's opening, with what it runs on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from privacy.base.identifiers import SiteId
from privacy.protocol import law
from privacy.protocol.body import EntryBody
from privacy.protocol.messages import Envelope, SiteHello
from privacy.protocol.reasons import Fault, unless

if TYPE_CHECKING:
    from privacy.protocol.entries import AuditEntry
    from privacy.protocol.run import Run


class SiteReady(EntryBody):
    """A site answered the run's opening, with what it runs on."""

    in_a_round: ClassVar[bool] = False
    kind: Literal["site_ready"] = "site_ready"
    site: SiteId
    envelope: Envelope
    hello: SiteHello

    def faults(self, run: Run, entry: AuditEntry) -> Iterator[Fault]:
        assert run.opened is not None
        hello, site = self.hello, self.site
        expected = law.expected("site_hello", "hello", site, run, 0)
        yield from law.envelope_faults(run, expected, self.envelope, hello)
        yield from unless(hello.context_digest == run.opening_digest, "the site answered another opening", "policy")
        same = hello.simulated == run.opened.simulated
        yield from unless(same, "a simulated site and a real run are mixed", "policy")
        admitted = run.roster.get(site)
        if admitted is not None:
            claimed = (hello.role, hello.size_bucket, hello.policy_digest)
            known = (admitted.role, admitted.size_bucket, admitted.policy_digest)
            yield from unless(claimed == known, f"{site} is not what it was admitted as", "policy")

    def fold(self, run: Run, entry: AuditEntry) -> None:
        run.hellos[self.site] = self.hello
        run.forgot.discard(self.site)
        run.answer("hello", self.site, self.hello.seen_tree_size)

    def sentence(self, run: Run, entry: AuditEntry) -> str:
        return f"{self.site} is ready ({self.hello.role}, {self.hello.device})"

    def headline(self, run: Run, entry: AuditEntry) -> None:
        return None

    def check_version(self, version: int) -> None:
        law.check_bound(self.envelope, version)
