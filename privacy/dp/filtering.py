# SPDX-License-Identifier: Apache-2.0
"""Epsilon that holds for plans chosen by what came out before: a privacy filter of a few members.

PRV and PLD compose parameters that were fixed beforehand. A member bounds a sum that may grow adaptively:

- a Renyi order: the sum of the releases' Renyi divergences (Feldman and Zrnic, arXiv 2008.11193; Lecuyer, 2103.01379),
  each of the Poisson-sampled Gaussian (Mironov et al., 1908.10530), turned into epsilon by Canonne et al., 2004.00010,
  proposition 12;
- GAUSSIAN: the sum of 1 / noise_multiplier^2 (Smith and Thakurta, 2210.17520; Koskela et al., 2209.15596). It is exact
  where all units join each step; a sampled step counts as one without sampling, which is never less.

A history fits a limit if one member says so at its own share of delta; the shares add up to delta. Members and shares
of a data set are fixed at its first charge, before anything was released from it, for good (ADR 27). Without torch.

Proof. Let B be a member's budget. Replace releases that would pass it by nothing: the truncated interaction has Renyi
divergence at most B, whoever chooses (Feldman and Zrnic, theorem 4.3), or is as private as one Gaussian of precision B
(Smith and Thakurta), so (limit, share * delta)-private (Canonne et al.; Balle and Wang, 1805.06530). Steps hold for
adding and removing a unit (Mironov et al.). Sums only grow, so at the end one member is within its budget; splitting
outcomes by the first such, P(S) <= e^limit Q(S) + delta. The same holds in each partition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, log_ndtr

from privacy.base.errors import ContractError
from privacy.dp.composition import Segment, segments
from privacy.dp.params import PARTITIONS, PrivacyEvent

Member = int
"""A Renyi order from 2 on, or GAUSSIAN."""

GAUSSIAN: Final = 0
ORDERS: Final = (2, 3, 4, 5, 6, 8, 11, 16, 24, 40)
"""Integers, where the divergence is a finite sum. 2 serves epsilons of 20, 40 those below 1."""

FAVOURITE_SHARE: Final = 0.8
"""The share of delta of the member that suits a data set's first run best; the others share the rest evenly."""

LARGEST_FAVOURITE: Final = 64

_UP: Final = 1 + 1e-11
"""What rounding in float64 may take off a sum is put on top."""


def shares(favourite: Member) -> dict[Member, float]:
    """Each member's share of delta. They add up to 1, less a rounding error's worth."""
    members = (GAUSSIAN, *ORDERS)
    by_member = dict.fromkeys((*members, favourite), 0.0)
    for member in members:
        by_member[member] += (1 - FAVOURITE_SHARE) / len(members)
    by_member[favourite] += FAVOURITE_SHARE
    return {member: share / _UP for member, share in by_member.items()}


def epsilon_filter(events: Sequence[PrivacyEvent], delta: float, favourite: Member = GAUSSIAN) -> float:
    """The least limit that `events` fit, whoever chose them and when; 0 for no events. It grows with every event.

    Added up inside a partition, the maximum over partitions. `favourite` is of train; dev is counted without sampling,
    so that GAUSSIAN is its own. Raises ContractError for an answer that is negative or not finite.
    """
    epsilons = [0.0]
    for partition in PARTITIONS:
        if history := segments(events, partition):
            epsilons.append(_least(history, delta, favourite if partition == "train" else GAUSSIAN))
    if not all(math.isfinite(epsilon) and epsilon >= 0 for epsilon in epsilons):
        raise ContractError("the filter found no finite epsilon: nothing may be released on it")
    return max(epsilons)


