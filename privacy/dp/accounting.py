# SPDX-License-Identifier: Apache-2.0
"""Epsilon by Opacus: PRV calibrates and charges, RDP stands beside it, GDP is refused.

PRV (Gopi et al., arXiv 2106.02848) returns its upper bound, its own error included. It is a few tenths of a percent
above PLD; RDP is sound but some 13 % higher; GDP is a limit theorem that reports LESS than is spent. Past 5000 steps
PRV takes minutes, and PLD (privacy.dp.pld) takes its place. Importing this loads torch (through Opacus): the
coordinator and the auditor use privacy.dp.pld.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from opacus.accountants import PRVAccountant, RDPAccountant

from privacy.base.errors import SettingsError
from privacy.dp import pld
from privacy.dp.composition import RDP_FALLBACK_EPSILON, Accounted, Segment, over_partitions, smallest_noise_multiplier
from privacy.dp.params import PrivacyEvent

PRV_STEPS = 5000
"""The longest partition that PRV accounts for."""

SMALLEST_TARGET = 0.05
"""PRV's answers carry an error of up to 0.01, so that a smaller target cannot be calibrated to."""


def account(events: Sequence[PrivacyEvent], delta: float) -> Accounted:
    """What `events` cost together at `delta`, an upper bound for the unit they were made for; 0 for no events.

    Composed inside a partition, the maximum over partitions: see privacy.dp.composition for why. The label is that of
    the accountant that gave the figure. Raises ContractError when the answer is negative or not finite.
    """
    return over_partitions(events, lambda history: _prv(history, delta), "prv")


def epsilon(events: Sequence[PrivacyEvent], delta: float) -> float:
    """The figure of `account`."""
    return account(events, delta).epsilon


def epsilon_rdp(events: Sequence[PrivacyEvent], delta: float) -> float:
    """The same by Renyi DP: a second opinion that is never below the truth, and coarser."""
    return over_partitions(events, lambda history: Accounted(_rdp(history, delta), "rdp"), "rdp").epsilon


def calibrate(target_epsilon: float, delta: float, sample_rate: float, steps: int) -> float:
    """The noise multiplier, four significant digits, with which `steps` planned steps cost at most `target_epsilon`.

    `steps` is the whole planned run, all rounds. Rounded up, then verified by `epsilon`'s own arithmetic.
    PLD, which is fast, opens the search. Raises SettingsError when no noise reaches the target.
    """
    if target_epsilon < SMALLEST_TARGET:
        raise SettingsError(f"target_epsilon is below {SMALLEST_TARGET}, which PRV cannot tell from 0")
    near = smallest_noise_multiplier(
        lambda noise: pld.epsilon_of(((noise, sample_rate, steps),), delta), target_epsilon
    )
    return smallest_noise_multiplier(
        lambda noise: _prv(((noise, sample_rate, steps),), delta).epsilon, target_epsilon, start=near, widen=1.002
    )


@lru_cache(maxsize=256)
def _prv(history: tuple[Segment, ...], delta: float) -> Accounted:
    bound = _rdp(history, delta)
    if not bound <= RDP_FALLBACK_EPSILON:
        return Accounted(bound, "rdp")
    if sum(steps for _, _, steps in history) > PRV_STEPS:
        return pld.account_of(history, delta)
    return Accounted(_opacus(PRVAccountant(), history, delta), "prv")


def _rdp(history: tuple[Segment, ...], delta: float) -> float:
    return _opacus(RDPAccountant(), history, delta)


def _opacus(kind: PRVAccountant | RDPAccountant, history: tuple[Segment, ...], delta: float) -> float:
    kind.history = list(history)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # log(1 - sample_rate) at rate 1, and hints that RDP could be tighter
        return float(kind.get_epsilon(delta))
