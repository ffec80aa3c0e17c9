# SPDX-License-Identifier: Apache-2.0
"""A phase that exists in tests alone: each site gets a card of its own as its payload, and sends one back."""

from __future__ import annotations

from typing import Final

from privacy.protocol.kinds.card_received import CardReceived, SiteCard
from privacy.protocol.phases import PhaseDefinition

PHASE: Final = PhaseDefinition(
    reply="site_deal",
    body=SiteCard,
    message_type="query",
    record=lambda site, envelope, body: CardReceived(site=site, phase="deal", envelope=envelope, reply=body),
)
