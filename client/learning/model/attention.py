# SPDX-License-Identifier: Apache-2.0
"""Attention whose dropout belongs to a row: what transformers runs in place of its own where a plan asks for dropout.

Transformers' functions draw from torch's generator, one stream for the whole batch. Without dropout its own are used.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from privacy.dp.dropout import Dropout

KEYED: Final = "collab_keyed"


def keyed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **ignored: object,
) -> tuple[Tensor, Tensor]:
    """Scaled dot products over (B, heads, T, d), softmax, dropout by row, the weighted values as (B, T, heads, d).

    `dropout` is that of `module.dropout`, which draws.
    """
    weights = torch.matmul(query, key.transpose(2, 3)) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if attention_mask is not None:
        weights = weights + attention_mask
    weights = nn.functional.softmax(weights, dim=-1)
    drops = module.dropout
    assert isinstance(drops, Dropout)
    weights = drops.of_attention(weights)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), weights


AttentionInterface.register(KEYED, keyed_attention)
