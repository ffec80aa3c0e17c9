# SPDX-License-Identifier: Apache-2.0
"""A clipped update becomes integers: q = trunc(delta * weight * 2^scale_log2), int32, little-endian on the wire.

Integers sum to the same bits in any order. Truncation never lengthens a vector, so the clip bound survives: what a
site was allowed is checked again, by the coordinator and by every auditor, in exact integers. All work is in chunks:
an update can be 90 MB.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from privacy.base.errors import ContractError, UpdateNotFinite
from privacy.protocol.encoding import INT32_LIMIT, check_fits, overflow, scaled_bound

__all__ = ["CHUNK", "check_bound", "check_fits", "decode", "encode", "quantize"]

CHUNK: Final = 1 << 15
INT_BYTES: Final = 4


def quantize(vector: NDArray[np.float32], weight: int, scale_log2: int) -> NDArray[np.int32]:
    """trunc(vector * weight * 2^scale_log2) as a new int32 vector, exactly: the product has at most 45 bits.

    Raises UpdateNotFinite or ContractError("encoding_overflow") before anything is cast: a cast would hide both.
    """
    if not 1 <= weight <= 1 << 20:
        raise ContractError("a weight is 1 to 2^20")
    factor = float(weight) * 2.0**scale_log2
    integers = np.empty(vector.size, np.int32)
    for at in range(0, vector.size, CHUNK):
        piece = vector[at : at + CHUNK].astype(np.float64) * factor
        if not np.isfinite(piece).all():
            raise UpdateNotFinite
        if np.abs(piece).max() >= INT32_LIMIT:
            raise overflow("a value of the update leaves 31 bits")
        integers[at : at + CHUNK] = np.trunc(piece)
    return integers


def _sum_of_squares(piece: NDArray[np.int32]) -> int:
    """Exact for any int32 and at most 2^15 values: each dot is a sum below 2^53 of integers."""
    high = (piece >> 16).astype(np.float64)
    low = (piece & 0xFFFF).astype(np.float64)
    return (int(high @ high) << 32) + (int(high @ low) << 17) + int(low @ low)


def check_bound(integers: NDArray[np.int32], weight: int, l2_bound: Decimal | str, scale_log2: int) -> None:
    """Raises ContractError("clip_exceeded") unless sum q_i^2 <= (weight * l2_bound * 2^scale_log2)^2, exactly."""
    allowed = scaled_bound(weight, l2_bound, scale_log2) ** 2
    total = 0
    for at in range(0, integers.size, CHUNK):
        total += _sum_of_squares(integers[at : at + CHUNK])
        if total > allowed:
            raise ContractError("an update is longer than its clip norm", reason="clip_exceeded")


def encode(integers: NDArray[np.int32]) -> bytes:
    """The payload: little-endian int32."""
    return integers.astype("<i4", copy=False).tobytes()


def decode(payload: bytes, size: int) -> NDArray[np.int32]:
    """The `size` values in `payload`, without a copy. Raises ContractError("wrong_shape") on any other length."""
    if len(payload) != INT_BYTES * size:
        raise ContractError(f"the payload must have {INT_BYTES * size} bytes", reason="wrong_shape")
    return np.frombuffer(payload, "<i4")
