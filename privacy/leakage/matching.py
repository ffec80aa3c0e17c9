# SPDX-License-Identifier: Apache-2.0
"""The matched filter: which of some candidates was in the batch, told from what left the site.

Whoever knows the model knows the clipped gradient g of each candidate, and under Gaussian noise the likeliest one is
that with the greatest <o, g> - |g|^2 / 2, o being what was received. No test does better (Neyman, Pearson), so this is
what noise must stand against; the span check (privacy.leakage.inversion) only asks whether words can be read off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm

SURE: Final = 0.001
"""How rarely chance may put an honest mechanism above what it allows before the check fails."""


@dataclass(frozen=True)
class Matched:
    """How often the filter named the one of `candidates` that was trained on, in `tries`."""

    noise_multiplier: str
    candidates: int
    tries: int
    found: int
    mean_rank: float
    """Where the true one stood, 0 for the first; chance is (candidates - 1) / 2."""

    @property
    def rate(self) -> float:
        return self.found / self.tries

    @property
    def allowed(self) -> float:
        """The greatest rate that a step of this noise allows, on average over the candidates."""
        return allowed(self.candidates, float(self.noise_multiplier))

    @property
    def holds(self) -> bool:
        """Whether so many hits are plausible under the noise that is claimed."""
        return float(binom.sf(self.found - 1, self.tries, self.allowed)) >= SURE


def likelihoods(received: NDArray[np.float32], gradient: NDArray[np.float32]) -> NDArray[np.float64]:
    """The log likelihood of one candidate, up to a constant and the noise's variance, for each of `received` (n, d)."""
    own = float(np.einsum("i,i", gradient, gradient, dtype=np.float64))
    return np.asarray(received @ gradient, np.float64) - own / 2


def matched(scores: NDArray[np.float64], true: NDArray[np.int64], noise_multiplier: str) -> Matched:
    """From the scores of every candidate in every try, (tries, candidates), and who was in."""
    own = scores[np.arange(len(true)), true]
    ranks = (scores > own[:, None]).sum(axis=1)
    return Matched(noise_multiplier, scores.shape[1], len(true), int((ranks == 0).sum()), float(ranks.mean()))


def allowed(candidates: int, noise_multiplier: float) -> float:
    """The greatest share of right answers under a noise, Phi(Phi^-1(1 / candidates) + 1 / noise).

    With no note in the batch each candidate is named in one of `candidates` cases, and a note makes its own name as
    much likelier as the Gaussian trade-off lets it (Dong, Roth, Su, arXiv 1905.02383).
    """
    if noise_multiplier <= 0:
        return 1.0
    return float(norm.cdf(norm.ppf(1 / candidates) + min(1 / noise_multiplier, math.inf)))
