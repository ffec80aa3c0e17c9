# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the counts that a site says: the one rule of coordinator and auditor.

Counts are noised at the site, so no count can be held against the truth. What can be held is their form, that they
bear exactly the plan's noise, and that none is larger than declared bucket and noise allow: else one site's word would
decide which model is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from privacy.protocol.messages import SiteMetrics
from privacy.protocol.plans import EvaluationPlan
from privacy.protocol.reasons import Fault, unless

_LAST_DIGITS: Final = Decimal("1e-12")


def faults(metrics: SiteMetrics, plan: EvaluationPlan, size_bucket: int, *, public: bool) -> Iterator[Fault]:
    """All that is wrong with `metrics` as an answer to `plan`. `public`: an evaluator, whose counts bear no noise."""
    lengths = {len(metrics.right), len(metrics.actual), len(metrics.predicted)}
    if plan.figures == "accuracy":
        if lengths != {0}:
            yield Fault("there are counts by class, which nobody asked for")
    elif lengths != {plan.task.num_outputs}:
        yield Fault("there is not one count a label")
    planned = "0" if public else plan.noise_std()
    noise = f"the counts bear noise of {metrics.noise_std}, the plan asked for {planned}"
    if plan.figures is None:  # a log of version 1 to 3, whose sites might round the last digit otherwise
        least = Decimal(planned) * (1 - _LAST_DIGITS)
        yield from unless(Decimal(metrics.noise_std) >= least, noise)
        return
    if metrics.noise_std != planned:
        yield Fault(noise)
    yield from _of_size(metrics, plan.largest_count(size_bucket, planned), public)


def _of_size(metrics: SiteMetrics, largest: int, public: bool) -> Iterator[Fault]:
    if metrics.correct is None or metrics.incorrect is None:
        yield Fault("the counts of right and wrong are missing")
        return
    counts = (metrics.correct, metrics.incorrect, *metrics.right, *metrics.actual, *metrics.predicted)
    if any(abs(count) > largest for count in counts):
        yield Fault(f"a count is larger than the declared size allows ({largest})")
    if public and any(count < 0 for count in counts):
        yield Fault("an exact count is negative")
