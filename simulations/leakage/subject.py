# SPDX-License-Identifier: Apache-2.0
"""What is attacked: invented notes, the packaged BERT with a head, and the privacy that its training claims.

The claim is about epsilon 1, because an audit of a large epsilon needs more canaries than one run can hold. Texts are
not anonymized here: the attacks are on what training leaves, and the better off for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.learning import tasks
from client.learning.model.model import SharedBert, build
from client.learning.model.pretrained import Pretrained, load_packaged
from client.learning.training.training import prepare
from privacy.base.canonical import decimal_string
from privacy.base.randomness import PublicSeed, SecretSeed
from privacy.dp import accounting
from privacy.dp.params import PrivacyEvent, PrivacyParams
from privacy.protocol.plans import Scope, TaskPlan, TrainingPlan
from privacy.text.reading.records import AnonymizedRecord
from simulations.corpora import LABELS, holdout_notes

Plant = Literal["noise", "sampling", "seed"]
"""A bug: a tenth of the noise; every unit in every step; a noise seed that the adversary knows."""

CPU: Final = torch.device("cpu")
DELTA: Final = 1e-5
MAX_TOKENS: Final = 48


@dataclass(frozen=True)
class Claim:
    """What the accountant says of a training: `epsilon` of `steps` steps at `sample_rate` with `noise_multiplier`."""

    epsilon: float
    delta: float
    noise_multiplier: str
    sample_rate: str
    steps: int

    @classmethod
    def calibrated(cls, target_epsilon: float, sample_rate: float, steps: int) -> Claim:
        """The least noise for `target_epsilon`, and the epsilon that it then costs."""
        noise = decimal_string(accounting.calibrate(target_epsilon, DELTA, sample_rate, steps))
        rate = decimal_string(sample_rate)
        event = PrivacyEvent(noise_multiplier=noise, sample_rate=rate, steps=steps, partition="train")
        return cls(accounting.epsilon((event,), DELTA), DELTA, noise, rate, steps)

    def params(self, plant: Plant | None = None) -> PrivacyParams:
        """What the loop is given: what was claimed, or with a bug planted."""
        noise, rate = self.noise_multiplier, self.sample_rate
        if plant == "noise":
            noise = decimal_string(float(noise) / 10)
        return PrivacyParams(
            noise_multiplier=noise,
            sample_rate="1" if plant == "sampling" else rate,
            max_grad_norm="1",
            target_epsilon=decimal_string(round(self.epsilon, 4)),
            target_delta=decimal_string(self.delta),
            num_steps=self.steps,
            unit="record",
        )

    def bucket(self, units: int, plant: Plant | None = None) -> int:
        """The declared size, of `units` units: whatever is planted, the sum is divided by the same expected size."""
        return round(float(self.sample_rate) * units) if plant == "sampling" else units


def training_plan(scope: Scope, learning_rate: float) -> TrainingPlan:
    """Plain SGD without dropout: what is easiest for an adversary to read."""
    rate = decimal_string(learning_rate)
    return TrainingPlan(
        scope=scope,
        top_layers=0,
        lora_rank=0,
        lora_alpha=0,
        optimizer="sgd",
        learning_rate=rate,
        head_learning_rate=rate,
        momentum="0",
        weight_decay="0",
        dropout="0",
        physical_batch_size=64,
    )


@dataclass(frozen=True, eq=False, repr=False)
class PooledRows:
    """Rows under the scope head (privacy.dp.training.Examples): what the frozen layers give, (rows, H), and targets."""

    pooled: Tensor
    targets: Tensor

    @property
    def lengths(self) -> Sequence[int]:
        return [1] * len(self.targets)

    def batch(self, rows: Sequence[int]) -> Mapping[str, Tensor]:
        chosen = list(rows)
        return {"pooled": self.pooled[chosen], "targets": self.targets[chosen]}

    def losses(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(model(batch)["text"], batch["targets"], reduction="none")

    def followed_by(self, pooled: NDArray[np.float32], targets: NDArray[np.int64]) -> PooledRows:
        """These rows, then others."""
        return PooledRows(
            torch.cat([self.pooled, torch.from_numpy(pooled)]), torch.cat([self.targets, torch.from_numpy(targets)])
        )


class Subject:
    """Everything that follows from one seed. Loaded and computed when first asked for."""

    def __init__(self, seed: PublicSeed) -> None:
        self.seed = seed
        self.task = TaskPlan(name="classification", labels=LABELS, max_tokens=MAX_TOKENS)

    @cached_property
    def pretrained(self) -> Pretrained:
        return load_packaged()

    def secret(self, purpose: str) -> SecretSeed:
        """A site's secret as simulations have it: it follows from a known number."""
        return SecretSeed(self.seed.derive(purpose).value)

    def model(self, training: TrainingPlan) -> SharedBert:
        """The model at its start."""
        heads = tasks.load(self.task.name).heads(self.task)
        return build(self.pretrained, training, heads, self.seed.derive("model"), CPU)

    def records(self, purpose: str, count: int) -> list[AnonymizedRecord]:
        """Invented notes, independent of those of any other purpose."""
        notes = holdout_notes(self.seed.derive(f"notes/{purpose}"), count)
        return [AnonymizedRecord(note.record_id, note.text, note.label, None, ()) for note in notes]

    def pooled(self, purpose: str, count: int) -> PooledRows:
        """Invented notes as the head takes them."""
        records = self.records(purpose, count)
        model = self.model(training_plan("head", 0.1))
        batch = prepare(records, self.task, model, self.pretrained).batch(range(count))
        return PooledRows(batch["pooled"], batch["targets"])
