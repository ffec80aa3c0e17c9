# SPDX-License-Identifier: Apache-2.0
"""A kind that exists in tests alone: each site is dealt a card of its own, and is asked for a word on it after that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from privacy.base.identifiers import Digest, SiteId
from privacy.protocol import law
from privacy.protocol.body import EntryBody
from privacy.protocol.reasons import Fault, unless
from privacy.protocol.run import Request

if TYPE_CHECKING:
    from privacy.protocol.entries import AuditEntry
    from privacy.protocol.run import Run


@dataclass
class Cards:
    """What a run's law needs of its cards: those dealt, by round and site, and the rounds that people approved."""

    dealt: dict[int, dict[SiteId, Digest]] = field(default_factory=dict)
    approved: set[int] = field(default_factory=set)


class CardsAsked(EntryBody):
    """`cards`: in phase "deal" what each site gets; in "call" the cards that came back are spoken of."""

    kind: Literal["cards_asked"] = "cards_asked"
    phase: Literal["deal", "call"]
    cards: dict[SiteId, Digest]

    def faults(self, run: Run, entry: AuditEntry) -> Iterator[Fault]:
        if self.phase == "deal":
            yield from law.nothing_open(run)
        elif (deal := run.open.get("deal")) is None:
            yield Fault("no card was dealt")
        else:
            yield from law.all_accounted_for(deal)
            yield from unless(self.cards.keys() == deal.answered, "others are called than those who answered")

    def fold(self, run: Run, entry: AuditEntry) -> None:
        run.settle("deal", entry.server_round)
        run.kept(Cards).dealt.setdefault(entry.server_round, dict(self.cards))
        sites = tuple(sorted(self.cards))
        run.ask(Request(self.phase, entry.server_round, entry.index, self.request_digest(), sites))

    def sentence(self, run: Run, entry: AuditEntry) -> str:
        return f"round {entry.server_round}: {self.phase} of {len(self.cards)} cards"

    def blobs(self) -> tuple[Digest, ...]:
        return tuple(self.cards.values())
