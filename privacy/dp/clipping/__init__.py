# SPDX-License-Identifier: Apache-2.0
"""The contract of a clipping method: one file here, found by its name.

A method has `attach(model, max_grad_norm) -> Clipper`. A Clipper bounds what one unit moves: the summed gradient of
its rows (one row, if not told otherwise), over all trainable parameters as one vector, is scaled to l2 norm at most
max_grad_norm, and the scaled gradients are summed over all physical batches of a logical batch, none of which holds a
part of a unit. It equals a loop of single-example backward passes, it refuses
what it cannot clip (a parameter that the loss does not reach, an input that is broadcast over the batch), and the
conformance suite holds every file to this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from privacy.base import parts
from privacy.base.errors import ContractError

LARGEST = 1e8
"""The longest gradient of a unit that takes part: far above any that trains, far below where float32 overflows."""

ROUNDING_SLACK = 1e-4
"""The bound is aimed at from below by this share: computed norms are off by up to 1e-5 of themselves in float32."""

FLOOR = 1e-15
"""A norm counts as at least so much: squares of less than 1e-22 are lost in float32, a thousandth of it in all."""

LossClosure = Callable[[], Tensor]
"""Runs the forward pass of one physical batch; returns one loss per row, shape (B,), with its graph."""


class Clipper(Protocol):
    """Per-unit clipping attached to one model. Not for two threads."""

    def accumulate(
        self, losses: LossClosure, size: int, unit_sizes: Sequence[int] = (), largest: float = LARGEST
    ) -> tuple[Tensor, Tensor]:
        """Add the clipped gradients of a physical batch of `size` rows to the sum; return (losses (size,), norms of
        the units).

        `unit_sizes[i]` is how many rows unit i has; a unit's rows are consecutive. Without it each row is a unit.
        Where a norm is NaN, infinite or above `largest` (`beyond`) nothing of the batch is added: the sum stays as it
        was, and the caller runs the others again (privacy.dp.batches). No value of a gradient raises an error.
        Raises ContractError when a row's gradient cannot be told apart or the method bounds single rows only; the sum
        is unusable then: call `close`.
        """
        ...

    def clipped_sum(self) -> list[Tensor]:
        """The sum so far, one tensor per trainable parameter in the model's order (zeros for no rows); starts anew."""
        ...

    def close(self) -> None:
        """Detach from the model and leave nothing on it."""
        ...


def attach(name: str, model: nn.Module, max_grad_norm: float) -> Clipper:
    """The method `name` on `model`, whose parameters that require gradients are the trainable ones."""
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ContractError("the model has no trainable parameter")
    module = parts.load("privacy.dp.clipping", name)
    return cast(Clipper, module.attach(model, max_grad_norm))


def beyond(norms: Tensor, largest: float) -> list[int]:
    """Which units have no usable gradient: their norm is NaN, infinite, or above `largest`."""
    within = norms <= largest
    return [] if bool(within.all()) else torch.nonzero(~within).flatten().tolist()


def clip_factors(norms: Tensor, max_grad_norm: float) -> Tensor:
    """min(1, bound / norm) for each row, shape (B,), with the bound a little under max_grad_norm. Norms are finite."""
    bound = max_grad_norm * (1 - ROUNDING_SLACK)
    return (bound / norms.clamp(min=FLOOR)).clamp(max=1.0)


def check_losses(losses: Tensor, size: int) -> None:
    """Raises ContractError unless there is one loss per row."""
    if losses.shape != (size,):
        raise ContractError(f"the task must return one loss per row: {size} rows, shape {tuple(losses.shape)}")


def check_units(unit_sizes: Sequence[int], size: int, *, single: bool) -> list[int]:
    """How many rows each unit has. Raises ContractError unless they make up the batch, and are 1 each if `single`."""
    sizes = list(unit_sizes) or [1] * size
    if sum(sizes) != size or min(sizes, default=1) < 1:
        raise ContractError("the units of a physical batch must make up its rows")
    if single and max(sizes) > 1:
        raise ContractError(
            "this clipping method bounds single rows, not the sum of a patient's notes",
            next_step='use clipping = "bookkeeping", or privacy.notes_per_patient = 1',
        )
    return sizes


def unclippable(name: str) -> ContractError:
    """The error for a parameter whose gradient cannot be split by row."""
    return ContractError(
        f"the gradient of '{name}' cannot be split by example",
        next_step="freeze the parameter if the loss does not use it; repeat position ids to the whole batch",
    )
