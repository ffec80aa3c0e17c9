# SPDX-License-Identifier: Apache-2.0
"""How far the sites' noise alone moves a published figure: one standard deviation, by the delta method.

The noise of every count is independent and known (`noise_std`, in the log), so the deviation of a ratio of noised sums
follows from its derivatives at the figure. It says nothing of how well the dev splits stand for other data, and it is
rough where a sum is hardly above its own noise, as those of rare classes are. No figure is printed without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from privacy.base.canonical import DecimalString
from privacy.protocol.messages import SiteMetrics

EXACT_DIGITS = 3


@dataclass(frozen=True)
class Spread:
    """One standard deviation of each figure from noise alone; 0 for exact counts, None where nothing was counted."""

    accuracy: float | None
    macro_f1: float | None


UNKNOWN: Final = Spread(None, None)


def spread(metrics: Sequence[SiteMetrics]) -> Spread:
    """The deviations of the figures that `federation_scores` makes of the same `metrics`, each at most 1.

    With a the accuracy, T the sum of all counts and v the sum over sites of noise_std^2, the variance of
    correct / (correct + incorrect) is v (a^2 + (1 - a)^2) / T^2. Before version 4 of the log accuracy was the ratio of
    two sums over k classes, right / actual: k v (1 + a^2) / T^2. F1 of a class is 2 r / (actual + predicted).
    """
    variance = sum(float(site.noise_std) ** 2 for site in metrics)
    totals = [(c.correct, c.incorrect) for c in metrics if c.correct is not None and c.incorrect is not None]
    if totals and len(totals) == len(metrics):
        correct = sum(one for one, _ in totals)
        whole = correct + sum(one for _, one in totals)
        accuracy = _accuracy_std(correct, whole, lambda a: variance * (a**2 + (1 - a) ** 2))
    else:
        accuracy = _accuracy_std_by_class(metrics, variance)
    return Spread(accuracy, None if accuracy is None else _macro_f1_std(metrics, variance))


def _accuracy_std_by_class(metrics: Sequence[SiteMetrics], variance: float) -> float | None:
    """Of accuracy before version 4 of the log."""
    classes = max((len(site.right) for site in metrics), default=0)
    right, actual = (sum(sum(getattr(site, name)) for site in metrics) for name in ("right", "actual"))
    return _accuracy_std(right, actual, lambda a: classes * variance * (1 + a**2))


def _accuracy_std(part: int, whole: int, variance_at: Callable[[float], float]) -> float | None:
    if whole <= 0:
        return None
    return min(math.sqrt(variance_at(min(max(part / whole, 0.0), 1.0))) / whole, 1.0)


def _macro_f1_std(metrics: Sequence[SiteMetrics], variance: float) -> float | None:
    """None where no counts by class were asked for."""
    summed = [[sum(column) for column in zip(*vectors, strict=False)] for vectors in _vectors(metrics)]
    if not summed[0]:
        return None
    variances = [_f1_variance(r, a + p, variance) for r, a, p in zip(*summed, strict=False)]
    return min(math.sqrt(sum(variances)) / len(variances), 1.0)


def _vectors(metrics: Sequence[SiteMetrics]) -> list[list[tuple[int, ...]]]:
    return [[getattr(site, name) for site in metrics] for name in ("right", "actual", "predicted")]


def _f1_variance(right: int, whole: int, variance: float) -> float:
    """Of 2 r / w, where w is a sum of two noised counts; of one that its noise took below 1, that of any F1 at all."""
    if whole < 1:
        return 0.25 if variance else 0.0
    f1 = min(max(2 * right / whole, 0.0), 1.0)
    return variance * (4 + 2 * f1**2) / whole**2


def figure(value: DecimalString | float | None, deviation: float | None) -> str:
    """A figure with its noise, in as many digits as it has meaning: "0.81 +/- 0.02", "0.812" of exact counts."""
    if value is None:
        return "unknown"
    number = float(value)
    if deviation is None:
        return f"{number:.{EXACT_DIGITS}f} (noise unknown)"
    if deviation == 0:
        return f"{number:.{EXACT_DIGITS}f}"
    digits = min(max(1 - math.floor(math.log10(deviation)), 2), 6)
    return f"{number:.{digits}f} +/- {deviation:.{digits}f}"
