# SPDX-License-Identifier: Apache-2.0
"""Who takes part in a round, and with which integer weight: from declared size buckets, never from a reply.

All ready sites take part, so selection adds no claim of amplification. The weights are as fine as the integers allow:
sum of weights * clip_norm * 2^scale_log2 stays below 2^31 (privacy.update.quantize refuses anything else).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from privacy.base.errors import SettingsError
from privacy.base.identifiers import SiteId
from privacy.protocol.plans import CohortMember

FINEST_TOTAL = 1000
"""More than this many weight units in all says nothing more about declared buckets."""


def cohort(
    buckets: Mapping[SiteId, int], *, rule: Literal["bucket", "uniform"], clip_norm: Decimal, scale_log2: int
) -> dict[SiteId, CohortMember]:
    """Members with weights in proportion to `buckets` (rounded to the nearest unit, at least 1), or 1 each.

    Raises SettingsError when even weights of 1 would not fit in 31 bits.
    """
    room = math.ceil(Decimal(1 << 31) / (clip_norm * (1 << scale_log2))) - 1
    if len(buckets) > room:
        raise SettingsError(
            f"{len(buckets)} sites at clip_norm {clip_norm} and scale_log2 {scale_log2} do not fit in 31 bits",
            next_step="lower update.scale_log2 by one for each doubling",
        )
    weights = dict.fromkeys(buckets, 1) if rule == "uniform" else _proportional(buckets, min(room, FINEST_TOTAL))
    return {site: CohortMember(weight=weights[site], size_bucket=buckets[site]) for site in sorted(buckets)}


def _proportional(buckets: Mapping[SiteId, int], total: int) -> dict[SiteId, int]:
    whole = sum(buckets.values())
    spare = total - len(buckets)
    return {site: 1 + (size * spare) // whole for site, size in buckets.items()}
