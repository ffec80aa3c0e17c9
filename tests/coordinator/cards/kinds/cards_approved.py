# SPDX-License-Identifier: Apache-2.0
"""A kind that exists in tests alone: people have looked at a round's cards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from privacy.protocol import law
from privacy.protocol.body import EntryBody
from privacy.protocol.kinds.cards_asked import Cards
from privacy.protocol.reasons import Fault

if TYPE_CHECKING:
    from privacy.protocol.entries import AuditEntry
    from privacy.protocol.run import Run


class CardsApproved(EntryBody):
    kind: Literal["cards_approved"] = "cards_approved"

    def faults(self, run: Run, entry: AuditEntry) -> Iterator[Fault]:
        call = run.open.get("call")
        if call is None or call.server_round != entry.server_round:
            yield Fault("there is nothing to approve")
        else:
            yield from law.all_accounted_for(call)

    def fold(self, run: Run, entry: AuditEntry) -> None:
        run.settle("call", entry.server_round)
        run.kept(Cards).approved.add(entry.server_round)

    def sentence(self, run: Run, entry: AuditEntry) -> str:
        return f"round {entry.server_round}: people approved the cards"
