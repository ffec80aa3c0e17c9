# SPDX-License-Identifier: Apache-2.0
"""The running sum of clipped gradients over the physical batches of a step: added up in float64.

Within a physical batch the products run in the parameters' own precision; from one batch to the next nothing more is
lost (ADR 25). A step of one physical batch costs no more than before: its sum is taken over as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Sums:
    """One sum a parameter. Where a device has no float64 (mps) it is kept on the CPU."""

    def __init__(self) -> None:
        self._held: dict[int, Tensor] = {}

    def of(self, parameter: Tensor) -> Tensor:
        """The parameter's sum; zeros of its own kind where nothing was added."""
        held = self._held.get(id(parameter))
        return torch.zeros_like(parameter) if held is None else held

    def add(self, parameter: Tensor, value: Tensor) -> None:
        """Add `value`, which nobody else uses, of the parameter's shape."""
        held = self._held.get(id(parameter))
        if held is None:
            self._held[id(parameter)] = value.to(parameter.dtype)
            return
        if held.dtype != torch.float64:
            held = self._held[id(parameter)] = _wide(held)
        held += value.to(held.device)

    def add_rows(self, parameter: Tensor, indices: Tensor, rows: Tensor) -> None:
        """Add `rows` (n, d) to the rows of the parameter's sum at `indices` (n,)."""
        held = self._held.get(id(parameter))
        if held is None:
            held = self._held[id(parameter)] = _wide(torch.zeros_like(parameter))
        elif held.dtype != torch.float64:
            held = self._held[id(parameter)] = _wide(held)
        held.index_add_(0, indices.to(held.device), _wide(rows))


def _wide(value: Tensor) -> Tensor:
    return (value.cpu() if value.device.type == "mps" else value).double()
