# SPDX-License-Identifier: Apache-2.0
"""The shared BERT: which part of it is trained (the scope), and the part below, which stays frozen.

A `SharedBert` is two stacks: `frozen_encoder`, whose activations are computed once (client.learning.training.features),
and `trainable`, which takes them and holds every trained array. The heads are the task's (client.learning.model.heads).
What a scope trains, in the order in which the arrays travel:

    head    the heads
    top     the top `top_layers` transformer layers, then the heads
    lora    B of B(Ax)·alpha/rank on query and value of the top `top_layers` layers (0: all), then the heads;
            A is fixed by the public seed, so that averages of B are exact (Sun et al., FFA-LoRA, arXiv 2403.12313)
    bitfit  the biases of the top `top_layers` layers (0: all), then the heads (Ben Zaken et al., arXiv 2106.10199)
    full    embeddings, all layers, the heads

At the start the classifier's weight is small and random under the public seed, its bias and every B are zero. The
masked-language head's decoder is the word embeddings: frozen with them, trained with them under the scope full.
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

from client.learning.model.attention import KEYED
from client.learning.model.heads import (
    CLASSIFIER,
    MASKED_LM,
    Batch,
    Heads,
    HeadView,
    MaskedLmHead,
    classified,
    classifier,
    mean_of_marks,
    start_masked_lm,
)
from client.learning.model.pretrained import Pretrained
from privacy.base.errors import ContractError, SettingsError
from privacy.base.randomness import PublicSeed
from privacy.dp.dropout import keyed
from privacy.protocol.plans import TrainingPlan

Entry = Literal["pooled", "hidden", "tokens"]
"""What `trainable` takes: the masked mean (B, H), the hidden states below it (B, T, H), or token ids (B, T)."""

ADAPTED: Final = ("lora", "bitfit")
"""Scopes that change something small in each of some layers; with 0 layers named, in all."""

HEAD_STD: Final = 0.02  # BERT's own initializer_range


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


class TrainableStack(Stack):
    """The upper stack and the task's heads: a batch to the outputs of each head, by its view."""

    def __init__(self, config: BertConfig, layers: range, *, embeddings: bool, heads: Heads, dropout: float) -> None:
        super().__init__(config, layers, embeddings=embeddings)
        self.heads = dict(heads)
        self.dropout = nn.Dropout(dropout)
        self.classifier = classifier(heads, config.hidden_size)
        self.masked_lm = MaskedLmHead(config) if "vocabulary" in heads else None

    def forward(self, batch: Batch) -> dict[HeadView, Tensor]:
        """The outputs. "marked" takes "marks" (B, 2, 2) as well, "vocabulary" takes "hidden_at" (B, P)."""
        if "pooled" in batch:
            return self._classified("text", batch["pooled"], batch)
        hidden = self.hidden(batch)
        outputs: dict[HeadView, Tensor] = {}
        head = classified(self.heads)
        if head is not None:
            outputs = self._classified(head[0], hidden, batch)
        if self.masked_lm is not None:
            places = batch["hidden_at"][..., None].expand(-1, -1, hidden.shape[2])
            outputs["vocabulary"] = self.masked_lm(self.dropout(hidden.gather(1, places)))
        return outputs

    def _classified(self, view: HeadView, hidden: Tensor, batch: Batch) -> dict[HeadView, Tensor]:
        assert self.classifier is not None
        if view == "text" and hidden.ndim == 3:
            hidden = masked_mean(hidden, batch["mask"])
        elif view == "marked":
            hidden = mean_of_marks(hidden, batch["marks"])
        return {view: self.classifier(self.dropout(hidden))}

    def head_parameters(self) -> list[nn.Parameter]:
        """The heads' own parameters: those that learn at the head's rate. Tied ones belong to the embeddings."""
        below = set() if self.embeddings is None else {id(parameter) for parameter in self.embeddings.parameters()}
        heads = [head for head in (self.classifier, self.masked_lm) if head is not None]
        return [parameter for head in heads for parameter in head.parameters() if id(parameter) not in below]


def additive_mask(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, T) booleans as (B, 1, 1, T): 0 where a word piece is, the least finite number where padding is."""
    return (~mask[:, None, None, :]).to(dtype) * torch.finfo(dtype).min


def masked_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """The mean over the word pieces, (B, T, H) to (B, H). Padding has no part in it."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


@dataclass(frozen=True, eq=False)
class SharedBert:
    """The model of one site: `frozen_encoder` is in eval mode (None: nothing lies below), `trainable` is trained."""

    trainable: TrainableStack
    frozen_encoder: Stack | None
    entry: Entry
    device: torch.device
    hidden_size: int


