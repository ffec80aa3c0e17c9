# SPDX-License-Identifier: Apache-2.0
"""Bound what one site can do to the model: the l2 norm of its whole update.

The bound holds in exact arithmetic, after rounding to float32, because the integers that follow from the update are
checked exactly (`privacy.update.quantize.check_bound`) and an honest site must never fail that check.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from privacy.base.errors import ContractError, UpdateNotFinite

# Squares of float32 are exact in float64, a dot over one chunk errs by less than 2^15 * 2^-53 of its value, fsum
# rounds once: the norm is known to a part in 2^37. Rounding to float32 adds a part in 2^24 at most, so this margin
# covers both.
CHUNK: Final = 1 << 15
NORM_MARGIN: Final = 1 - 2.0**-36
SCALE_MARGIN: Final = 1 - 2.0**-22
LEAST_BOUND: Final = 1e-30
"""Below it, float32 values are subnormal and their rounding is no longer relative."""


def l2_norm(vector: NDArray[np.float32]) -> float:
    """The l2 norm, in float64, to a part in 2^37. Raises UpdateNotFinite if any value is NaN or infinite."""
    squares = []
    for at in range(0, vector.size, CHUNK):
        piece = vector[at : at + CHUNK].astype(np.float64)
        squares.append(float(piece @ piece))
    total = math.fsum(squares) if all(map(math.isfinite, squares)) else math.inf
    if not math.isfinite(total):
        raise UpdateNotFinite
    return math.sqrt(total)


def clip(delta: NDArray[np.float32], l2_bound: float) -> NDArray[np.float32]:
    """Scale `delta` so that its l2 norm, over all arrays as one vector, is at most `l2_bound`.

    A shorter delta comes back unchanged (one within a part in 10^10 of the bound counts as longer). The result's
    sensitivity to one site is `l2_bound`, in exact arithmetic. Clipping twice is clipping once.
    Raises UpdateNotFinite if any value is NaN or infinite: a site must not send it, nor do we repair it.
    """
    if not LEAST_BOUND <= l2_bound < math.inf:
        raise ContractError(f"an update's l2 bound must be at least {LEAST_BOUND} and finite")
    norm = l2_norm(delta)
    if norm <= l2_bound * NORM_MARGIN:
        return delta
    scale = l2_bound * SCALE_MARGIN / norm
    clipped = np.empty_like(delta)
    for at in range(0, delta.size, CHUNK):
        clipped[at : at + CHUNK] = delta[at : at + CHUNK].astype(np.float64) * scale
    return clipped
