# SPDX-License-Identifier: Apache-2.0
"""Ghost clipping by Opacus: a backward pass for the norms, without weight gradients, and one for the clipped sum.

Per-example gradients of Linear and Embedding weights are never built: their norms come from Gram matrices over time
(Li et al., arXiv 2110.05679). Memory stays near that of plain training; the price is the second backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from opacus.grad_sample import GradSampleHooksFastGradientClipping
from torch import Tensor, nn

from privacy.dp.clipping import LARGEST, LossClosure, beyond, check_losses, check_units, clip_factors, unclippable
from privacy.dp.clipping._opacus import OpacusClipper


class GhostClipper(OpacusClipper):
    """Opacus' norm samplers on the modules; gradients of the second pass gather in `.grad`."""

    def __init__(self, model: nn.Module, max_grad_norm: float) -> None:
        hooks = GradSampleHooksFastGradientClipping(
            model, loss_reduction="sum", max_grad_norm=max_grad_norm, use_ghost_clipping=True
        )
        super().__init__(model, hooks, max_grad_norm)
        self._outputs: list[Tensor] = []
        self._taps = [
            module.register_forward_hook(self._tap)
            for module in model.modules()
            if any(parameter.requires_grad for parameter in module.parameters(recurse=False))
        ]

    def accumulate(
        self, losses: LossClosure, size: int, unit_sizes: Sequence[int] = (), largest: float = LARGEST
    ) -> tuple[Tensor, Tensor]:
        """See privacy.dp.clipping.Clipper."""
        check_units(unit_sizes, size, single=True)
        self._forget_norms()
        self._hooks.enable_hooks()
        each = losses()
        check_losses(each, size)
        outputs, self._outputs = self._outputs, []
        torch.autograd.grad(each.sum(), outputs, retain_graph=True, allow_unused=True)
        norms = self._norms(size)
        self._hooks.disable_hooks()
        if beyond(norms, largest):
            return each.detach(), norms
        factors = clip_factors(norms, self._max_grad_norm)
        torch.autograd.backward((factors.to(each.dtype) * each).sum())
        self._add(self._take_gradients())
        return each.detach(), norms

    def close(self) -> None:
        """See privacy.dp.clipping.Clipper."""
        for tap in self._taps:
            tap.remove()
        self._outputs = []
        super().close()

    def _tap(self, module: nn.Module, _inputs: tuple[object, ...], output: Tensor) -> None:
        """Keep what a trainable module returns: asked for these gradients alone, autograd makes no weight gradient."""
        if output.requires_grad:
            self._outputs.append(output)

    def _norms(self, size: int) -> Tensor:
        by_parameter: list[Tensor] = []
        for name, parameter in self._parameters:
            norm = getattr(parameter, "_norm_sample", None)
            if norm is None or norm.shape != (size,):
                raise unclippable(name)
            by_parameter.append(norm)
        norms: Tensor = torch.linalg.vector_norm(torch.stack(by_parameter), dim=0)
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