def build(
    pretrained: Pretrained, training: TrainingPlan, heads: Heads, public_seed: PublicSeed, device: torch.device
) -> SharedBert:
    """The model of a plan with a task's `heads`, at its start. `public_seed` is that of the run.

    Raises ContractError if the scope asks for layers or ranks that the model lacks, SettingsError if the pretrained
    file lacks an array.
    """
    count = int(pretrained.config.num_hidden_layers)
    first = first_layer(training, count)
    from_embeddings = first == 0 and training.scope != "head"
    trainable = _trainable_stack(pretrained, training, heads, range(first, count), from_embeddings)
    if training.scope == "lora":
        _adapt(trainable, training, public_seed)
    _start_heads(trainable, pretrained, training, public_seed)
    frozen_encoder = None if from_embeddings else _frozen_encoder(pretrained, range(first)).to(device)
    pooled = training.scope == "head" and set(heads) == {"text"}
    entry: Entry = "pooled" if pooled else "tokens" if from_embeddings else "hidden"
    return SharedBert(trainable.to(device), frozen_encoder, entry, device, int(pretrained.config.hidden_size))


def _trainable_stack(
    pretrained: Pretrained, training: TrainingPlan, heads: Heads, layers: range, embeddings: bool
) -> TrainableStack:
    """The upper layers with their pretrained arrays, of which those are trained that the scope trains."""
    config, dropout = copy.deepcopy(pretrained.config), float(training.dropout)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout
    if dropout > 0:
        config._attn_implementation = KEYED
    with torch.device("meta"):
        stack = TrainableStack(config, layers, embeddings=embeddings, heads=heads, dropout=dropout)
    keyed(stack)
    stack.requires_grad_(training.scope in ("top", "full"))
    if training.scope == "bitfit":
        _train_biases(stack)
    _fill(stack, pretrained)
    if stack.embeddings is not None and training.scope != "full":
        stack.embeddings.requires_grad_(False)
        stack.embeddings.dropout.p = 0.0  # what is frozen is the same in every pass
    return stack


def _frozen_encoder(pretrained: Pretrained, layers: range) -> Stack:
    with torch.device("meta"):
        stack = Stack(pretrained.config, layers, embeddings=True)
    stack.requires_grad_(False)
    _fill(stack, pretrained)
    return stack.eval()


def first_layer(training: TrainingPlan, layers: int) -> int:
    """The lowest transformer layer with a trained array, counted from 0 at the bottom; `layers` if there is none."""
    if training.scope == "head":
        return layers
    if training.scope == "full":
        return 0
    wanted = layers if training.scope in ADAPTED and training.top_layers == 0 else training.top_layers
    if not 1 <= wanted <= layers:
        raise ContractError(f"the plan trains {wanted} layers of a model that has {layers}")
    if training.scope == "lora" and (training.lora_rank < 1 or training.lora_alpha < 1):
        raise ContractError("the scope lora needs a rank and an alpha of at least 1")
    return layers - wanted


def trainable_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """The trained arrays by name, in the order in which they travel."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def trainable_arrays(module: nn.Module) -> dict[str, NDArray[np.float32]]:
    """Copies of the trained arrays, float32, in the order in which they travel."""
    return {name: parameter.detach().cpu().numpy().copy() for name, parameter in trainable_parameters(module).items()}


def load_arrays(module: nn.Module, arrays: Mapping[str, NDArray[np.float32]]) -> None:
    """Set the trained arrays. Raises ContractError("wrong_shape"), before any change, unless they fit exactly."""
    parameters = trainable_parameters(module)
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
        if name.startswith((f"{CLASSIFIER}.", f"{MASKED_LM}.")):
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


def _start_heads(trainable: TrainableStack, pretrained: Pretrained, training: TrainingPlan, seed: PublicSeed) -> None:
    head = trainable.classifier
    if head is not None:
        shape = tuple(head.weight.shape)
        head.weight = nn.Parameter(_uniform(seed.derive(f"init|{CLASSIFIER}.weight"), shape, HEAD_STD))
        head.bias = nn.Parameter(torch.zeros(shape[0]))
    if trainable.masked_lm is not None:
        trained = training.scope == "full" and trainable.embeddings is not None
        table = trainable.embeddings.word_embeddings.weight if trainable.embeddings is not None and trained else None
        start_masked_lm(trainable.masked_lm, pretrained, table)


def _train_biases(trainable: TrainableStack) -> None:
    for name, parameter in trainable.encoder.named_parameters():
        parameter.requires_grad_(name.endswith("bias"))


def _adapt(trainable: TrainableStack, training: TrainingPlan, seed: PublicSeed) -> None:
    """Wrap query and value of every layer here. A keeps its input's variance: its numbers have variance 1 / inputs."""
    for index, layer in trainable.encoder.layer.items():  # type: ignore[operator,union-attr]
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
