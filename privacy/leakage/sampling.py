# SPDX-License-Identifier: Apache-2.0
"""The sampling self-test: each unit joins each step by itself with probability sample_rate, or the accountant is wrong.

Batches of a fixed size, an epoch that is walked through in order, a rate that is off, and draws that repeat are found
from the draws of a training loop over units that do not exist. Each test fails by chance in less than one of 10^6;
what depends on one pair of units only is not seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Draws = NDArray[np.bool_]
"""Shape (steps, units): who was in which step."""
DrawUnits = Callable[[int, int], Draws]
"""(steps, units) -> the draws of a training loop."""

STEPS: Final = 256
_Z: Final = 6.5
_MOST_UNITS: Final = 8192


@dataclass(frozen=True)
class SamplingTest:
    """What was measured, in standard errors; all of them are 0 where every unit must be in every step."""

    units: int
    steps: int
    rate: float
    rate_z: float
    batch_size_z: float
    """Of the variance of batch sizes; far below 0 for batches of a fixed size."""
    unit_count_z: float
    """Of the variance of how often a unit was drawn; far below 0 where an epoch is walked through."""
    repeat_z: float
    """Of how many units are in two steps that follow one another."""
    broken: tuple[str, ...]
    """Names of the tests that failed: rate, batch_sizes, unit_counts, repeats."""

    @property
    def passed(self) -> bool:
        return not self.broken


def sampling_self_test(draw: DrawUnits, sample_rate: float) -> SamplingTest:
    """Hold the draws of a training loop against Poisson sampling at `sample_rate`, in (0, 1]."""
    units = min(_MOST_UNITS, max(256, math.ceil(16 / sample_rate)))
    return measure(draw(STEPS, units), sample_rate)


def measure(draws: Draws, sample_rate: float) -> SamplingTest:
    """The figures of `draws` against independent coins of probability `sample_rate`."""
    steps, units = draws.shape
    rate = float(draws.mean())
    scores = dict.fromkeys(("rate_z", "batch_size_z", "unit_count_z", "repeat_z"), 0.0)
    if sample_rate == 1:
        return SamplingTest(units, steps, rate, broken=() if rate == 1 else ("rate",), **scores)
    variance = sample_rate * (1 - sample_rate)
    joint = sample_rate**2
    repeated = float((draws[:-1] & draws[1:]).sum())
    pairs = (steps - 1) * units
    spread = pairs * joint * (1 - joint) + 2 * (steps - 2) * units * (sample_rate**3 - joint**2)
    scores = {
        "rate_z": (rate - sample_rate) * math.sqrt(steps * units / variance),
        "batch_size_z": _dispersion(draws.sum(axis=1), units, sample_rate),
        "unit_count_z": _dispersion(draws.sum(axis=0), steps, sample_rate),
        "repeat_z": (repeated - pairs * joint) / math.sqrt(max(spread, 1.0)),
    }
    names = {"rate_z": "rate", "batch_size_z": "batch_sizes", "unit_count_z": "unit_counts", "repeat_z": "repeats"}
    broken = tuple(name for figure, name in names.items() if abs(scores[figure]) > _Z)
    return SamplingTest(units, steps, rate, broken=broken, **scores)


def _dispersion(counts: NDArray[np.int64], trials: int, rate: float) -> float:
    """How far the variance of binomial `counts` is from what it should be, in its own standard errors."""
    variance = trials * rate * (1 - rate)
    scaled = (counts - trials * rate) ** 2 / variance
    excess = (1 - 6 * rate * (1 - rate)) / variance
    return float((scaled.mean() - 1) * math.sqrt(len(counts) / (2 + excess)))
