# SPDX-License-Identifier: Apache-2.0
"""Sites count what a model gets right, and send the counts with noise."""

from __future__ import annotations

from typing import Final

from privacy.protocol.kinds.metrics_received import MetricsReceived
from privacy.protocol.messages import SiteMetrics
from privacy.protocol.phases import PhaseDefinition

PHASE: Final = PhaseDefinition(
    reply="site_metrics",
    body=SiteMetrics,
    message_type="evaluate",
    record=lambda site, envelope, body: MetricsReceived(site=site, envelope=envelope, metrics=body),
)
