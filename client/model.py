# SPDX-License-Identifier: Apache-2.0
"""The shared BERT: which part of it is trained (head, top, lora, full), and the part below, which stays frozen.

A `SharedBert` is two stacks: `lower`, frozen, whose activations are computed once (client.features), and `network`,
which takes them and holds every trainable array. The head reads the masked mean over the word pieces. What a scope
trains, in the order in which the arrays travel:

    head   the classifier
    top    the top `top_layers` transformer layers, then the classifier
    lora   B of B(Ax)·alpha/rank on query and value of the top `top_layers` layers (0: all), then the classifier;
           A is fixed by the public seed, so that averages of B are exact (Sun et al., FFA-LoRA, arXiv 2403.12313)
    full   embeddings, all layers, the classifier

At the start the classifier's weight is small and random under the public seed, its bias and every B are zero.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertEmbeddings, BertLayer

from client.pretrained import Pretrained
from privacy.errors import ContractError, SettingsError
from privacy.exchange.plans import TrainingPlan
from privacy.randomness import PublicSeed

Entry = Literal["pooled", "hidden", "tokens"]
"""What `network` takes: the masked mean (B, H), the hidden states of its first layer (B, T, H), or token ids (B, T)."""

HEAD: Final = "classifier"
HEAD_STD: Final = 0.02  # BERT's own initializer_range
Batch = Mapping[str, Tensor]


class LoraLinear(nn.Module):
    """A frozen projection plus B(Ax)·alpha/rank; only B is trained."""

    def __init__(self, base_layer: nn.Linear, rank: int, alpha: int) -> None:
        super().__init__()
        self.base_layer = base_layer.requires_grad_(False)
        self.lora_A = nn.Linear(base_layer.in_features, rank, bias=False).requires_grad_(False)
        self.lora_B = nn.Linear(rank, base_layer.out_features, bias=False)
        self.scale = alpha / rank

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.base_layer(x) + self.lora_B(self.lora_A(x)) * self.scale
        return result


class Stack(nn.Module):
    """Some layers of a BERT, under the names that they have in the whole, with or without the embeddings below them."""

    def __init__(self, config: BertConfig, layers: range, *, embeddings: bool) -> None:
        super().__init__()
        self.embeddings = BertEmbeddings(config) if embeddings else None
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleDict({str(index): BertLayer(config, layer_idx=index) for index in layers})

    def hidden(self, batch: Batch) -> Tensor:
        """Hidden states above the last layer, (B, T, H). Takes "mask" and either "hidden" or the ids."""
        if self.embeddings is None:
            states = batch["hidden"]
        else:
            # position ids and token types come as (B, T): broadcast ones have no per-example gradients
            states = self.embeddings(
                input_ids=batch["input_ids"],
                token_type_ids=batch["token_type_ids"],
                position_ids=batch["position_ids"],
            )
        mask = additive_mask(batch["mask"], states.dtype)
        for layer in self.encoder.layer.values():  # type: ignore[operator,union-attr]
            states = layer(states, mask)
        return states


class Network(Stack):
    """The upper stack and the head: a batch to logits (B, outputs)."""

    def __init__(self, config: BertConfig, layers: range, *, embeddings: bool, outputs: int, dropout: float) -> None:
        super().__init__(config, layers, embeddings=embeddings)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(config.hidden_size, outputs)

    def forward(self, batch: Batch) -> Tensor:
        pooled = batch["pooled"] if "pooled" in batch else masked_mean(self.hidden(batch), batch["mask"])
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits


def additive_mask(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, T) booleans as (B, 1, 1, T): 0 where a word piece is, the least finite number where padding is."""
    return (~mask[:, None, None, :]).to(dtype) * torch.finfo(dtype).min


def masked_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """The mean over the word pieces, (B, T, H) to (B, H). Padding has no part in it."""
    kept = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * kept).sum(1) / kept.sum(1)


@dataclass(frozen=True, eq=False)
class SharedBert:
    """The model of one site: `lower` is frozen and in eval mode (None: nothing lies below), `network` is trained."""

    network: Network
    lower: Stack | None
    entry: Entry
    device: torch.device
    hidden_size: int


def build(
    pretrained: Pretrained, training: TrainingPlan, outputs: int, public_seed: PublicSeed, device: torch.device
) -> SharedBert:
    """The model of a plan with `outputs` numbers an example, at its start. `public_seed` is that of the run.

    Raises ContractError if the scope asks for layers or ranks that the model lacks, SettingsError if the pretrained
    file lacks an array.
    """
    config, count = pretrained.config, int(pretrained.config.num_hidden_layers)
    first = first_layer(training, count)
    from_embeddings = first == 0 and training.scope != "head"
    dropping = copy.deepcopy(config)
    dropping.hidden_dropout_prob = dropping.attention_probs_dropout_prob = float(training.dropout)
    with torch.device("meta"):
        network = Network(
            dropping,
            range(first, count),
            embeddings=from_embeddings,
            outputs=outputs,
            dropout=float(training.dropout),
        )
        lower = None if from_embeddings else Stack(config, range(first), embeddings=True)
    network.requires_grad_(training.scope in ("top", "full"))
    _fill(network, pretrained)
    if network.embeddings is not None and training.scope != "full":
        network.embeddings.requires_grad_(False)
        network.embeddings.dropout.p = 0.0  # what is frozen is the same in every pass
    if training.scope == "lora":
        _adapt(network, training, public_seed)
    _start_head(network, public_seed)
    if lower is not None:
        lower.requires_grad_(False)
        _fill(lower, pretrained)
        lower.eval().to(device)
    entry: Entry = "pooled" if training.scope == "head" else "tokens" if from_embeddings else "hidden"
    return SharedBert(network.to(device), lower, entry, device, int(config.hidden_size))


