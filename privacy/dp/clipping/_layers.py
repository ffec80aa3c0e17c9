# SPDX-License-Identifier: Apache-2.0
"""What book-keeping clipping knows of each kind of layer: norms of a row's gradients, and their weighted sum.

A layer's parameters have, for one row, the gradient sum over t of g_t x_t' (Linear), of g_t at index id_t (Embedding),
of (g_t * xhat_t, g_t) (LayerNorm), where x is what went in and g the loss's gradient of what came out. Norms come from
Gram matrices over t, or from the row's gradient itself where that is cheaper; the sum is one product over all rows.
Values of fewer than 32 bits are taken to float32 first. Source: Bu et al., arXiv 2210.00038; Li et al., 2110.05679.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from privacy.dp.clipping._gram import LEAST, Grams, gram
from privacy.dp.clipping._sums import Sums

SMALL_TABLE = 4
"""Up to so many embeddings (token types) a row's whole table is built."""

LONG = 1024
"""From so many steps on (several notes of a patient) an embedding's rows take less than its Gram matrix."""


class RowGradients(Protocol):
    """The gradients of one module's trainable parameters for each row of a batch of B, not yet multiplied out."""

    def squared_norms(self, grams: Grams) -> tuple[Tensor, Tensor]:
        """(norms squared, what they would be if nothing cancelled), each (B,): the second bounds the rounding error."""
        ...

    def exact(self, row: int) -> float:
        """One row's squared norm from its gradient in float64."""
        ...

    def add(self, factors: Tensor, sums: Sums) -> None:
        """Add the gradients, weighted by `factors` (B,), to the running sums."""
        ...


class OfLinear:
    """Linear: x (B, ..., d) and g (B, ..., p)."""

    def __init__(self, module: nn.Linear, x: Tensor, g: Tensor) -> None:
        self._weight = module.weight if module.weight.requires_grad else None
        self._bias = module.bias if module.bias is not None and module.bias.requires_grad else None
        self._x, self._g = _by_row(x if self._weight is not None else x[..., :0]), _by_row(g)
        steps, inputs, outputs = self._x.shape[1], self._x.shape[2], self._g.shape[2]
        self._built: Tensor | None = None
        self._builds = steps > 1 and steps * (inputs + outputs) > inputs * outputs
        self._of_bias: Tensor | None = None

    def squared_norms(self, grams: Grams) -> tuple[Tensor, Tensor]:
        """See RowGradients."""
        squared, uncancelled = self._of_weight(grams) if self._weight is not None else (self._none(), self._none())
        if self._bias is not None:
            self._of_bias = self._g.sum(1)
            of_bias = self._of_bias.square().sum(1)
            squared, uncancelled = squared + of_bias, uncancelled + of_bias
        return squared, uncancelled

    def _none(self) -> Tensor:
        return self._g.new_zeros(len(self._g))

    def _of_weight(self, grams: Grams) -> tuple[Tensor, Tensor]:
        if self._x.shape[1] == 1:
            of_x, of_g = self._x.square().sum((1, 2)), self._g.square().sum((1, 2))
            return of_x * of_g, of_x.clamp(min=LEAST) * of_g.clamp(min=LEAST)
        if self._builds:
            self._built = torch.bmm(self._g.transpose(1, 2), self._x)
            squared = self._built.square().sum((1, 2))
            return squared, squared
        return grams.of(self._x).inner(grams.of(self._g))

    def exact(self, row: int) -> float:
        """See RowGradients."""
        of_weight = float(self.exact_weight(row).square().sum()) if self._weight is not None else 0.0
        return of_weight + self.exact_bias(row)

    def exact_weight(self, row: int) -> Tensor:
        """One row's gradient of the weight, (p, d), in float64."""
        return self._g[row].double().T @ self._x[row].double()

    def exact_bias(self, row: int) -> float:
        """One row's squared norm of the bias's gradient in float64; 0 where the bias is not trained."""
        return float(self._g[row].double().sum(0).square().sum()) if self._bias is not None else 0.0

    def inner(self, indices: Tensor, rows: Tensor) -> Tensor:
        """<weight's gradient, the matrix with `rows` (B, S, d) added at `indices` (B, S)>, (B,): no matrix is made."""
        batch = torch.arange(len(indices), device=indices.device)[:, None]
        if self._built is not None:
            return (self._built[batch, indices] * rows).sum((1, 2))
        taken = torch.gather(self._g, 2, indices[:, None, :].expand(-1, self._g.shape[1], -1))
        return (torch.bmm(self._x, rows.transpose(1, 2)) * taken).sum((1, 2))

    def add(self, factors: Tensor, sums: Sums) -> None:
        """See RowGradients."""
        if self._weight is not None:
            if self._built is not None:
                sums.add(self._weight, torch.tensordot(factors.to(self._built.dtype), self._built, dims=1))
            else:
                x, g = self._x, self._g
                each = factors.to(x.dtype)[:, None, None]
                x, g = (x * each, g) if x.shape[2] <= g.shape[2] else (x, g * each)
                sums.add(self._weight, g.flatten(0, 1).T @ x.flatten(0, 1))
        if self._bias is not None:
            assert self._of_bias is not None
            sums.add(self._bias, factors.to(self._of_bias.dtype) @ self._of_bias)


