# SPDX-License-Identifier: Apache-2.0
"""Membership by loss: a row that was trained on has a lower loss than one that was not (Yeom et al., arXiv 1709.01604).

Reported as the true positive rate at a false positive rate of 1 %, because an average over all rows hides who is
exposed (Carlini et al., arXiv 2112.03570). Under (epsilon, delta)-privacy no attack has a rate above
e^epsilon x 0.01 + delta: a confidence interval that lies above it refutes the claim. A low loss alone is a weak sign,
because some rows are easy for every model; against shadow models, which never saw the row, it becomes a stronger one
(the offline likelihood ratio of the same paper, with one variance for all rows).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binom

FALSE_POSITIVES: Final = 0.01
_SIDE: Final = 0.0125
Losses = NDArray[np.float64]


@dataclass(frozen=True)
class Membership:
    """`tpr` at FALSE_POSITIVES with its interval at 95 %; `auc` is 1/2 for an attack that knows nothing."""

    members: int
    others: int
    tpr: float
    low: float
    high: float
    auc: float


def membership(members: Losses, others: Losses) -> Membership:
    """Tell `members` from `others`, drawn alike and not trained on, by low losses.

    The interval allows for both samples: the threshold lies between two order statistics of the others, the members
    below either are a binomial (Clopper-Pearson). Each half may be wrong in 2.5 %, so together in 5 % at most.
    """
    count = len(others)
    if count * FALSE_POSITIVES < 1:
        raise ValueError("a false positive rate of 1 % needs at least 100 rows that are no members")
    ordered = np.concatenate([[-np.inf], np.sort(others), [np.inf]])
    lower_rank, upper_rank = (int(binom.ppf(side, count, FALSE_POSITIVES)) for side in (_SIDE, 1 - _SIDE))
    low = _fewest(int((members < ordered[lower_rank]).sum()), len(members))
    high = 1 - _fewest(int((members >= ordered[upper_rank + 1]).sum()), len(members))
    return Membership(len(members), count, _tpr(members, others), low, high, _auc(members, others))


def _fewest(hits: int, trials: int) -> float:
    """The least probability under which so many hits are not too many (Clopper-Pearson, one-sided)."""
    return float(beta.ppf(_SIDE, hits, trials - hits + 1)) if hits else 0.0


def against_shadows(losses: Losses, shadows: Losses) -> Losses:
    """How little the loss of each row is what models say that never saw it: low for a member, as a loss is.

    `losses` (rows,) of the attacked model, `shadows` (models, rows). On the scale of the log-odds of the right label.
    """
    advantage: Losses = _odds(losses) - _odds(shadows).mean(axis=0)
    return -advantage


def _odds(losses: Losses) -> Losses:
    probability = np.exp(-losses)
    odds: Losses = np.log(np.maximum(probability, 1e-12)) - np.log(np.maximum(-np.expm1(-losses), 1e-12))
    return odds


def bound(epsilon: float, delta: float) -> float:
    """The greatest true positive rate that (epsilon, delta)-privacy allows."""
    return min(1.0, math.exp(epsilon) * FALSE_POSITIVES + delta)


def _tpr(members: Losses, others: Losses) -> float:
    """The share of members below the loss that 1 % of the others are below."""
    allowed = int(FALSE_POSITIVES * len(others))
    threshold = np.partition(others, allowed)[allowed]
    return float((members < threshold).mean())


def _auc(members: Losses, others: Losses) -> float:
    """The chance that a member's loss is below another row's; ties count half."""
    ordered = np.sort(others)
    above = len(ordered) - np.searchsorted(ordered, members, "right")
    tied = np.searchsorted(ordered, members, "right") - np.searchsorted(ordered, members, "left")
    return float((above + tied / 2).mean() / len(ordered))