def first_layer(training: TrainingPlan, layers: int) -> int:
    """The lowest transformer layer with a trained array, counted from 0 at the bottom; `layers` if there is none."""
    if training.scope == "head":
        return layers
    if training.scope == "full":
        return 0
    wanted = layers if training.scope == "lora" and training.top_layers == 0 else training.top_layers
    if not 1 <= wanted <= layers:
        raise ContractError(f"the plan trains {wanted} layers of a model that has {layers}")
    if training.scope == "lora" and (training.lora_rank < 1 or training.lora_alpha < 1):
        raise ContractError("the scope lora needs a rank and an alpha of at least 1")
    return layers - wanted


def trainable(network: nn.Module) -> dict[str, nn.Parameter]:
    """The trained arrays by name, in the order in which they travel."""
    return {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}


def trainable_arrays(network: nn.Module) -> dict[str, NDArray[np.float32]]:
    """Copies of the trained arrays, float32, in the order in which they travel."""
    return {name: parameter.detach().cpu().numpy().copy() for name, parameter in trainable(network).items()}


def load_arrays(network: nn.Module, arrays: Mapping[str, NDArray[np.float32]]) -> None:
    """Set the trained arrays. Raises ContractError("wrong_shape"), before any change, unless they fit exactly."""
    parameters = trainable(network)
    fits = set(arrays) == set(parameters) and all(
        array.dtype == np.float32 and array.shape == tuple(parameters[name].shape) for name, array in arrays.items()
    )
    if not fits:
        raise ContractError("these arrays are not the model's trained arrays", reason="wrong_shape")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.from_numpy(np.array(arrays[name])))


def _fill(stack: Stack, pretrained: Pretrained) -> None:
    """Put the pretrained tensors in: copies where trained, the shared ones where frozen. The head stays for later."""
    for name, parameter in list(stack.named_parameters()):
        if name.startswith(f"{HEAD}."):
            continue
        tensor = pretrained.tensors.get(name)
        if tensor is None or tensor.shape != parameter.shape:
            raise SettingsError(
                f"the pretrained model lacks {name} of shape {tuple(parameter.shape)}",
                next_step="use a BERT encoder whose config.json and model.safetensors belong together",
            )
        owner, _, leaf = name.rpartition(".")
        value = tensor.clone() if parameter.requires_grad else tensor
        setattr(stack.get_submodule(owner), leaf, nn.Parameter(value, requires_grad=parameter.requires_grad))
    if stack.embeddings is not None:  # buffers that no pass reads, because the ids are always given
        shape = stack.embeddings.position_ids.shape
        stack.embeddings.position_ids = torch.arange(shape[-1]).expand(shape).clone()
        stack.embeddings.token_type_ids = torch.zeros(shape, dtype=torch.long)


def _uniform(seed: PublicSeed, shape: tuple[int, ...], std: float) -> Tensor:
    """Uniform numbers with standard deviation `std`: only exact float64 arithmetic, so the same on every machine."""
    bound = std * float(np.sqrt(3.0))
    drawn = seed.numpy_generator().random(shape)
    return torch.from_numpy(((2.0 * drawn - 1.0) * bound).astype(np.float32))


def _start_head(network: Network, seed: PublicSeed) -> None:
    shape = tuple(network.classifier.weight.shape)
    network.classifier.weight = nn.Parameter(_uniform(seed.derive(f"init|{HEAD}.weight"), shape, HEAD_STD))
    network.classifier.bias = nn.Parameter(torch.zeros(shape[0]))


def _adapt(network: Network, training: TrainingPlan, seed: PublicSeed) -> None:
    """Wrap query and value of every layer here. A keeps its input's variance: its numbers have variance 1 / inputs."""
    for index, layer in network.encoder.layer.items():  # type: ignore[operator,union-attr]
        attention = layer.attention.self
        for projection in ("query", "value"):
            with torch.device("meta"):
                adapted = LoraLinear(getattr(attention, projection), training.lora_rank, training.lora_alpha)
            shape = tuple(adapted.lora_A.weight.shape)
            name = f"encoder.layer.{index}.attention.self.{projection}.lora_A.weight"
            fixed = _uniform(seed.derive(f"init|{name}"), shape, float(1 / np.sqrt(shape[1])))
            adapted.lora_A.weight = nn.Parameter(fixed, requires_grad=False)
            adapted.lora_B.weight = nn.Parameter(torch.zeros(tuple(adapted.lora_B.weight.shape)))
            setattr(attention, projection, adapted)
