# SPDX-License-Identifier: Apache-2.0
"""Book-keeping clipping: one forward and one backward pass, then one weighted product a layer.

The backward pass is asked for the gradients of the layers' outputs alone, so that no weight gradient is made. Each
row's norm over all layers follows from inputs and output gradients (privacy.dp.clipping._layers), then each layer's
clipped sum is one product. Time and memory are near those of plain training. Source: Bu et al., arXiv 2210.00038.

A unit of several rows is one longer row to all that follows: its steps are those of its rows, one after the other, so
that Gram matrices hold the terms across notes and a built gradient is the sum over notes. One tie is known: an
Embedding's table that is a Linear's weight (the decoder of masked-language modelling).

The bound and rounding: a norm from Gram matrices loses digits where a row's parts cancel. Where more than CANCELLED of
it could be rounding, the row's norm is computed again from its gradients in float64, and RESIDUE of its uncancelled
length is added to it: what the product that is summed may round, which grows with what cancels and not with what is
left (ADR 25). A norm that is negligible beside the bound is not looked at again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from privacy.base.errors import ContractError
from privacy.dp.clipping import LARGEST, LossClosure, beyond, check_losses, check_units, clip_factors, unclippable
from privacy.dp.clipping._gram import Grams
from privacy.dp.clipping._layers import LayerRule, OfEmbedding, OfLinear, OfTied, RowGradients, of_units, rule
from privacy.dp.clipping._sums import Sums

CANCELLED = 1e-4
"""The share of a squared norm that rounding may make up before the norm is computed again in float64."""

ROUNDING = 0.25
"""Rounding of a squared norm from Gram matrices, in epsilons of what it were uncancelled; up to .014 was seen."""


RESIDUE = 2.0**-9
"""The share of its uncancelled length that a cancelling row is at least clipped to: its product in float32 is off by
some 2^-24 times the root of its steps of that length, so by less than 1e-3 of the bound."""

NEGLIGIBLE = 1e-3
"""The share of the bound below which a norm need not be exact."""


class BookkeepingClipper:
    """Forward hooks on the trainable modules; the running sum, one tensor a parameter in the model's order."""

    def __init__(self, model: nn.Module, max_grad_norm: float) -> None:
        self._max_grad_norm = max_grad_norm
        self._parameters = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self._owners = _owners(model)
        self._ties = _ties(self._owners)
        self._inputs: dict[str, Tensor] = {}
        self._lowest: dict[str, Tensor] = {}
        self._gradients: dict[str, Tensor] = {}
        self._sums = Sums()
        self._armed = False
        self._hooks = [
            module.register_forward_hook(lambda _, given, output, name=name: self._note(name, given, output))
            for name, module in self._owners.items()
        ]

    def accumulate(
        self, losses: LossClosure, size: int, unit_sizes: Sequence[int] = (), largest: float = LARGEST
    ) -> tuple[Tensor, Tensor]:
        """See privacy.dp.clipping.Clipper."""
        sizes = check_units(unit_sizes, size, single=False)
        self._armed = True
        try:
            each = losses()
            check_losses(each, size)
            of_layers = self._of_layers(each, size)
        finally:
            self._forget()
        with torch.no_grad(), torch.autocast(each.device.type, enabled=False):
            made: dict[str, RowGradients] = {}
            while of_layers:  # what a layer does not need of it is freed at once
                name, make, given, gradient = of_layers.pop()
                made[name] = make(*of_units(given, gradient, sizes))
                del given, gradient
            gradients = self._with_ties(made)
            norms = _norms(gradients, self._max_grad_norm)
            if not beyond(norms, largest):
                factors = clip_factors(norms, self._max_grad_norm)
                for of_layer in gradients:
                    of_layer.add(factors, self._sums)
        return each.detach(), norms

    def clipped_sum(self) -> list[Tensor]:
        """See privacy.dp.clipping.Clipper."""
        sums, self._sums = self._sums, Sums()
        with torch.no_grad():
            return [sums.of(parameter) for _, parameter in self._parameters]

    def close(self) -> None:
        """See privacy.dp.clipping.Clipper."""
        for hook in self._hooks:
            hook.remove()
        self._forget()
        self._sums = Sums()

    def _forget(self) -> None:
        self._inputs, self._lowest, self._gradients, self._armed = {}, {}, {}, False

    def _note(self, name: str, given: tuple[Tensor, ...], output: Tensor) -> None:
        """Keep what went in, and have the gradient of what came out kept; of outputs only the lowest are held."""
        if not self._armed or not output.requires_grad:
            return
        if name in self._inputs:
            raise ContractError(
                f"'{name}' runs twice in one pass: its gradient cannot be split by example",
                next_step='use clipping = "hooks", or a model that runs each trained layer once',
            )
        self._inputs[name] = given[0].detach()
        if given[0].requires_grad:
            gradients = self._gradients
            output.register_hook(partial(gradients.__setitem__, name))  # type: ignore[no-untyped-call]
        else:
            self._lowest[name] = output

    def _with_ties(self, made: dict[str, RowGradients]) -> list[RowGradients]:
        """The layers' gradients, those of two that share a weight as one."""
        for of_table, of_weight in self._ties.items():
            table, weight = made[of_table], made.pop(of_weight)
            assert isinstance(table, OfEmbedding)
            assert isinstance(weight, OfLinear)
            made[of_table] = OfTied(table, weight)
        return list(made.values())

    def _of_layers(self, each: Tensor, size: int) -> list[tuple[str, LayerRule, Tensor, Tensor]]:
        """Of each layer: its name, its rule, what went in, and the gradient of what came out.

        The backward pass runs down to the lowest outputs, those of layers whose input needs no gradient; on its way it
        passes all others. No parameter is asked for, so no weight gradient is made.
        """
        missing = next((name for name in self._owners if name not in self._inputs), None)
        if missing is not None:
            raise unclippable(missing)
        of_lowest = torch.autograd.grad(each.sum(), list(self._lowest.values()), allow_unused=True)
        layers: list[tuple[str, LayerRule, Tensor, Tensor]] = []
        lowest = dict(zip(self._lowest, of_lowest, strict=True))
        for name, given in self._inputs.items():
            gradient = lowest[name] if name in lowest else self._gradients.get(name)
            if gradient is None or len(gradient) != size or len(given) != size:
                raise unclippable(name)
            make = rule(self._owners[name])
            assert make is not None
            layers.append((name, make, given, gradient))
        return layers


