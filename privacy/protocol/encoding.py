# SPDX-License-Identifier: Apache-2.0
"""How long a weighted update may be as integers: the bound that a plan sets, in exact numbers. The encoding itself:
privacy/update/quantize.py."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Final

from privacy.base.errors import ContractError

INT32_LIMIT: Final = 1 << 31


def overflow(message: str) -> ContractError:
    """What leaves 32 bits, as an error."""
    return ContractError(message, reason="encoding_overflow", next_step="lower scale_log2, weights or clip norm")


def scaled_bound(weight: int, l2_bound: Decimal | str, scale_log2: int) -> Fraction:
    """weight * l2_bound * 2^scale_log2. Raises ContractError for a bound that is not positive."""
    if not Decimal(l2_bound).is_finite() or Decimal(l2_bound) <= 0:
        raise ContractError("an update's l2 bound must be positive")
    return Fraction(Decimal(l2_bound)) * weight * (1 << scale_log2)


def check_fits(total_weight: int, l2_bound: Decimal | str, scale_log2: int) -> None:
    """Raises ContractError("encoding_overflow") unless total_weight * l2_bound * 2^scale_log2 < 2^31.

    Then no coordinate of the sum of all sites' clipped updates can leave 32 bits.
    """
    if scaled_bound(total_weight, l2_bound, scale_log2) >= INT32_LIMIT:
        raise overflow(f"weights of {total_weight} times a clip of {l2_bound} at 2^{scale_log2} leave 31 bits")
