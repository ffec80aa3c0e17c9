# SPDX-License-Identifier: Apache-2.0
"""Counts of right and wrong, and of right, actual and predicted per class, with Gaussian noise, as a site sends them.

One privacy unit counts once: under `patient` one dev note of each patient is evaluated (the first by keyed hash), so
that adding or removing a unit moves the counts by at most TaskPlan.counts_sensitivity in l2. The noise's standard
deviation is noise_multiplier times that for each count; rounding and cutting off after it are post-processing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from privacy.base.canonical import DecimalString, digest_of
from privacy.base.randomness import SecretSeed
from privacy.dp.noise import noised_counts
from privacy.dp.params import PrivacySpent
from privacy.protocol.messages import SiteMetrics
from privacy.protocol.plans import EvaluationPlan


@dataclass(frozen=True)
class Counts:
    """Exact counts per class. They stay at the site."""

    right: tuple[int, ...]
    actual: tuple[int, ...]
    predicted: tuple[int, ...]

    @property
    def correct(self) -> int:
        """Right answers, in all."""
        return sum(self.right)

    @property
    def incorrect(self) -> int:
        """What should have been answered and was not."""
        return sum(self.actual) - sum(self.right)

    @property
    def accuracy(self) -> float | None:
        """Share of right answers; None without examples."""
        total = sum(self.actual)
        return sum(self.right) / total if total else None

    @property
    def macro_f1(self) -> float:
        """The mean over all classes of 2 * right / (actual + predicted); a class with neither counts as 0."""
        scores = [
            2 * right / (actual + predicted) if actual + predicted else 0.0
            for right, actual, predicted in zip(self.right, self.actual, self.predicted, strict=True)
        ]
        return sum(scores) / len(scores)


@dataclass(frozen=True)
class CountNoise:
    """The noise of all counts of a reply, and the seed that it is drawn from.

    `std` is "0" or what the plan asks for (EvaluationPlan.noise_std). Noised counts are cut off where the plan says
    that no count may lie, for the declared `size_bucket`.
    """

    std: DecimalString
    seed: SecretSeed
    size_bucket: int


def noised_metrics(
    counts: Counts, plan: EvaluationPlan, noise: CountNoise, spent: PrivacySpent | None, seen_tree_size: int
) -> SiteMetrics:
    """The reply's body. Without noise (public data, a non-private run) the counts are exact and say so."""
    labels = len(counts.right) if plan.figures == "per_class" else 0
    by_class = counts.right + counts.actual + counts.predicted if labels else ()
    exact = np.array((counts.correct, counts.incorrect, *by_class), np.int64)
    sent = [int(value) for value in exact]
    if noise.std != "0":
        largest = plan.largest_count(noise.size_bucket, noise.std)
        noised = noised_counts(exact, float(noise.std), noise.seed.derive("counts"))
        sent = [max(-largest, min(largest, value)) for value in noised]
    return SiteMetrics(
        plan_digest=digest_of(plan),
        correct=sent[0],
        incorrect=sent[1],
        right=tuple(sent[2 : 2 + labels]),
        actual=tuple(sent[2 + labels : 2 + 2 * labels]),
        predicted=tuple(sent[2 + 2 * labels :]),
        noise_std=noise.std,
        spent=spent,
        seen_tree_size=seen_tree_size,
    )