def _owners(model: nn.Module) -> dict[str, nn.Module]:
    """The modules that own a trainable parameter. Raises ContractError for a kind without a rule."""
    owners: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        if not any(parameter.requires_grad for parameter in module.parameters(recurse=False)):
            continue
        if rule(module) is None:
            raise ContractError(
                f"book-keeping has no rule for '{name}', a {type(module).__name__}",
                next_step='freeze it, or use clipping = "hooks"',
            )
        owners[name] = module
    return owners


def _ties(owners: dict[str, nn.Module]) -> dict[str, str]:
    """The embeddings whose table is the weight of one Linear, with that. Raises ContractError for any other tie."""
    uses: dict[int, list[tuple[str, str]]] = {}
    for name, module in owners.items():
        for leaf, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            if parameter.requires_grad:
                uses.setdefault(id(parameter), []).append((name, leaf))
    ties: dict[str, str] = {}
    for places in uses.values():
        if len(places) == 1:
            continue
        (first, _), (second, leaf) = places[:2]
        pair = sorted((first, second), key=lambda name: isinstance(owners[name], nn.Linear))
        kinds = [type(owners[name]) for name in pair]
        if len(places) > 2 or leaf != "weight" or kinds != [nn.Embedding, nn.Linear]:
            raise ContractError(
                f"'{second}.{leaf}' is tied to '{first}': its gradient cannot be split by example",
                next_step="untie them, or freeze them; only one Embedding and one Linear may share a weight",
            )
        ties[pair[0]] = pair[1]
    return ties


def _norms(gradients: list[RowGradients], max_grad_norm: float) -> Tensor:
    """The l2 norm of each row's gradients over all layers, (B,), for a bound of `max_grad_norm`."""
    grams = Grams()
    pairs = [gradient.squared_norms(grams) for gradient in gradients]
    squared = torch.stack([one for one, _ in pairs]).sum(0)
    uncancelled = torch.stack([one for _, one in pairs]).sum(0)
    epsilon = torch.finfo(squared.dtype).eps
    norms = squared.clamp(min=0).sqrt()
    least = min((NEGLIGIBLE * max_grad_norm) ** 2, torch.finfo(squared.dtype).max)
    doubtful = ROUNDING * epsilon * uncancelled > CANCELLED * squared.clamp(min=least)
    for row in torch.nonzero(doubtful).flatten().tolist():
        exact = sum(gradient.exact(row) for gradient in gradients) ** 0.5
        norms[row] = exact + RESIDUE * float(uncancelled[row]) ** 0.5
    return norms


def attach(model: nn.Module, max_grad_norm: float) -> BookkeepingClipper:
    """See privacy.dp.clipping.attach."""
    return BookkeepingClipper(model, max_grad_norm)
