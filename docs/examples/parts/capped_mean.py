# SPDX-License-Identifier: Apache-2.0
"""The weighted mean of the updates, of which no coordinate moves the model by more than 1 in a round."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from privacy.aggregation import weighted_sum
from privacy.aggregation.weighted_sum import fold, start, sum_digest

__all__ = ["finish", "fold", "start", "sum_digest"]


def finish(
    model_in: NDArray[np.float32], total: NDArray[np.int64], total_weight: int, scale_log2: int
) -> NDArray[np.float32]:
    """The next model. The cap is an integer too, so that every auditor caps the same coordinates."""
    cap = total_weight << scale_log2
    return weighted_sum.finish(model_in, np.clip(total, -cap, cap), total_weight, scale_log2)
