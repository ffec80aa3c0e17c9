# SPDX-License-Identifier: Apache-2.0
"""Clipping on per-example gradients that Opacus' hooks build in full: one backward pass, memory of batch x parameters.

Cheaper than ghost clipping where the trainable part is small (a head on pooled features), far dearer for whole layers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from opacus.grad_sample import GradSampleHooks
from torch import Tensor, nn

from privacy.dp.clipping import LARGEST, LossClosure, beyond, check_losses, check_units, clip_factors, unclippable
from privacy.dp.clipping._opacus import OpacusClipper


class HooksClipper(OpacusClipper):
    """Opacus' grad samplers on the modules; each parameter's `grad_sample` has shape (B, *parameter.shape)."""

    def __init__(self, model: nn.Module, max_grad_norm: float) -> None:
        super().__init__(model, GradSampleHooks(model, loss_reduction="sum"), max_grad_norm)

    def accumulate(
        self, losses: LossClosure, size: int, unit_sizes: Sequence[int] = (), largest: float = LARGEST
    ) -> tuple[Tensor, Tensor]:
        """See privacy.dp.clipping.Clipper."""
        check_units(unit_sizes, size, single=True)
        each = losses()
        check_losses(each, size)
        torch.autograd.backward(each.sum())
        gradients = self._take_gradients(size)
        norms = torch.stack([gradient.flatten(1).norm(2, dim=1) for gradient in gradients]).norm(2, dim=0)
        if beyond(norms, largest):
            return each.detach(), norms
        factors = clip_factors(norms, self._max_grad_norm)
        self._add([torch.tensordot(factors.to(gradient.dtype), gradient, dims=1) for gradient in gradients])
        return each.detach(), norms

    def _take_gradients(self, size: int) -> list[Tensor]:
        """The per-example gradients of this batch, taken off the parameters."""
        taken: list[Tensor] = []
        for name, parameter in self._parameters:
            gradient = getattr(parameter, "grad_sample", None)
            parameter.grad_sample = parameter.grad = None  # type: ignore[attr-defined]
            if not isinstance(gradient, Tensor) or len(gradient) != size:
                raise unclippable(name)
            taken.append(gradient)
        return taken


def attach(model: nn.Module, max_grad_norm: float) -> HooksClipper:
    """See privacy.dp.clipping.attach."""
    return HooksClipper(model, max_grad_norm)
