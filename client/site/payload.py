# SPDX-License-Identifier: Apache-2.0
"""What of a trained model leaves the site: trained minus base -> clipped -> integers -> bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from privacy.base.identifiers import SiteId
from privacy.protocol.plans import RoundPlan
from privacy.update.clip import clip
from privacy.update.quantize import check_bound, encode, quantize


def encode_update(plan: RoundPlan, site: SiteId, trained: NDArray[np.float32], model_in: NDArray[np.float32]) -> bytes:
    """The int32 payload of one site for one round. Raises UpdateNotFinite, ContractError."""
    weight, scale = plan.cohort[site].weight, plan.encoding.scale_log2
    delta = clip(trained - model_in, float(plan.update_clip_norm))
    integers = quantize(delta, weight, scale)
    check_bound(integers, weight, plan.update_clip_norm, scale)
    return encode(integers)