class OfEmbedding:
    """Embedding: ids (B, ...) and g (B, ..., d). The padding index has no gradient."""

    def __init__(self, module: nn.Embedding, ids: Tensor, g: Tensor) -> None:
        self._table = module.weight
        self._ids, self._g = ids.reshape(len(ids), -1).long(), _by_row(g)
        self._counts: Tensor | None = None
        if module.padding_idx is not None:
            self._counts = self._ids != module.padding_idx
        self._built: Tensor | None = None

    def squared_norms(self, grams: Grams) -> tuple[Tensor, Tensor]:
        """See RowGradients."""
        if len(self._table) <= SMALL_TABLE:
            self._built = self._one_hot(self._ids, self._counts).transpose(1, 2) @ self._g
            squared = self._built.square().sum((1, 2))
            return squared, squared
        if self._ids.shape[1] >= LONG:
            pairs = [self._exact_and_uncancelled(row) for row in range(len(self._ids))]
            squared, uncancelled = self._g.new_tensor(pairs).reshape(-1, 2).unbind(1)
            return squared, uncancelled
        ids = self._ids if self._counts is None else self._ids.masked_fill(~self._counts, -1)
        return grams.of(self._g).inner(gram(ids, self._ids, self._same))

    def _same(self, left: Tensor, right: Tensor) -> Tensor:
        """1 where two steps of a row hold the same index: the Gram matrix of one-hot inputs."""
        return (left[:, :, None] == right[:, None, :]).to(self._g.dtype)

    def _one_hot(self, ids: Tensor, counts: Tensor | None) -> Tensor:
        table = functional.one_hot(ids, len(self._table)).to(self._g.dtype)
        return table if counts is None else table * counts[..., None]

    def inner(self, other: OfLinear) -> Tensor:
        """<this gradient, that of `other`'s weight>, (B,)."""
        return other.inner(self._ids, self._g if self._counts is None else self._g * self._counts[..., None])

    def add_exact(self, row: int, gradient: Tensor) -> None:
        """Add one row's gradient to `gradient`, of the table's shape, in float64."""
        counted = self._ids[row] >= 0 if self._counts is None else self._counts[row]
        gradient.index_add_(0, self._ids[row][counted], self._g[row][counted].double())

    def exact(self, row: int) -> float:
        """See RowGradients."""
        return self._exact_and_uncancelled(row)[0]

    def _exact_and_uncancelled(self, row: int) -> tuple[float, float]:
        """One row's squared norm in float64, and what it were if the steps of each index were aligned."""
        counted = self._ids[row] >= 0 if self._counts is None else self._counts[row]
        used, places = torch.unique(self._ids[row][counted], return_inverse=True)
        each = self._g[row][counted].double()
        gradient = each.new_zeros((len(used), each.shape[1])).index_add_(0, places, each)
        lengths = each.new_zeros(len(used)).index_add_(0, places, each.norm(dim=1))
        return float(gradient.square().sum()), float(lengths.square().sum())

    def add(self, factors: Tensor, sums: Sums) -> None:
        """See RowGradients."""
        if self._built is not None:
            sums.add(self._table, torch.tensordot(factors.to(self._built.dtype), self._built, dims=1))
            return
        each = factors.to(self._g.dtype)[:, None]
        each = each.expand(self._ids.shape) if self._counts is None else each * self._counts
        sums.add_rows(self._table, self._ids.flatten(), (self._g * each[..., None]).flatten(0, 1))


