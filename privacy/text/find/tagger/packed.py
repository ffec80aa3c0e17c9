# SPDX-License-Identifier: Apache-2.0
"""A matrix laid out once for many products: oneDNN's kernels use the widest instructions of any maker's processor.

On a processor of AMD torch's own products (MKL) run at less than half of that. The two differ in the last bits alone,
which `decoding` allows for. Where torch was built without oneDNN the plain product is computed. Never for training.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

_ROWS: Final = 256
"""Rows that the layout is chosen for; it serves any number."""


class Packed:
    """x -> x W' + b, for `weight` W of shape (outs, ins) and `bias` b, in float32."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._weight, self._bias = weight.detach(), bias.detach()
        available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        ready = available and self._weight.dtype == torch.float32
        self._packed = torch.ops.mkldnn._reorder_linear_weight(self._weight, _ROWS) if ready else None

    def __call__(self, x: Tensor) -> Tensor:
        """`x` (..., ins) to (..., outs)."""
        if self._packed is None:
            return F.linear(x, self._weight, self._bias)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self._bias, "none", [], "")
        return product
