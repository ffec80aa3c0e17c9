# SPDX-License-Identifier: Apache-2.0
"""The weighted mean of the updates, added to the model: model_in + float32(sum * 2^-scale_log2 / total_weight).

The weights are inside the integers already. All sums are of integers, so no order, thread or chunk changes a bit; the
last step is one multiplication by a power of two, one division and one addition per value (IEEE 754, no reduction).
McMahan et al. 2017, FederatedAveraging, with the weights of the plan instead of exact example counts.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from privacy.base.errors import ContractError
from privacy.base.identifiers import Digest, sha256
from privacy.update.delta import check_finite

CHUNK: Final = 1 << 16


def start(size: int) -> NDArray[np.int64]:
    """The empty sum."""
    return np.zeros(size, np.int64)


def fold(total: NDArray[np.int64], update: NDArray[np.int32]) -> None:
    """Add `update` into `total`, in place."""
    if update.dtype != np.int32 or total.dtype != np.int64 or update.shape != total.shape:
        raise ContractError(f"an update is {total.size} values of int32", reason="wrong_shape")
    np.add(total, update, out=total)


def finish(
    model_in: NDArray[np.float32], total: NDArray[np.int64], total_weight: int, scale_log2: int
) -> NDArray[np.float32]:
    """The next model. Raises UpdateNotFinite when it would hold NaN or infinity, ContractError on another shape."""
    if model_in.dtype != np.float32 or model_in.shape != total.shape or total_weight < 1:
        raise ContractError(f"the model is {total.size} values of float32", reason="wrong_shape")
    model_out = np.empty_like(model_in)
    scale = 2.0**-scale_log2
    for at in range(0, total.size, CHUNK):
        mean = total[at : at + CHUNK].astype(np.float64) * scale / total_weight
        model_out[at : at + CHUNK] = model_in[at : at + CHUNK] + mean.astype(np.float32)
    check_finite(model_out)
    return model_out


def sum_digest(total: NDArray[np.int64]) -> Digest:
    """SHA-256 of the sum as little-endian int64."""
    return sha256(total.astype("<i8", copy=False).data)
