# SPDX-License-Identifier: Apache-2.0
"""One DP step on a GPU against the same step on the CPU: norms, clipped sum and the parameters after the step.

All of the packaged MiniLM on invented rows of ragged length, without dropout (its draws differ by device), with one
noise stream: the noise is made on the CPU for both, so what differs is the gradients' rounding. Every difference is
held to a stated tolerance. Without CUDA there is nothing to check, and that is said.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from client.learning.model.model import TrainableStack, build
from client.learning.model.pretrained import load_packaged
from privacy.base.randomness import PublicSeed, SecretSeed
from privacy.dp import clipping
from privacy.dp.params import PrivacyParams
from privacy.dp.training import SeededDPOptimizer, clip_bound
from privacy.protocol.plans import TrainingPlan

ROWS, LABELS, LONGEST = 16, 4, 48
PARAMS = PrivacyParams(
    sample_rate="0.5",
    noise_multiplier="1",
    max_grad_norm="1",
    target_epsilon="8",
    target_delta="0.00001",
    num_steps=1,
    unit="record",
)
PLAN = TrainingPlan(
    scope="full",
    top_layers=0,
    lora_rank=0,
    lora_alpha=0,
    optimizer="sgd",
    learning_rate="1",
    head_learning_rate="1",
    momentum="0",
    weight_decay="0",
    dropout="0",
    physical_batch_size=ROWS,
)


@dataclass(frozen=True)
class Tolerance:
    """How far a step may be from the CPU's in float32. `norms`: of a norm, as a share. `clipped_sum`: of the sum of
    `ROWS` clipped gradients, in units of the clip bound, as l2 norm. `step`: of the parameters' change, likewise.
    """

    norms: float
    clipped_sum: float
    step: float


TOLERANCES = {
    "fp32": Tolerance(norms=1e-4, clipped_sum=1e-3, step=1e-3),
    "bf16": Tolerance(norms=5e-2, clipped_sum=0.2, step=0.2),
}
"""bf16 has 8 bits: a row's gradient turns by some percent, and sixteen rows of length 1 add up."""


@dataclass(frozen=True)
class StepTaken:
    """What one step measured and did, on the CPU in float64."""

    norms: Tensor
    clipped_sum: Tensor
    moved: Tensor

    def away_from(self, other: StepTaken) -> Tolerance:
        """How far this step is from `other`."""
        return Tolerance(
            norms=float(((self.norms - other.norms).abs() / other.norms).max()),
            clipped_sum=float((self.clipped_sum - other.clipped_sum).norm()),
            step=float((self.moved - other.moved).norm()) * ROWS,
        )


def take_step(device: torch.device, *, bf16: bool) -> StepTaken:
    """One step of DP-SGD by book-keeping, rate 1, on `device`; under autocast if `bf16`."""
    network = build(load_packaged(), PLAN, {"text": LABELS}, PublicSeed(bytes(32)), device).trainable.eval()
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    before = _flat(parameters)
    batch, targets = _rows(device)
    clipper = clipping.attach("bookkeeping", network, clip_bound(PARAMS, len(before)))
    with torch.autocast(device.type, dtype=torch.bfloat16) if bf16 else nullcontext():
        _, norms = clipper.accumulate(lambda: _losses(network, batch, targets), ROWS)
    sums = clipper.clipped_sum()
    clipper.close()
    clipped = _flat(sums)
    optimizer = SeededDPOptimizer(torch.optim.SGD(parameters, lr=1.0), PARAMS, ROWS, SecretSeed(bytes(range(32))))
    optimizer.release(parameters, sums)
    return StepTaken(norms.double().cpu(), clipped, _flat(parameters) - before)


def _rows(device: torch.device) -> tuple[Mapping[str, Tensor], Tensor]:
    drawn = torch.Generator().manual_seed(2)
    ids = torch.randint(1000, 30000, (ROWS, LONGEST), generator=drawn)
    lengths = torch.randint(8, LONGEST + 1, (ROWS,), generator=drawn)
    places = torch.arange(LONGEST).repeat(ROWS, 1)
    inputs = {"input_ids": ids, "position_ids": places, "token_type_ids": torch.zeros_like(ids)}
    inputs["mask"] = places < lengths[:, None]
    targets = torch.randint(0, LABELS, (ROWS,), generator=drawn)
    return {name: one.to(device) for name, one in inputs.items()}, targets.to(device)


def _losses(network: TrainableStack, batch: Mapping[str, Tensor], targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(network(batch)["text"], targets, reduction="none")


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([one.detach().flatten().double().cpu() for one in tensors])


def compare(device: torch.device) -> bool:
    """Print how far the device's steps are from the CPU's float32 one; whether every figure is within its tolerance."""
    torch.use_deterministic_algorithms(True)
    torch.set_float32_matmul_precision("highest")
    reference, held = take_step(torch.device("cpu"), bf16=False), True
    for precision, allowed in TOLERANCES.items():
        distance = take_step(device, bf16=precision == "bf16").away_from(reference)
        for name, limit in vars(allowed).items():
            value = getattr(distance, name)
            within = value <= limit  # NaN is not
            held &= within
            print(f"{device.type} {precision} {name}: {value:.3g} of {limit:g} allowed{'' if within else ': TOO FAR'}")
    return held


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Exit code 0: within the tolerances, or no CUDA; 1: too far."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: the check of the check")
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        print("skipped: no CUDA here")
        return 0
    return 0 if compare(torch.device(given.device)) else 1


if __name__ == "__main__":
    sys.exit(main())