def favourite_of(planned: Sequence[PrivacyEvent], delta: float, limit: float) -> Member:
    """The member under which most of such training fits `limit`: chosen from the plan, before anything was released."""
    history = segments(planned, "train")
    if not history:
        return GAUSSIAN

    def times(member: Member) -> float:
        """How often the whole plan fits."""
        share = FAVOURITE_SHARE * delta
        if member == GAUSSIAN:
            return _largest_precision(limit, share) / _precision(history)
        return max(0.0, limit - _spare(member, share)) / _renyi(history, member)

    members: tuple[Member, ...] = (GAUSSIAN, *range(2, LARGEST_FAVOURITE + 1))
    return max(members, key=times)


@lru_cache(maxsize=1024)
def _least(history: tuple[Segment, ...], delta: float, favourite: Member) -> float:
    return min(_epsilon(history, member, share * delta) for member, share in shares(favourite).items())


def _epsilon(history: tuple[Segment, ...], member: Member, delta: float) -> float:
    """The epsilon at `delta` by one member."""
    if member == GAUSSIAN:
        return gaussian_epsilon(_precision(history), delta)
    return max(0.0, _renyi(history, member) + _spare(member, delta))


# Renyi orders ---------------------------------------------------------------------------------------------------------


def _renyi(history: tuple[Segment, ...], order: int) -> float:
    return math.fsum(steps * divergence(order, noise, rate) for noise, rate, steps in history) * _UP


def _spare(order: int, delta: float) -> float:
    """What epsilon is above the divergence."""
    return math.log1p(-1 / order) - (math.log(delta) + math.log(order)) / (order - 1)


def divergence(order: int, noise_multiplier: float, sample_rate: float) -> float:
    """The Renyi divergence of one step between neighbours, whichever of them has the unit.

    log(1 + sum over k >= 2 of Binomial(order, sample_rate)(k) * (exp((k^2 - k) / (2 noise^2)) - 1)) / (order - 1): all
    terms are positive, so that a tiny spend does not vanish in rounding.
    """
    if sample_rate == 1:
        return order / (2 * noise_multiplier**2)
    k = np.arange(2, order + 1)
    choose = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
    grown = _log_expm1((k * k - k) / (2 * noise_multiplier**2))
    terms = choose + k * math.log(sample_rate) + (order - k) * math.log1p(-sample_rate) + grown
    return float(np.logaddexp(0.0, np.logaddexp.reduce(terms))) / (order - 1)


def _log_expm1(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(exp(x) - 1) for x > 0, also where exp overflows."""
    grown: NDArray[np.float64] = values + np.log(-np.expm1(-values))
    return grown


# The Gaussian sum -----------------------------------------------------------------------------------------------------


def _precision(history: tuple[Segment, ...]) -> float:
    return math.fsum(steps / noise**2 for noise, _, steps in history) * _UP


def gaussian_delta(precision: float, epsilon: float) -> float:
    """The delta at `epsilon` of a Gaussian mechanism whose 1 / noise_multiplier^2 is `precision` (Balle and Wang,
    1805.06530): exact."""
    shift = math.sqrt(precision)
    gain = log_ndtr(shift / 2 - epsilon / shift)
    loss = epsilon + log_ndtr(-shift / 2 - epsilon / shift)
    return math.exp(gain) * -math.expm1(min(0.0, loss - gain))


def gaussian_epsilon(precision: float, delta: float) -> float:
    """The least epsilon at which that delta is at most `delta`, from above."""
    high = precision / 2 + math.sqrt(2 * precision * math.log(1 / delta))
    return _bisect(lambda epsilon: gaussian_delta(precision, epsilon) <= delta, 0.0, high)


def _largest_precision(epsilon: float, delta: float) -> float:
    """The largest precision that keeps `epsilon` at `delta`, nearly."""
    return _bisect(lambda precision: gaussian_delta(precision, epsilon) > delta, 0.0, 2 * epsilon + 1)


def _bisect(holds: Callable[[float], bool], low: float, high: float) -> float:
    """The least value in (low, high] for which `holds` is true, from above; it is true of `high` and stays so."""
    width = 1e-9 * high
    while high - low > width:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
