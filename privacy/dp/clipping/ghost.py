# SPDX-License-Identifier: Apache-2.0
"""Ghost clipping by Opacus: one backward pass for the norms, a second one for the sum of the clipped gradients.

Per-example gradients of Linear and Embedding weights are never built: their norms come from Gram matrices over time
(Li et al., arXiv 2110.05679). Memory stays near that of plain training; the price is the second backward pass.
"""

from __future__ import annotations

import torch
from opacus.grad_sample import GradSampleHooksFastGradientClipping
from torch import Tensor, nn

from privacy.dp.clipping import Losses, check_losses, clip_factors, unclippable
from privacy.dp.clipping._opacus import OpacusClipper


class GhostClipper(OpacusClipper):
    """Opacus' norm samplers on the modules; gradients of the second pass gather in `.grad`."""

    def __init__(self, model: nn.Module, max_grad_norm: float) -> None:
        hooks = GradSampleHooksFastGradientClipping(
            model, loss_reduction="sum", max_grad_norm=max_grad_norm, use_ghost_clipping=True
        )
        super().__init__(model, hooks, max_grad_norm)

    def accumulate(self, losses: Losses, size: int) -> tuple[Tensor, Tensor]:
        """See privacy.dp.clipping.Clipper."""
        self._forget_norms()
        self._hooks.enable_hooks()
        each = losses()
        check_losses(each, size)
        torch.autograd.backward(each.sum(), retain_graph=True)
        norms = self._norms(size)
        self._take_gradients()
        self._hooks.disable_hooks()
        factors = clip_factors(norms, self._max_grad_norm)
        torch.autograd.backward((factors.to(each.dtype) * each).sum())
        self._add(self._take_gradients())
        return each.detach(), norms

    def _norms(self, size: int) -> Tensor:
        found: list[Tensor] = []
        for name, parameter in self._parameters:
            norm = getattr(parameter, "_norm_sample", None)
            if norm is None or norm.shape != (size,):
                raise unclippable(name)
            found.append(norm)
        norms: Tensor = torch.linalg.vector_norm(torch.stack(found), dim=0)
        return norms

    def _forget_norms(self) -> None:
        """A norm left over from another batch must never be taken for one of this batch."""
        for _, parameter in self._parameters:
            if hasattr(parameter, "_norm_sample"):
                del parameter._norm_sample

    def _take_gradients(self) -> list[Tensor]:
        taken: list[Tensor] = []
        for name, parameter in self._parameters:
            if parameter.grad is None:
                raise unclippable(name)
            taken.append(parameter.grad)
            parameter.grad = None
        return taken


def attach(model: nn.Module, max_grad_norm: float) -> GhostClipper:
    """See privacy.dp.clipping.attach."""
    return GhostClipper(model, max_grad_norm)
