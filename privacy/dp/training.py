# SPDX-License-Identifier: Apache-2.0
"""DP-SGD on one site: Poisson draw -> clipped gradients summed over physical batches -> noise -> optimizer step.

Rules: every draw is stepped, noised and accounted, an empty one too; gradients are divided by sample_rate times the
declared size bucket, never by a batch's true size; noise, sampling and dropout come from one SecretSeed, the latter two
by each unit's own name (privacy.dp.draws), and torch's generators draw nothing; a unit without a usable gradient
contributes zero (privacy.dp.batches), and from the first look at data on nothing raises because of what the data are;
what a step looked like (`StepRecord`) stays at the site. The ledger is charged by the caller before `train` is called.
Source: Abadi et al., arXiv 1607.00133; the noise step is that of Opacus.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from opacus.optimizers import DPOptimizerFastGradientClipping
from torch import Tensor, nn
from torch.optim import Optimizer

from privacy.base.errors import ContractError
from privacy.base.randomness import SecretSeed
from privacy.dp import clipping
from privacy.dp.batches import Accumulate, Measured, clipped, physical
from privacy.dp.draws import RowDraws, Tags, tags_by_place, using
from privacy.dp.noise import GaussianStream, sensitivity_of_rounding
from privacy.dp.params import PrivacyParams, Unit
from privacy.dp.rounding import order_error
from privacy.dp.sampling import PoissonUnits

LONGEST = 512
"""Steps of a row at the most, where a caller says no less."""

MakeOptimizer = Callable[[list[nn.Parameter]], Optimizer]
"""Builds the optimizer of exactly these parameters, in groups of its own choice."""


class Examples(Protocol):
    """A site's tokenized rows, as the client's task holds them."""

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each row: rows of like length share a physical batch."""
        ...

    def batch(self, rows: Sequence[int]) -> Mapping[str, Tensor]:
        """The rows as contiguous tensors on the model's device, position ids and token types repeated to (B, T)."""
        ...

    def losses(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """One loss per row, shape (B,)."""
        ...


@dataclass(frozen=True)
class StepRecord:
    """What one step looked like. It is not private: it stays at the site."""

    step: int
    batch_size: int
    """Rows, of all drawn units together."""
    mean_loss: float | None
    """Over the rows that took part and whose loss is finite."""
    norm_quantiles: tuple[float, ...]
    """Norms of the units before clipping at 0, 1/4, 1/2, 3/4 and 1; empty for an empty draw or plain training."""
    seconds: float
    left_out: int = 0
    """Units that were drawn and contributed zero: their gradient was not finite, or too long."""


OnStep = Callable[[StepRecord], None]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Whose rows are trained on. `units[i]` are the rows of privacy unit i (one row under "record").

    `tags[i]` is its name (privacy.dp.draws; its place where there are none). No row has more than `longest` steps (1
    where a head reads a single vector).
    """

    examples: Examples
    units: Sequence[Sequence[int]]
    tags: Tags | None = None
    longest: int = LONGEST

    def row_draws(self, seed: SecretSeed) -> RowDraws:
        """What dropout and hidden word pieces draw, each row by the name of its unit."""
        return RowDraws(seed, self.units, tags_by_place(len(self.units)) if self.tags is None else self.tags)


@dataclass(frozen=True, eq=False)
class TrainingLoop:
    """How the loop runs. Gradients are divided by `size_bucket` times the sample rate, never by a batch's size."""

    make_optimizer: MakeOptimizer
    size_bucket: int
    physical_batch_size: int
    on_step: OnStep


@dataclass(frozen=True)
class PlainParams:
    """What stands in the place of PrivacyParams where nothing is private."""

    sample_rate: str
    num_steps: int
    unit: Unit


class SeededDPOptimizer(DPOptimizerFastGradientClipping):  # type: ignore[misc]
    """Opacus' DP optimizer whose noise comes from a GaussianStream; clipping and summing were done by a Clipper.

    Sum and noise are added exactly, on a grid (privacy.dp.noise), divided in float64 on the CPU and cast once to the
    parameter's dtype. Noise is drawn for all parameters as one vector, in the model's order.
    """

    def __init__(
        self, optimizer: Optimizer, params: PrivacyParams, expected_batch_size: float, seed: SecretSeed
    ) -> None:
        super().__init__(
            optimizer,
            noise_multiplier=float(params.noise_multiplier),
            max_grad_norm=float(params.max_grad_norm),
            expected_batch_size=expected_batch_size,
        )
        self._stream = GaussianStream(seed)
        self._released: list[tuple[nn.Parameter, Tensor]] = []

    def release(self, parameters: Sequence[nn.Parameter], sums: Sequence[Tensor]) -> None:
        """One step on the noised `sums` of clipped gradients. What overflows in it is noised already: it is kept."""
        self._released = list(zip(parameters, sums, strict=True))
        self.step()
        self._released = []
        self.zero_grad(set_to_none=True)

    def accumulate(self) -> None:
        """The Clipper already summed the logical batch."""

    def add_noise(self) -> None:
        """Set every `.grad` to (sum of clipped gradients + noise) / expected batch size."""
        flat = torch.cat([total.detach().reshape(-1).to("cpu", torch.float64) for _, total in self._released])
        self._stream.add(flat.numpy(), self.noise_multiplier * self.max_grad_norm)
        flat /= self.expected_batch_size
        pieces = torch.split(flat, [total.numel() for _, total in self._released])
        for (parameter, _), piece in zip(self._released, pieces, strict=True):
            parameter.grad = piece.view_as(parameter).to(parameter.device, parameter.dtype)

    def scale_grad(self) -> None:
        """`add_noise` already divided, before the cast."""


def clip_bound(params: PrivacyParams, size: int, order: float = 0.0) -> float:
    """What a unit's gradient of `size` values is clipped to: max_grad_norm less what rounding may add to it.

    That is what rounding to the noise's grid adds, and the share `order` for the sum's order (privacy.dp.rounding).

    Raises ContractError where that leaves less than nine tenths. It depends on the plan alone.
    """
    bound = float(params.max_grad_norm)
    of_grid = sensitivity_of_rounding(float(params.noise_multiplier) * bound, size)
    if of_grid + order * bound > 0.1 * bound:
        raise ContractError(
            "the noise is too large for so many trained values: its grid would swallow the gradients"
            if of_grid > order * bound
            else "the physical batches are too large for so many units: rounding would swallow the gradients",
            next_step="train fewer values, or in smaller physical batches",
        )
    return bound - of_grid - order * bound


def train(model: nn.Module, data: TrainingData, params: PrivacyParams, loop: TrainingLoop, *, seed: SecretSeed) -> None:
    """Train the model's trainable parameters in place with `params.num_steps` steps of DP-SGD.

    A unit's draws follow from `seed` and its name alone. A drawn unit brings up to `params.notes_per_unit` of its rows,
    and their summed gradient is clipped as one. What the trainable parameters become is (epsilon, delta)-private as
    `params.event()` says, towards whoever does not know `seed`; nothing else here is.
    The same arguments, machine and thread count give the same bits. Raises ContractError where arguments do not fit
    each other; the model is then half-trained and must be thrown away. No value in the data raises anything, and no
    value of the model: they may end as NaN or infinity, which is a function of what was noised.
    """
    _check(data, params.unit, loop)
    if params.notes_per_unit > loop.physical_batch_size:
        raise ContractError("the notes of one unit must fit in a physical batch: it is never split")
    parameters = [p for p in model.parameters() if p.requires_grad]
    expected = float(params.sample_rate) * loop.size_bucket
    optimizer = SeededDPOptimizer(_own(loop.make_optimizer, parameters), params, expected, seed.derive("noise"))
    order = order_error(loop.physical_batch_size, data.longest, expected)
    bound = clip_bound(params, sum(p.numel() for p in parameters), order)
    clipper = clipping.attach(params.clipping, model, bound)
    draws = PoissonUnits(seed.derive("poisson"), data.units, params.sample_rate, params.notes_per_unit, data.tags)
    losses = _LossesOfRows(model, data.examples, data.row_draws(seed.derive("dropout")))
    try:
        with _training_mode(model), _torch_draws_nothing(parameters):
            for step in range(params.num_steps):
                began, losses.step = time.perf_counter(), step
                drawn, measured = draws.draw(), Measured()
                for part in physical(drawn, data.examples.lengths, loop.physical_batch_size):
                    measured += clipped(_accumulating(clipper, losses), part)
                optimizer.release(parameters, clipper.clipped_sum())
                loop.on_step(_record(step, drawn, measured, began))
    finally:
        clipper.close()


def train_plain(
    model: nn.Module, data: TrainingData, params: PlainParams, loop: TrainingLoop, *, seed: SecretSeed
) -> None:
    """The same loop, sampled and normalised the same way, without clipping and noise: its output is NOT private.

    For baselines on data that may be published. An empty draw steps with zero gradients; a row without a usable
    gradient is left out.
    """
    _check(data, params.unit, loop)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = _own(loop.make_optimizer, parameters)
    draws = PoissonUnits(seed.derive("poisson"), data.units, params.sample_rate, tags=data.tags)
    losses = _LossesOfRows(model, data.examples, data.row_draws(seed.derive("dropout")))
    expected = loop.size_bucket * float(params.sample_rate)
    with _training_mode(model), _torch_draws_nothing(parameters):
        for step in range(params.num_steps):
            began, losses.step = time.perf_counter(), step
            drawn = draws.draw()
            optimizer.zero_grad(set_to_none=False)
            measured = Measured()
            for part in physical(drawn, data.examples.lengths, loop.physical_batch_size):
                measured += _added(losses, [row for unit in part for row in unit], expected)
            if not all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in parameters):
                optimizer.zero_grad(set_to_none=False)
                measured = _one_by_one(losses, parameters, drawn, expected)
            optimizer.step()
            loop.on_step(_record(step, drawn, measured, began))


