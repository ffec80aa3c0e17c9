# SPDX-License-Identifier: Apache-2.0
"""Sites are greeted with the run's opening, and say what they run on."""

from __future__ import annotations

from typing import Final

from privacy.protocol.kinds.site_ready import SiteReady
from privacy.protocol.messages import SiteHello
from privacy.protocol.phases import PhaseDefinition

PHASE: Final = PhaseDefinition(
    reply="site_hello",
    body=SiteHello,
    message_type="query",
    record=lambda site, envelope, body: SiteReady(site=site, envelope=envelope, hello=body),
)
