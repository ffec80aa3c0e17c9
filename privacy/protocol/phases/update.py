# SPDX-License-Identifier: Apache-2.0
"""Sites train to a round's plan, and send their updates as a payload."""

from __future__ import annotations

from typing import Final

from privacy.protocol.kinds.update_received import UpdateReceived
from privacy.protocol.messages import SiteUpdate
from privacy.protocol.phases import PhaseDefinition

PHASE: Final = PhaseDefinition(
    reply="site_update",
    body=SiteUpdate,
    message_type="train",
    record=lambda site, envelope, body: UpdateReceived(site=site, envelope=envelope, update=body),
)
