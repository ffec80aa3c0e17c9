# SPDX-License-Identifier: Apache-2.0
"""A kind that exists in tests alone: a site's answer about its card, with a payload where a card was dealt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from privacy.base.identifiers import Digest, SiteId
from privacy.protocol import law, phases
from privacy.protocol.body import EntryBody
from privacy.protocol.kinds.cards_asked import Cards
from privacy.protocol.messages import Envelope
from privacy.protocol.reasons import Fault, unless

if TYPE_CHECKING:
    from privacy.protocol.entries import AuditEntry
    from privacy.protocol.run import Run


class SiteCard(BaseModel):
    """What a site says of its card; `returned`: the digest of its payload, where it sends one."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    card: Digest
    returned: Digest | None
    seen_tree_size: int


class CardReceived(EntryBody):
    kind: Literal["card_received"] = "card_received"
    site: SiteId
    phase: Literal["deal", "call"]
    envelope: Envelope
    reply: SiteCard

    def faults(self, run: Run, entry: AuditEntry) -> Iterator[Fault]:
        request = run.requested(self.phase, entry.server_round, self.site)
        if request is None or request.has_of(self.site):
            yield Fault(f"{self.site} was not asked, or answered before")
            return
        expected = law.expected(phases.definition_of(self.phase).reply, self.phase, self.site, run, entry.server_round)
        yield from law.envelope_faults(run, expected, self.envelope, self.reply)
        dealt = run.kept(Cards).dealt[entry.server_round][self.site]
        yield from unless(self.reply.card == dealt, f"{self.site} speaks of another's card", "policy")

    def fold(self, run: Run, entry: AuditEntry) -> None:
        run.answer(self.phase, self.site, self.reply.seen_tree_size)

    def sentence(self, run: Run, entry: AuditEntry) -> str:
        return f"round {entry.server_round}: {self.site} answered the {self.phase}"

    def blobs(self) -> tuple[Digest, ...]:
        return () if self.reply.returned is None else (self.reply.returned,)
