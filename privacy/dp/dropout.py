# SPDX-License-Identifier: Apache-2.0
"""Dropout whose draws belong to a row (privacy.dp.draws): what is dropped of a row depends on no other row.

The words of a row are laid out so that padding to the right changes none that matter: place after place, and for
attention probabilities in squares that grow (0, 0), then all pairs up to 1, up to 2, and so on.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from privacy.dp.draws import current


class Dropout(nn.Dropout):
    """nn.Dropout over (B, places, ...) or (B, d), from the current draws."""

    def forward(self, input: Tensor) -> Tensor:
        """Zero each value with probability p, and scale the others by 1 / (1 - p); outside of training the input."""
        if not self.training or self.p == 0:
            return input
        kept = _kept(len(input), input[0].numel() if len(input) else 0, self.p)
        return input * _scaled(kept.view(input.shape), self.p, input)

    def of_attention(self, weights: Tensor) -> Tensor:
        """The same for attention probabilities, (B, heads, T, T), each head and pair of places by itself."""
        if not self.training or self.p == 0:
            return weights
        rows, heads, steps, _ = weights.shape
        kept = _kept(rows, steps * steps * heads, self.p).view(rows, steps * steps, heads)
        chosen = kept[:, _squares(steps)].view(rows, steps, steps, heads).permute(0, 3, 1, 2)
        return weights * _scaled(chosen, self.p, weights)


def _kept(rows: int, count: int, p: float) -> Tensor:
    """Which of `count` values of each row stay: booleans (rows, count) on the CPU."""
    draws = current()
    words = draws.words(draws.next_site(), count)
    return torch.from_numpy(words >= np.uint32(min(round(p * 2**32), 2**32 - 1)))


def _scaled(kept: Tensor, p: float, like: Tensor) -> Tensor:
    return kept.to(like.device).to(like.dtype) * (1 / (1 - p) if p < 1 else 0.0)


def _squares(steps: int) -> Tensor:
    """Where in its row's words the pair (i, j) stands, (steps * steps,): m^2 + i if j = m else m^2 + m + 1 + j, with m
    the greater of the two."""
    at = torch.arange(steps)
    i, j = at[:, None], at[None, :]
    shell = torch.maximum(i, j)
    return torch.where(j == shell, shell * shell + i, shell * shell + shell + 1 + j).flatten()


def keyed(model: nn.Module) -> None:
    """Put a `Dropout` in the place of every nn.Dropout below `model`, with the same probability."""
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p))
