# SPDX-License-Identifier: Apache-2.0
"""Epsilon by privacy loss distributions, with dp-accounting alone: the auditor's and the coordinator's accountant.

No torch and no Opacus, so that a claim made with one library is checked with another. Discretization is pessimistic:
the result is an upper bound for adding and for removing a unit (Koskela et al., arXiv 1906.03049; Doroshenko et al.,
2207.04380).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from dp_accounting import dp_event
from dp_accounting.pld import privacy_loss_distribution
from dp_accounting.rdp import RdpAccountant

from privacy.dp.composition import RDP_FALLBACK_EPSILON, Accounted, Segment, over_partitions
from privacy.dp.params import PrivacyEvent

_INTERVAL = 1e-3
"""Width of a bin of the privacy loss; at 1e-4 the results differ by less than 1e-3 and take ten times as long."""

_ORDERS = (*range(2, 64), 80, 96, 128, 192, 256, 512)
"""Renyi orders of the bound: integers, where the sampled Gaussian has a finite sum."""


def account(events: Sequence[PrivacyEvent], delta: float) -> Accounted:
    """What `events` cost together at `delta`: composed inside a partition, the maximum over partitions."""
    return over_partitions(events, lambda history: account_of(history, delta), "pld")


def epsilon_pld(events: Sequence[PrivacyEvent], delta: float) -> float:
    """The figure of `account`."""
    return account(events, delta).epsilon


def epsilon_of(history: tuple[Segment, ...], delta: float) -> float:
    """The figure of `account_of`."""
    return account_of(history, delta).epsilon


@lru_cache(maxsize=256)
def account_of(history: tuple[Segment, ...], delta: float) -> Accounted:
    """The epsilon of segments that compose: one partition. Where the RDP bound is hopelessly high, that bound.

    RDP is never taken for being the lower one: by rounding it can report 0 for a tiny spend.
    """
    bound = _epsilon_rdp(history, delta)
    if not bound <= 5 * RDP_FALLBACK_EPSILON:  # integer orders are loose up there
        return Accounted(bound, "rdp")
    composed = privacy_loss_distribution.identity(_INTERVAL)
    for noise_multiplier, sample_rate, steps in history:
        step = privacy_loss_distribution.from_gaussian_mechanism(
            noise_multiplier, sampling_prob=sample_rate, value_discretization_interval=_INTERVAL
        )
        composed = composed.compose(step.self_compose(steps))
    return Accounted(float(composed.get_epsilon_for_delta(delta)), "pld")


def _epsilon_rdp(history: tuple[Segment, ...], delta: float) -> float:
    accountant = RdpAccountant(_ORDERS)
    for noise_multiplier, sample_rate, steps in history:
        sampled = dp_event.PoissonSampledDpEvent(sample_rate, dp_event.GaussianDpEvent(noise_multiplier))
        accountant.compose(dp_event.SelfComposedDpEvent(sampled, steps))
    return float(accountant.get_epsilon(delta))