def _accumulating(clipper: clipping.Clipper, losses: _LossesOfRows) -> Accumulate:
    """Adds one physical batch's clipped gradients to the clipper's sum."""

    def accumulate(rows: Sequence[int], sizes: Sequence[int], largest: float) -> tuple[Tensor, Tensor]:
        return clipper.accumulate(losses.of(rows), len(rows), sizes, largest)

    return accumulate


def _added(losses: _LossesOfRows, rows: Sequence[int], expected: float) -> Measured:
    """Add the rows' gradients, over `expected`, to every `.grad`."""
    each = losses.of(rows)()
    clipping.check_losses(each, len(rows))
    torch.autograd.backward(each.sum() / expected)
    return Measured((each.detach(),))


def _one_by_one(
    losses: _LossesOfRows, parameters: Sequence[nn.Parameter], drawn: Sequence[Sequence[int]], expected: float
) -> Measured:
    """The same unit by unit, slowly, but for those whose gradient is not usable."""
    measured = Measured()
    for unit in drawn:
        each = losses.of(unit)()
        gradients = torch.autograd.grad(each.sum(), parameters, allow_unused=True, materialize_grads=True)
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        if clipping.beyond(norm[None], clipping.LARGEST):
            measured += Measured(left_out=1)
            continue
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient / expected + (0 if parameter.grad is None else parameter.grad)
        measured += Measured((each.detach(),))
    return measured


