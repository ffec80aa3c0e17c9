# SPDX-License-Identifier: Apache-2.0
"""A phase that exists in tests alone: each site is asked once more in the round, for a word on its card."""

from __future__ import annotations

from typing import Final

from privacy.protocol.kinds.card_received import CardReceived, SiteCard
from privacy.protocol.phases import PhaseDefinition

PHASE: Final = PhaseDefinition(
    reply="site_call",
    body=SiteCard,
    message_type="query",
    record=lambda site, envelope, body: CardReceived(site=site, phase="call", envelope=envelope, reply=body),
)
