# SPDX-License-Identifier: Apache-2.0
"""The student: gated convolutions over the backbone's word embeddings, some sixth of the three layers' work.

It knows nothing of what stands farther than its reach (16 word pieces to each side), and learns from the larger
model's probabilities on invented text. Residual blocks with gated linear units: Dauphin et al. 2017; distillation:
Hinton et al. 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from privacy.text.find.tagger.encoding import SHAPES
from privacy.text.find.tagger.network import OUTPUTS, Backbone
from privacy.text.find.tagger.packed import Packed

MatrixProduct = Callable[[Tensor], Tensor]
MatrixProducts = tuple[MatrixProduct, Sequence[MatrixProduct], MatrixProduct]
"""The products with the matrices of `project`, of each gate, and of `head`."""

WIDTH: Final = 160
DILATIONS: Final = (1, 2, 4, 8, 1)


class Student(nn.Module):
    """The trainable part over the frozen word embeddings of `backbone`."""

    def __init__(self, backbone: Backbone, width: int = WIDTH) -> None:
        super().__init__()
        self._words = backbone.tensors["embeddings.word_embeddings.weight"]
        self.project = nn.Linear(self._words.shape[1], width)
        self.shape_embedding = nn.Parameter(torch.zeros(SHAPES, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in DILATIONS)
        self.gates = nn.ModuleList(nn.Linear(3 * width, 2 * width) for _ in DILATIONS)
        self.head = nn.Linear(width, OUTPUTS)
        self._packed: MatrixProducts | None = None

    def forward(self, ids: Tensor, shapes: Tensor, mask: Tensor) -> Tensor:
        """Logits of shape (rows, pieces, OUTPUTS)."""
        return self._logits((self.project, list(self.gates), self.head), ids, shapes, mask)

    def _logits(self, products: MatrixProducts, ids: Tensor, shapes: Tensor, mask: Tensor) -> Tensor:
        project, gates, head = products
        present = mask[:, :, None].to(torch.float32)
        hidden = (project(self._words[ids] * 4.0) + self.shape_embedding[shapes]) * present
        for norm, gate, dilation in zip(self.norms, gates, DILATIONS, strict=True):
            hidden = hidden + F.glu(gate(_neighbours(norm(hidden) * present, dilation)), dim=-1) * present
        return head(hidden)

    @torch.inference_mode()
    def probabilities(self, ids: Tensor, shapes: Tensor, mask: Tensor) -> Tensor:
        """Probabilities of shape (rows, pieces, OUTPUTS), with the matrices laid out once for all calls."""
        if self._packed is None:
            project, *gates, head = (Packed(m.weight, m.bias) for m in (self.project, *self.gates, self.head))
            self._packed = project, gates, head
        return self._logits(self._packed, ids, shapes, mask).softmax(-1)


def _neighbours(hidden: Tensor, distance: int) -> Tensor:
    """Each piece between the ones `distance` before and behind it: (rows, pieces, width) to (rows, pieces, 3 width)."""
    padded = F.pad(hidden, (0, 0, distance, distance))
    length = hidden.shape[1]
    return torch.cat((padded[:, :length], hidden, padded[:, 2 * distance :]), dim=-1)
