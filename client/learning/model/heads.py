# SPDX-License-Identifier: Apache-2.0
"""What stands on top of the shared BERT: how a task's head reads the hidden states, and the masked-language head.

    text        the masked mean over the word pieces, (B, H), to (B, outputs)
    pieces      each word piece, (B, T, H), to (B, T, outputs)
    marked      the means of two marked spans, (B, 2 H), to (B, outputs)
    vocabulary  the hidden word pieces, (B, P, H), to (B, P, vocabulary); its matrix is that of the word embeddings

A task has one of the first three, or "vocabulary", or both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import torch
from torch import Tensor, nn
from transformers import BertConfig

from client.learning.model.pretrained import Pretrained

HeadView = Literal["text", "pieces", "marked", "vocabulary"]
Batch = Mapping[str, Tensor]
"""What a model and its heads take, by name; the first dimension of each is the rows."""

Heads = Mapping[HeadView, int]
"""Outputs of each head; of "vocabulary" as many as the model has word pieces, whatever is said here."""

CLASSIFIER: Final = "classifier"
MASKED_LM: Final = "masked_lm"
_STORED: Final = {
    "dense.weight": "cls.predictions.transform.dense.weight",
    "dense.bias": "cls.predictions.transform.dense.bias",
    "LayerNorm.weight": "cls.predictions.transform.LayerNorm.weight",
    "LayerNorm.bias": "cls.predictions.transform.LayerNorm.bias",
    "decoder.bias": "cls.predictions.bias",
}
"""Where a pretrained BERT keeps its masked-language head, by our names."""


class MaskedLmHead(nn.Module):
    """BERT's own: a transform, then the decoder, whose matrix is the word embeddings' (Devlin et al., 1810.04805)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)

    def forward(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.decoder(self.LayerNorm(nn.functional.gelu(self.dense(hidden))))
        return logits


def classified(heads: Heads) -> tuple[HeadView, int] | None:
    """The view and the outputs of the classifier; None where there is only the masked-language head."""
    return next(((view, outputs) for view, outputs in heads.items() if view != "vocabulary"), None)


def classifier(heads: Heads, hidden_size: int) -> nn.Linear | None:
    """The linear head of a task, if it has one."""
    head = classified(heads)
    if head is None:
        return None
    view, outputs = head
    return nn.Linear(hidden_size * (2 if view == "marked" else 1), outputs)


def start_masked_lm(head: MaskedLmHead, pretrained: Pretrained, embeddings: nn.Parameter | None) -> None:
    """Give the head its numbers: the pretrained file's, or a transform that changes nothing and a bias of zero.

    The decoder's matrix is `embeddings` where these are trained, else the pretrained word embeddings, frozen.
    """
    stored = {name: pretrained.tensors.get(theirs) for name, theirs in _STORED.items()}
    whole = all(tensor is not None for tensor in stored.values())
    width = head.dense.in_features
    plain = {
        "dense.weight": torch.eye(width),
        "dense.bias": torch.zeros(width),
        "LayerNorm.weight": torch.ones(width),
        "LayerNorm.bias": torch.zeros(width),
        "decoder.bias": torch.zeros(head.decoder.out_features),
    }
    for name, value in plain.items():
        of_file = stored[name] if whole else None
        owner, _, leaf = name.rpartition(".")
        setattr(head.get_submodule(owner), leaf, nn.Parameter((value if of_file is None else of_file).clone()))
    table = pretrained.tensors["embeddings.word_embeddings.weight"]
    head.decoder.weight = nn.Parameter(table, requires_grad=False) if embeddings is None else embeddings


def mean_of_marks(hidden: Tensor, marks: Tensor) -> Tensor:
    """The means over two spans of word pieces, (B, T, H) and [start, end) of each (B, 2, 2), to (B, 2 H)."""
    at = torch.arange(hidden.shape[1], device=hidden.device)
    inside = ((at >= marks[..., :1]) & (at < marks[..., 1:])).to(hidden.dtype)
    return ((inside @ hidden) / inside.sum(-1, keepdim=True)).flatten(1)
