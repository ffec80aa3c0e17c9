# SPDX-License-Identifier: Apache-2.0
"""Before a site trains in a run, its noise and its sampling are tested on the training loop itself, without any data.

Zero-gradient steps over rows of zeros go through `privacy.dp.training.train` with the plan's noise, bound, rate and
clipping: what they release is noise alone, and whom they draw are units that do not exist. The seed is derived from the
site's key for this check and this run alone; no training uses it. One pass a run and process, in a second or two of CPU
time: a restart, perhaps with another version, tests again. Figures stay here; see privacy/protocol/mechanism.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.learning.model import device
from client.settings.site_settings import SiteSettings
from privacy.base.canonical import digest_of
from privacy.base.errors import PlanRefused
from privacy.base.identifiers import RunId
from privacy.base.randomness import SecretSeed
from privacy.dp.params import PrivacyParams
from privacy.dp.training import StepRecord, TrainingData, TrainingLoop, train
from privacy.leakage.noise import STEPS, STREAM_DRAWS, NoiseTest, noise_self_test
from privacy.leakage.recorder import RecordingSGD
from privacy.leakage.sampling import Draws, SamplingTest, sampling_self_test
from privacy.protocol.entries import RunOpened
from privacy.protocol.mechanism import MechanismCheck, passed

CPU = torch.device("cpu")
Tests = tuple[NoiseTest, SamplingTest]
ReportMeasured = Callable[[RunId, PrivacyParams, NoiseTest, SamplingTest], None]
_BATCH = 256
_SIDE = 1 << (STREAM_DRAWS.bit_length() - 1) // 2


class RunMechanismCheck:
    """The mechanism checks of this process. `measured` is told the figures of each, passed or not."""

    def __init__(self, settings: SiteSettings, site_key: SecretSeed, measured: ReportMeasured) -> None:
        self._settings, self._key, self._measured = settings, site_key, measured
        self._passed: dict[tuple[RunId, PrivacyParams], MechanismCheck] = {}

    def of(self, run_id: RunId, private: PrivacyParams | None, opened: RunOpened) -> MechanismCheck | None:
        """The statement for rounds of `private`; None for rounds without noise.

        Raises PlanRefused("mechanism_check_failed") where a test fails: the loop would not keep its promise.
        """
        if private is None:
            return None
        known = (run_id, private)
        if known not in self._passed:
            key = self._key.derive("mechanism-check", f"{run_id}/{digest_of(opened)}")
            noise, sampling = measure(
                private, self._settings.policy.size_bucket, key, device.prepare(self._settings.compute)
            )
            self._measured(run_id, private, noise, sampling)
            self._check(run_id, noise, sampling)
            self._passed[known] = passed(private, noise.draws)
        return self._passed[known]

    def _check(self, run_id: RunId, noise: NoiseTest, sampling: SamplingTest) -> None:
        failed = (*(f"noise: {name}" for name in noise.broken), *(f"sampling: {name}" for name in sampling.broken))
        if failed:
            raise PlanRefused(
                f"site {self._settings.site.name} refuses run {run_id}: its own noise or sampling failed "
                f"the self-test ({', '.join(failed)}); nothing was read or trained",
                reason="mechanism_check_failed",
                next_step="docs/leakage.md, Mechanism check: do not train with this installation; compare its version "
                "with constraints.txt and report it",
            )


def measure(private: PrivacyParams, size_bucket: int, key: SecretSeed, where: torch.device = CPU) -> Tests:
    """Both self-tests of the training loop with a plan's parameters, on the device `where`. `key` is of this alone."""
    expected = float(private.sample_rate) * size_bucket
    std = float(private.noise_multiplier) * float(private.max_grad_norm) / expected
    noise = noise_self_test(
        lambda seed: zero_gradient_steps(private, size_bucket, seed, STEPS, where), key.derive("noise-test"), std
    )
    seed = key.derive("sampling-test")
    sampling = sampling_self_test(
        lambda steps, units: drawn_units(private, size_bucket, seed, steps, units, where), float(private.sample_rate)
    )
    return noise, sampling


class ZeroRows:
    """Rows of zeros (privacy.dp.training.Examples): every gradient is 0. `drawn` is told the rows of each batch."""

    def __init__(
        self, rows: int, width: int, where: torch.device, drawn: Callable[[Sequence[int]], None] = lambda rows: None
    ) -> None:
        self.lengths: Sequence[int] = [1] * rows
        self._width, self._where, self._drawn = width, where, drawn

    def batch(self, rows: Sequence[int]) -> Mapping[str, Tensor]:
        """Zeros, (B, width)."""
        self._drawn(rows)
        return {"zeros": torch.zeros(len(rows), self._width, device=self._where)}

    def losses(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """One loss per row, 0 and without a gradient of the weight."""
        losses: Tensor = model(batch["zeros"]).sum(1)
        return losses


def zero_gradient_steps(
    private: PrivacyParams, size_bucket: int, seed: SecretSeed, steps: int, where: torch.device = CPU
) -> list[NDArray[np.float32]]:
    """What `steps` steps of the training loop release when no row has a gradient: STREAM_DRAWS values each."""
    released: list[NDArray[np.float32]] = []
    network = nn.Linear(_SIDE, STREAM_DRAWS // _SIDE, bias=False, device=where)
    loop = TrainingLoop(
        lambda parameters: RecordingSGD(parameters, 0.0, released.append), size_bucket, _BATCH, lambda record: None
    )
    _train(network, ZeroRows(1, _SIDE, where), private, steps, loop, seed)
    return released


def drawn_units(
    private: PrivacyParams, size_bucket: int, seed: SecretSeed, steps: int, units: int, where: torch.device = CPU
) -> Draws:
    """Which of `units` invented units the training loop draws in each of `steps` steps."""
    draws, at = np.zeros((steps, units), np.bool_), [0]

    def note(rows: Sequence[int]) -> None:
        draws[at[0], list(rows)] = True

    def next_step(record: StepRecord) -> None:
        at[0] = record.step + 1

    network = nn.Linear(1, 1, bias=False, device=where)
    loop = TrainingLoop(
        lambda parameters: RecordingSGD(parameters, 0.0, lambda released: None), size_bucket, _BATCH, next_step
    )
    _train(network, ZeroRows(units, 1, where, note), private, steps, loop, seed)
    return draws


def _train(
    network: nn.Module, rows: ZeroRows, private: PrivacyParams, steps: int, loop: TrainingLoop, seed: SecretSeed
) -> None:
    """The training loop itself, `steps` steps of it, each row a unit."""
    data = TrainingData(rows, [[unit] for unit in range(len(rows.lengths))], longest=1)
    train(network, data, private.model_copy(update={"num_steps": steps, "unit": "record"}), loop, seed=seed)