def _check(data: TrainingData, unit: Unit, loop: TrainingLoop) -> None:
    if loop.size_bucket < 1 or loop.physical_batch_size < 1:
        raise ContractError("size_bucket and physical_batch_size are at least 1")
    if unit == "record" and any(len(rows) != 1 for rows in data.units):
        raise ContractError("under unit 'record' every privacy unit is one row")
    if any(not 0 <= row < len(data.examples.lengths) for rows in data.units for row in rows):
        raise ContractError("a privacy unit names a row that the examples lack")


def _own(make_optimizer: MakeOptimizer, parameters: list[nn.Parameter]) -> Optimizer:
    """The optimizer, after a check that it moves exactly the parameters that are clipped and noised."""
    optimizer = make_optimizer(parameters)
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    if sorted(held) != sorted(id(p) for p in parameters):
        raise ContractError("the optimizer must hold each trainable parameter once and nothing else")
    return optimizer


@dataclass
class _LossesOfRows:
    """Forward passes with the draws of their rows in the step that runs."""

    model: nn.Module
    examples: Examples
    draws: RowDraws
    step: int = 0

    def of(self, rows: Sequence[int]) -> Callable[[], Tensor]:
        """Runs one physical batch: the same draws each time."""

        def run() -> Tensor:
            with using(self.draws.of(self.step, rows)):
                return self.examples.losses(self.model, self.examples.batch(rows))

        return run


@contextmanager
def _training_mode(model: nn.Module) -> Iterator[None]:
    """Dropout on; the model's mode is put back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.train()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def _torch_draws_nothing(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Raises ContractError afterwards if a layer drew from torch: 32 bits in batch order drive no private draw.

    It depends on the layers alone, never on data.
    """
    devices = {p.device for p in parameters if p.device.type == "cuda"}

    def states() -> list[Tensor]:
        return [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in devices)]

    before = states()
    yield
    if not all(map(torch.equal, before, states())):
        raise ContractError("a layer draws from torch's generator", next_step="use privacy.dp.dropout in its place")


def _record(step: int, drawn: Sequence[Sequence[int]], measured: Measured, began: float) -> StepRecord:
    losses, norms = _together(measured.losses), _together(measured.norms)
    losses = losses[torch.isfinite(losses)]
    quantiles = torch.quantile(norms, torch.tensor([0, 0.25, 0.5, 0.75, 1], dtype=norms.dtype)) if len(norms) else norms
    return StepRecord(
        step=step,
        batch_size=sum(map(len, drawn)),
        mean_loss=float(losses.mean()) if len(losses) else None,
        norm_quantiles=tuple(quantiles.tolist()),
        seconds=time.perf_counter() - began,
        left_out=measured.left_out,
    )


def _together(pieces: Sequence[Tensor]) -> Tensor:
    return torch.cat([torch.empty(0, dtype=torch.float64), *(piece.cpu().double() for piece in pieces)])
