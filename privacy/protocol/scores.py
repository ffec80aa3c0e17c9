# SPDX-License-Identifier: Apache-2.0
"""The federation's accuracy and macro-F1 from the sites' noised counts: one rule, in exact fractions, for all who
recompute it.

Counts are added over the sites before anything is cut off, so that the noise of many sites averages out. Accuracy is
the sum of correct over correct and incorrect (before version 4 of the log: of right over actual by class): a ratio of
unbiased sums. Macro-F1 is there where counts by class were asked for. F1 of a class is 2 * right / (actual + predicted)
with each sum cut off at 0, and every ratio is cut off at 1. Cutting off biases the F1 of a rare class, whose sums are
near or below the noise, and with it macro-F1; with few examples a class, read macro-F1 as rough. A class with nothing
actual and nothing predicted counts as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from privacy.base.canonical import DecimalString, decimal_string
from privacy.base.errors import ContractError
from privacy.protocol.messages import SiteMetrics

DIGITS: Final = 6


def federation_scores(
    labels_count: int, metrics: Sequence[SiteMetrics]
) -> tuple[DecimalString | None, DecimalString | None]:
    """(accuracy, macro_f1), rounded half to even at six digits; (None, None) when the sums leave nothing to count.

    Raises ContractError("wrong_shape") unless every vector has `labels_count` counts, or none has any. The order of
    `metrics` does not matter.
    """
    totals = _totals(metrics)
    if totals is None:
        return _by_class(labels_count, metrics)
    correct, whole = totals
    if whole <= 0:
        return None, None
    by_class = any(site.right or site.actual or site.predicted for site in metrics)
    macro_f1 = _by_class(labels_count, metrics)[1] if by_class else None
    return _rounded(_ratio(max(correct, 0), whole)), macro_f1


def _totals(metrics: Sequence[SiteMetrics]) -> tuple[int, int] | None:
    """Right, and right and wrong, over all sites; None in logs that hold counts by class alone."""
    counts = [(site.correct, site.incorrect) for site in metrics]
    known = [(correct, wrong) for correct, wrong in counts if correct is not None and wrong is not None]
    if known and len(known) != len(counts):
        raise ContractError("some sites counted right and wrong, others did not", reason="wrong_shape")
    correct = sum(one for one, _ in known)
    return (correct, correct + sum(one for _, one in known)) if known else None


def _by_class(labels_count: int, metrics: Sequence[SiteMetrics]) -> tuple[DecimalString | None, DecimalString | None]:
    """Accuracy and macro-F1 from counts by class alone."""
    right = _summed([site.right for site in metrics], labels_count)
    actual = _summed([site.actual for site in metrics], labels_count)
    predicted = _summed([site.predicted for site in metrics], labels_count)
    if sum(actual) <= 0:
        return None, None
    f1 = Fraction(0)
    for r, a, p in zip(right, actual, predicted, strict=True):
        f1 += _ratio(2 * max(r, 0), max(a, 0) + max(p, 0))
    return _rounded(_ratio(max(sum(right), 0), sum(actual))), _rounded(f1 / labels_count)


def _summed(vectors: Sequence[tuple[int, ...]], labels_count: int) -> list[int]:
    if any(len(vector) != labels_count for vector in vectors):
        raise ContractError(f"counts must come for each of {labels_count} labels", reason="wrong_shape")
    return [sum(column) for column in zip(*vectors, strict=True)]


def _ratio(part: int, whole: int) -> Fraction:
    return min(Fraction(part, whole), Fraction(1)) if whole > 0 else Fraction(0)


def _rounded(value: Fraction) -> DecimalString:
    return decimal_string(Decimal(round(value * 10**DIGITS)).scaleb(-DIGITS))
