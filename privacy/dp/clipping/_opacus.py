# SPDX-License-Identifier: Apache-2.0
"""What the two Opacus methods share: the trainable parameters, the running sum, and leaving no trace on the model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from opacus.grad_sample import GradSampleHooks
from torch import Tensor, nn

from privacy.dp.clipping._sums import Sums

# Expected wherever the trainable part starts at a frozen input; the hook still sees the right gradient.
warnings.filterwarnings("ignore", message="Full backward hook is firing when gradients are computed")


class OpacusClipper:
    """Hooks on a model and the sum of what was clipped, one tensor per trainable parameter in the model's order."""

    def __init__(self, model: nn.Module, hooks: GradSampleHooks, max_grad_norm: float) -> None:
        self._model = model
        self._hooks = hooks
        self._max_grad_norm = max_grad_norm
        self._parameters = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self._sums = Sums()

    def clipped_sum(self) -> list[Tensor]:
        """See privacy.dp.clipping.Clipper."""
        sums, self._sums = self._sums, Sums()
        return [sums.of(parameter) for _, parameter in self._parameters]

    def close(self) -> None:
        """See privacy.dp.clipping.Clipper."""
        self._hooks.cleanup()
        for _, parameter in self._parameters:
            parameter.grad = None
        for module in self._model.modules():
            for attribute in ("activations", "max_batch_len"):
                if hasattr(module, attribute):
                    delattr(module, attribute)

    def _add(self, gradients: Sequence[Tensor]) -> None:
        for (_, parameter), gradient in zip(self._parameters, gradients, strict=True):
            self._sums.add(parameter, gradient)
