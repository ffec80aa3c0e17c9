# SPDX-License-Identifier: Apache-2.0
"""A real, tiny, random BERT with a masked-mean head, ragged invented rows, and the single-example ground truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from client.learning.model.attention import KEYED
from privacy.base.randomness import SecretSeed
from privacy.dp.dropout import keyed

LABELS = 3


class TinyBert(nn.Module):
    """Two layers, 32 wide; LoRA with a fixed A on the query projections when `lora`."""

    def __init__(self, dtype: torch.dtype, *, attention: str = "sdpa", dropout: float = 0.0) -> None:
        super().__init__()
        config = BertConfig(
            vocab_size=60,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=48,
            max_position_embeddings=40,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            attn_implementation=KEYED if dropout else attention,
        )
        self.bert = BertModel(config, add_pooling_layer=False)
        self.head = nn.Linear(32, LABELS)
        keyed(self)
        self.to(dtype)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        hidden = self.bert(**{key: value for key, value in batch.items() if key != "labels"}).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        return self.head((hidden * mask).sum(1) / mask.sum(1))


class LoraLinear(nn.Module):
    """A frozen projection plus B(A(x)): A fixed, only B trained."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Linear(base.in_features, 4, bias=False).to(base.weight.dtype).requires_grad_(False)
        self.b = nn.Linear(4, base.out_features, bias=False).to(base.weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.b(self.a(x))


SCOPES = ("head", "top_1", "lora", "full")


def set_scope(model: TinyBert, scope: str) -> None:
    if scope == "lora":
        model.requires_grad_(False)
        for layer in model.bert.encoder.layer:
            attention = layer.attention.self
            attention.query = LoraLinear(attention.query)
            attention.value = LoraLinear(attention.value)
        model.head.requires_grad_(True)
    elif scope != "full":
        model.requires_grad_(False)
        model.head.requires_grad_(True)
        if scope == "top_1":
            model.bert.encoder.layer[-1].requires_grad_(True)


class TokenRows:
    """Invented token ids of ragged length; meets privacy.dp.training.Examples."""

    def __init__(self, count: int, *, longest: int = 14, seed: int = 5) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.lengths = torch.randint(4, longest + 1, (count,), generator=generator).tolist()
        self.ids = [torch.randint(5, 60, (length,), generator=generator) for length in self.lengths]
        for ids in self.ids:
            ids[2] = ids[1]  # a repeated token: its embedding gradient must be summed inside the row
        self.labels = torch.randint(0, LABELS, (count,), generator=generator)

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        width = max(self.lengths[row] for row in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, : self.lengths[row]] = self.ids[row]
            mask[index, : self.lengths[row]] = 1
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "position_ids": torch.arange(width)[None].repeat(len(rows), 1),
            "token_type_ids": torch.zeros_like(ids),
            "labels": self.labels[list(rows)],
        }

    def losses(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(model(batch), batch["labels"], reduction="none")


def build(dtype: torch.dtype, scope: str, *, attention: str = "sdpa", dropout: float = 0.0) -> TinyBert:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        model = TinyBert(dtype, attention=attention, dropout=dropout)
        set_scope(model, scope)
        for parameter in model.parameters():  # no zero biases, no unit LayerNorm: nothing hides behind a constant
            parameter.data += 0.02 * torch.randn_like(parameter)
    return model.train()


def single_example_gradients(model: TinyBert, rows: TokenRows, picked: Sequence[int]) -> list[list[Tensor]]:
    """The ground truth: one backward pass a row; [row][parameter]."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [list(torch.autograd.grad(rows.losses(model, rows.batch([row])).sum(), parameters)) for row in picked]


@pytest.fixture
def tiny() -> SimpleNamespace:
    return SimpleNamespace(build=build, TokenRows=TokenRows, truth=single_example_gradients, scopes=SCOPES)


@pytest.fixture
def seed() -> SecretSeed:
    return SecretSeed(bytes(range(32)))
