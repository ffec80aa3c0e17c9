# SPDX-License-Identifier: Apache-2.0
"""Counts of right, actual and predicted per class, with Gaussian noise, as a site sends them.

One privacy unit counts once: under `patient` one dev note of each patient is evaluated (the first by keyed hash), so
that adding or removing a unit changes each of three vectors by at most the plan's `counted` (1) in l1: l2 sensitivity
counted * sqrt(3). The noise's standard deviation is noise_multiplier times that for each count; rounding after it is
post-processing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from privacy.canonical import decimal_string
from privacy.dp.noise import noised_counts
from privacy.dp.params import PrivacySpent
from privacy.exchange.messages import SiteMetrics
from privacy.identifiers import Digest
from privacy.randomness import SecretSeed


@dataclass(frozen=True)
class Counts:
    """Exact counts per class. They stay at the site."""

    right: tuple[int, ...]
    actual: tuple[int, ...]
    predicted: tuple[int, ...]

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


def noised_metrics(
    counts: Counts,
    noise_multiplier: str | None,
    sensitivity: float,
    seed: SecretSeed,
    plan_digest: Digest,
    spent: PrivacySpent | None,
    seen_tree_size: int,
) -> SiteMetrics:
    """The reply's body. Without a noise multiplier (public data, a non-private run) the counts are exact and say so.

    `sensitivity` is what one unit can move the counts by, in l2 (TaskPlan.counts_sensitivity).
    """
    labels = len(counts.right)
    exact = np.array(counts.right + counts.actual + counts.predicted, np.int64)
    std = 0.0 if noise_multiplier is None else float(noise_multiplier) * sensitivity
    sent = [int(value) for value in exact] if std == 0 else noised_counts(exact, std, seed.derive("counts"))
    return SiteMetrics(
        plan_digest=plan_digest,
        right=tuple(sent[:labels]),
        actual=tuple(sent[labels : 2 * labels]),
        predicted=tuple(sent[2 * labels :]),
        noise_std=decimal_string(std),
        spent=spent,
        seen_tree_size=seen_tree_size,
    )