class OfTied:
    """An Embedding whose table is a Linear's weight: the gradient of what they share is the sum of the two."""

    def __init__(self, embedding: OfEmbedding, linear: OfLinear) -> None:
        self._embedding, self._linear = embedding, linear

    def squared_norms(self, grams: Grams) -> tuple[Tensor, Tensor]:
        """See RowGradients. |e + l|^2 = |e|^2 + |l|^2 + 2 <e, l>, which is (|e| + |l|)^2 where nothing cancels.

        Twice that is said: three terms round where a single layer has one.
        """
        of_table, uncancelled_table = self._embedding.squared_norms(grams)
        of_linear, uncancelled_linear = self._linear.squared_norms(grams)
        both = uncancelled_table.sqrt() + uncancelled_linear.sqrt()
        return of_table + of_linear + 2 * self._embedding.inner(self._linear), 2 * both.square()

    def exact(self, row: int) -> float:
        """See RowGradients."""
        gradient = self._linear.exact_weight(row)
        self._embedding.add_exact(row, gradient)
        return float(gradient.square().sum()) + self._linear.exact_bias(row)

    def add(self, factors: Tensor, sums: Sums) -> None:
        """See RowGradients."""
        self._embedding.add(factors, sums)
        self._linear.add(factors, sums)


class OfLayerNorm:
    """LayerNorm over the last dimension: x and g (B, ..., d). A row's gradients are vectors, and are built."""

    def __init__(self, module: nn.LayerNorm, x: Tensor, g: Tensor) -> None:
        x, g = _by_row(x), _by_row(g)
        self._built: list[tuple[nn.Parameter, Tensor]] = []
        if module.weight.requires_grad:
            normal = functional.layer_norm(x, module.normalized_shape, eps=module.eps)
            self._built.append((module.weight, (normal * g).sum(1)))
        if module.bias is not None and module.bias.requires_grad:
            self._built.append((module.bias, g.sum(1)))

    def squared_norms(self, grams: Grams) -> tuple[Tensor, Tensor]:
        """See RowGradients."""
        squared = torch.stack([gradient.square().sum(1) for _, gradient in self._built]).sum(0)
        return squared, squared

    def exact(self, row: int) -> float:
        """See RowGradients."""
        return sum(float(gradient[row].double().square().sum()) for _, gradient in self._built)

    def add(self, factors: Tensor, sums: Sums) -> None:
        """See RowGradients."""
        for parameter, gradient in self._built:
            sums.add(parameter, factors.to(gradient.dtype) @ gradient)


LayerRule = Callable[[Tensor, Tensor], RowGradients]
"""From a layer's input and the gradient of its output to the gradients of its rows."""


def rule(module: nn.Module) -> LayerRule | None:
    """How a module's (input, gradient of its output) become gradients of its rows; None for an unknown kind.

    Exactly these classes: a subclass may compute something else. LayerNorm over one dimension, Embedding plain (not
    sparse, not scaled by frequency, without a norm limit).
    """
    if type(module) is nn.Linear:
        return lambda x, g: OfLinear(module, x, g)
    if type(module) is nn.LayerNorm and module.elementwise_affine and len(module.normalized_shape) == 1:
        return lambda x, g: OfLayerNorm(module, x, g)
    if type(module) is nn.Embedding and not (module.sparse or module.scale_grad_by_freq or module.max_norm):
        return lambda x, g: OfEmbedding(module, x, g)
    return None


def of_units(x: Tensor, g: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """What went in and the gradient of what came out, by unit: the steps of a unit's rows stand one after the other.

    `sizes` are the rows of each unit, consecutive in x and g. (B, ..., d) becomes (G, K ..., d) and ids (B, ...)
    become (G, K ...), K the rows of the largest unit; smaller ones are filled up with zeros, which add nothing.
    """
    longest = max(sizes, default=1)
    if longest == 1:
        return x, g
    if min(sizes) < longest:
        x, g = _filled(x, sizes, longest), _filled(g, sizes, longest)
    x, g = (values.reshape(len(sizes), longest, *values.shape[1:]) for values in (x, g))
    return x.flatten(1, -2) if x.ndim == g.ndim else x.flatten(1), g.flatten(1, -2)


def _filled(values: Tensor, sizes: Sequence[int], longest: int) -> Tensor:
    """(B, ...) as (G K, ...): the rows of each unit, then zeros."""
    places = [unit * longest + at for unit, size in enumerate(sizes) for at in range(size)]
    filled = values.new_zeros((len(sizes) * longest, *values.shape[1:]))
    filled[torch.tensor(places, device=values.device)] = values
    return filled


def _by_row(values: Tensor) -> Tensor:
    """(B, ..., d) as (B, T, d), T = 1 for (B, d), in 32 bits at least."""
    wide = values if values.dtype in (torch.float32, torch.float64) else values.float()
    return wide[:, None, :].contiguous() if wide.ndim == 2 else wide.flatten(1, -2).contiguous()
