# SPDX-License-Identifier: Apache-2.0
"""Clipping by Opacus' hooks, with norms in float64: slower, and closer to the truth for gradients of unlike size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from privacy.dp.clipping import LARGEST, LossClosure, beyond, check_losses, check_units, clip_factors
from privacy.dp.clipping.hooks import HooksClipper


class Float64Clipper(HooksClipper):
    """As HooksClipper, which see; only the norms are other."""

    def accumulate(
        self, losses: LossClosure, size: int, unit_sizes: Sequence[int] = (), largest: float = LARGEST
    ) -> tuple[Tensor, Tensor]:
        """See privacy.dp.clipping.Clipper."""
        check_units(unit_sizes, size, single=True)
        each = losses()
        check_losses(each, size)
        torch.autograd.backward(each.sum())
        gradients = self._take_gradients(size)
        squares = [gradient.flatten(1).double().square().sum(1) for gradient in gradients]
        norms = torch.stack(squares).sum(0).sqrt()
        if beyond(norms, largest):
            return each.detach(), norms.to(each.dtype)
        factors = clip_factors(norms, self._max_grad_norm)
        self._add([torch.tensordot(factors.to(gradient.dtype), gradient, dims=1) for gradient in gradients])
        return each.detach(), norms.to(each.dtype)


def attach(model: nn.Module, max_grad_norm: float) -> Float64Clipper:
    """See privacy.dp.clipping.attach."""
    return Float64Clipper(model, max_grad_norm)
