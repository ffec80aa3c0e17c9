# SPDX-License-Identifier: Apache-2.0
"""An optimizer that keeps what each step released: the noised, normalised gradient, before it moves the model.

It is what whoever sees every step of a training sees (a white-box adversary), and the way in which the self-tests and
the audit read the real training loop without a change to it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim import SGD


class RecordingSGD(SGD):
    """Plain SGD; `take` is given each step's released gradient as one float32 vector, in the model's order."""

    def __init__(
        self, parameters: list[nn.Parameter], learning_rate: float, take: Callable[[NDArray[np.float32]], None]
    ) -> None:
        super().__init__(parameters, lr=learning_rate)
        self._recorded, self._take = parameters, take

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Hand over the gradients, then step."""
        pieces = [parameter.grad for parameter in self._recorded if parameter.grad is not None]
        self._take(torch.cat([piece.detach().reshape(-1).float().cpu() for piece in pieces]).numpy())
        stepped: float | None = super().step(closure)
        return stepped
