# SPDX-License-Identifier: Apache-2.0
"""A lower bound of epsilon from one training run (Steinke, Nasr, Jagielski, NeurIPS 2023, arXiv 2305.08846).

m canaries are each put into the data by a fair coin of their own. Whoever saw the training scores each of them and
guesses the coins where the scores are most telling. If the training is (epsilon, delta)-private with one canary as the
unit, right guesses are no more likely than a binomial of probability e^epsilon / (1 + e^epsilon) allows, but for a
term of delta (their theorem 5.2): so many right guesses refute an epsilon at a chosen confidence.

A bound above the claimed epsilon is proof, at that confidence, that the claim is false. A bound below it proves
nothing: a better adversary may do better, and the bound of an honest Gaussian mechanism lies well under its epsilon.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

Coins = NDArray[np.bool_]
Scores = NDArray[np.float64]
TrainAndScore = Callable[[Coins], Scores]
"""Trains with the canaries whose coin is True; scores all of them, the likelier in the higher."""

GUESSES: Final = ((0.02, 0.0), (0.05, 0.0), (0.05, 0.05), (0.2, 0.2), (0.4, 0.4))
"""Shares of the canaries that are guessed in (the highest scores) and out (the lowest): fixed before any run."""
MOST_EPSILON: Final = 50.0


@dataclass(frozen=True)
class Audit:
    """What one run shows. `refuted`: the claim is false, at `confidence`."""

    canaries: int
    guesses: int
    right: int
    epsilon_claimed: float
    epsilon_lower: float
    delta: float
    confidence: float

    @property
    def refuted(self) -> bool:
        return self.epsilon_lower > self.epsilon_claimed


def audit(run: TrainAndScore, coins: Coins, *, epsilon_claimed: float, delta: float, confidence: float = 0.95) -> Audit:
    """Train once and bound epsilon from below. `coins` are fair, independent and unknown to whoever scores.

    The best of len(GUESSES) ways to guess counts, each at its share of 1 - confidence (Bonferroni).
    """
    return best_bound(run(coins), coins, epsilon_claimed=epsilon_claimed, delta=delta, confidence=confidence)


def best_bound(scores: Scores, coins: Coins, *, epsilon_claimed: float, delta: float, confidence: float) -> Audit:
    """The bound that `scores` give."""
    canaries, chance = len(coins), (1 - confidence) / len(GUESSES)
    order = np.argsort(-scores, kind="stable")
    bounds = []
    for share_in, share_out in GUESSES:
        guessed_in, guessed_out = round(share_in * canaries), round(share_out * canaries)
        right = int(coins[order[:guessed_in]].sum() + (~coins[order[canaries - guessed_out :]]).sum())
        guesses = guessed_in + guessed_out
        bounds.append((epsilon_lower_bound(canaries, guesses, right, delta, chance), guesses, right))
    lower, guesses, right = max(bounds)
    return Audit(canaries, guesses, right, epsilon_claimed, lower, delta, confidence)


def p_value(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """A bound of the chance of so many right guesses, or more, under (epsilon, delta)-privacy: their theorem 5.2.

    0 <= right <= guesses <= canaries.
    """
    if not 0 <= right <= guesses <= canaries:
        raise ValueError("there are at most as many right guesses as guesses, and as many guesses as canaries")
    rate = 1 / (1 + math.exp(-epsilon))
    at_least = float(binom.sf(right - 1, guesses, rate))
    if right == 0:
        return 1.0
    steps = np.arange(1, right + 1)
    just_below = np.cumsum(binom.pmf(right - steps, guesses, rate))
    return min(1.0, at_least + 2 * canaries * delta * float((just_below / steps).max()))


def epsilon_lower_bound(canaries: int, guesses: int, right: int, delta: float, chance: float) -> float:
    """The greatest epsilon that is refuted at p-value `chance`; 0 if none is. At most MOST_EPSILON."""
    if p_value(canaries, guesses, right, 0.0, delta) > chance:
        return 0.0
    low, high = 0.0, MOST_EPSILON
    for _ in range(50):
        middle = (low + high) / 2
        refuted = p_value(canaries, guesses, right, middle, delta) <= chance
        low, high = (middle, high) if refuted else (low, middle)
    return low


def likelihood_scores(projections: NDArray[np.float64], sample_rate: float) -> Scores:
    """The likelihood ratio of "in" against "out" of each canary, for a white-box adversary; shape (canaries,).

    `projections` (steps, canaries): what each step released along each canary's own clipped gradient, so scaled that a
    drawn canary adds 1. The noise's size is estimated from them and not believed, `sample_rate` in (0, 1) is the claim.
    """
    centred = projections - np.median(projections, axis=1, keepdims=True)
    std = max(1.4826 * float(np.median(np.abs(centred))), 1e-3)
    drawn = math.log(sample_rate) + (centred - 0.5) / std**2
    scores: Scores = np.logaddexp(math.log1p(-sample_rate), drawn).sum(axis=0)
    return scores


def refutable(canaries: int, delta: float, confidence: float = 0.95) -> float:
    """The greatest bound that so many canaries can give: all guesses right, in the best of the ways to guess."""
    chance = (1 - confidence) / len(GUESSES)
    guesses: Sequence[int] = [round(a * canaries) + round(b * canaries) for a, b in GUESSES]
    return max(epsilon_lower_bound(canaries, count, count, delta, chance) for count in guesses)
