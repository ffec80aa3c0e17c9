# SPDX-License-Identifier: Apache-2.0
"""The noise self-test: where there is nothing to release, a step must release Gaussian noise of the planned size.

A zero-gradient step releases noise alone, so that its standard deviation, its distribution and the independence of its
streams can be measured as exactly as one likes. The seeds are derived as those of real attempts are (two sites, two
rounds, two attempts, two steps each), from a key that is used for nothing else: what is measured here is never the
noise of a training, and it depends on no data.

With DRAWS draws an honest sigma is off by more than SIGMA_TOLERANCE in less than one of 10^6 tests; each of the
other tests fails by chance in less than one of 10^9.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, pdtr, pdtrc

from privacy.base.identifiers import sha256
from privacy.base.randomness import SEED_BYTES, SecretSeed
from privacy.protocol import mechanism

Released = NDArray[np.float32]
ZeroSteps = Callable[[SecretSeed], Sequence[Released]]
"""Runs STEPS zero-gradient steps under the root seed of an attempt; returns what each step released, as one vector."""

SIGMA_TOLERANCE: Final = float(mechanism.SIGMA_TOLERANCE)
STEPS: Final = 2
STREAM_DRAWS: Final = 1 << 20
"""Values that one step of the test releases."""
ATTEMPTS: Final = tuple((site, number, attempt) for site in (0, 1) for number, attempt in ((1, 1), (1, 2), (2, 1)))
"""(site, round, attempt) of each stream: any two differ in a site, in a round or in an attempt."""
DRAWS: Final = len(ATTEMPTS) * STEPS * STREAM_DRAWS

_Z: Final = 7.0
"""Standard errors of a single test: exceeded by chance in about 3 of 10^12."""
_KS: Final = 3.3
"""Limit of sqrt(n) times the Kolmogorov-Smirnov distance: 2 exp(-2 x^2) is 7e-10."""
_TAIL_CHANCE: Final = 1e-10
_TAILS: Final = (3.0, 4.0, 4.5, 5.0)
_GRID: Final = np.linspace(-5.5, 5.5, 4401)


@dataclass(frozen=True)
class NoiseTest:
    """What was measured. Nothing of it depends on data, and it stays at the site all the same."""

    draws: int
    sigma_error: float
    """Relative: the estimate over all draws, divided by what was planned, minus 1."""
    worst_stream_error: float
    mean_z: float
    ks: float
    """sqrt(n) times the distance to the normal distribution function, on a grid."""
    tails: tuple[int, ...]
    """Draws beyond 3, 4, 4.5 and 5 standard deviations."""
    worst_correlation: float
    """The greatest among values, and squares, of two streams, and of neighbours in one stream."""
    broken: tuple[str, ...]
    """Names of the tests that failed: sigma, mean, distribution, tails, streams."""

    @property
    def passed(self) -> bool:
        return not self.broken


def noise_self_test(steps: ZeroSteps, key: SecretSeed, std: float) -> NoiseTest:
    """Hold what `steps` releases against N(0, std^2), independent over sites, rounds, attempts and steps.

    `key` is a check's own secret. Needs some 0.15 GB and less than two seconds on one core.
    """
    released = [vector for place in ATTEMPTS for vector in steps(attempt_seed(key, *place))]
    return measure(np.stack(released) / np.float32(std))


def attempt_seed(key: SecretSeed, site: int, server_round: int, attempt: int) -> SecretSeed:
    """The root seed of one attempt, as a site derives it: from its key, a nonce and the plan's digest."""
    nonce = bytes([attempt]).rjust(SEED_BYTES, b"\0")
    return SecretSeed.for_attempt(key.derive("site", str(site)), nonce, sha256(f"round/{server_round}".encode()))


def measure(streams: NDArray[np.float32]) -> NoiseTest:
    """The figures of `streams`, shape (streams, draws), which should hold independent standard normals."""
    count, length = streams.shape
    ordered = np.sort(streams, axis=None)
    pooled = _moments(streams.reshape(-1))
    each = np.array([_moments(stream) for stream in streams])
    distance = float(np.abs(np.searchsorted(ordered, _GRID) / ordered.size - ndtr(_GRID)).max())
    tails = tuple(
        int(np.searchsorted(ordered, -k) + ordered.size - np.searchsorted(ordered, k, "right")) for k in _TAILS
    )
    figures = {
        "sigma_error": pooled[1] - 1,
        "worst_stream_error": float(np.abs(each[:, 1] - 1).max()),
        "mean_z": pooled[0] * math.sqrt(ordered.size),
        "ks": distance * math.sqrt(ordered.size),
        "worst_correlation": _worst_correlation(streams),
    }
    holds = {
        "sigma": abs(figures["sigma_error"]) <= SIGMA_TOLERANCE
        and figures["worst_stream_error"] <= _Z / math.sqrt(2 * length),
        "mean": abs(figures["mean_z"]) <= _Z,
        "distribution": figures["ks"] <= _KS,
        "tails": all(
            _plausible(observed, 2 * ndtr(-k) * ordered.size) for observed, k in zip(tails, _TAILS, strict=True)
        ),
        "streams": figures["worst_correlation"] <= _Z / math.sqrt(length - 1),
    }
    broken = tuple(name for name, held in holds.items() if not held)
    return NoiseTest(draws=count * length, tails=tails, broken=broken, **figures)


def _moments(values: NDArray[np.float32]) -> tuple[float, float]:
    """Mean and standard deviation about 0, summed in float64."""
    return float(values.mean(dtype=np.float64)), math.sqrt(
        float(np.einsum("i,i", values, values, dtype=np.float64)) / values.size
    )


def _worst_correlation(streams: NDArray[np.float32]) -> float:
    """Between any two streams and between neighbours in each, of the values and of their squares."""
    worst = 0.0
    for values in (streams, streams * streams):
        centred = values - values.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
        norms = np.linalg.norm(centred, axis=1)
        pairs = centred @ centred.T / np.outer(norms, norms)
        np.fill_diagonal(pairs, 0.0)
        lagged = np.einsum("ij,ij->i", centred[:, :-1], centred[:, 1:]) / norms**2
        worst = max(worst, float(np.abs(pairs).max()), float(np.abs(lagged).max()))
    return worst


def _plausible(count: int, expected: float) -> bool:
    """Whether a Poisson count of `expected` could be `seen`, two-sided."""
    below, above = float(pdtr(count, expected)), float(pdtrc(count - 1, expected)) if count else 1.0
    return 2 * min(below, above) >= _TAIL_CHANCE
