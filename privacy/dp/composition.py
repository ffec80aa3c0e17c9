# SPDX-License-Identifier: Apache-2.0
"""What every accountant shares, without torch: parallel partitions, merged segments, the search for a noise multiplier.

Train and dev hold disjoint privacy units, and which part a unit is in depends on that unit's own keyed hash alone.
Adding or removing a unit therefore changes one part only, the other part's releases are the same in law, and the
whole history costs the MAXIMUM over partitions (parallel composition, McSherry 2009). Inside a partition all events
compose. This holds while the site keeps its split and the names of its units: where the ledger knows of another name,
all partitions compose as one (`as_one_sequence`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from privacy.base.errors import ContractError, SettingsError
from privacy.dp.params import PARTITIONS, Accountant, Partition, PrivacyEvent

Segment = tuple[float, float, int]
"""(noise_multiplier, sample_rate, steps)"""

RDP_FALLBACK_EPSILON = 200.0
"""Above this epsilon the fast RDP bound is returned as it is: finer accounting would only cost time and memory."""

_DIGITS = 4
_SMALLEST, _LARGEST = 0.01, 1e5


@dataclass(frozen=True)
class Accounted:
    """An upper bound of epsilon, and whose it is."""

    epsilon: float
    accountant: Accountant


def segments(events: Sequence[PrivacyEvent], partition: Partition) -> tuple[Segment, ...]:
    """The events of one partition with the steps of equal (noise_multiplier, sample_rate) added up."""
    steps: dict[tuple[float, float], int] = {}
    for event in events:
        if event.partition == partition:
            key = (float(event.noise_multiplier), float(event.sample_rate))
            steps[key] = steps.get(key, 0) + event.steps
    return tuple((noise, rate, count) for (noise, rate), count in sorted(steps.items()))


def as_one_sequence(events: Sequence[PrivacyEvent]) -> list[PrivacyEvent]:
    """The same releases, as if all had read one part: what holds once a unit may have been in both."""
    return [event.model_copy(update={"partition": PARTITIONS[0]}) for event in events]


def over_partitions(
    events: Sequence[PrivacyEvent], account: Callable[[tuple[Segment, ...]], Accounted], nothing: Accountant
) -> Accounted:
    """The largest epsilon of a partition, with its own accountant; 0 by `nothing` for no events.

    Raises ContractError for a negative or non-finite one.
    """
    accounted = [Accounted(0.0, nothing)]
    for partition in PARTITIONS:
        if history := segments(events, partition):
            accounted.append(account(history))
    if not all(math.isfinite(one.epsilon) and one.epsilon >= 0 for one in accounted):
        raise ContractError(
            "the accountant returned a negative or non-finite epsilon: nothing may be released on it",
            next_step="plan more noise or fewer steps; report the plan's noise, sample rate and steps as a bug",
        )
    return max(accounted, key=lambda one: one.epsilon)


def smallest_noise_multiplier(
    epsilon_of: Callable[[float], float], target_epsilon: float, *, start: float = 0.5, widen: float = 2.0
) -> float:
    """The smallest noise multiplier of four significant digits, up to a step or two, whose epsilon meets the target.

    `epsilon_of` falls with the noise. The search opens at `start`, first by the factor `widen`, then by its squares.
    The result itself is checked. Raises SettingsError when none up to 1e5 meets the target.
    """
    if not (math.isfinite(target_epsilon) and target_epsilon > 0):
        raise SettingsError("target_epsilon must be finite and above 0")
    low, high = _bracket(lambda noise: epsilon_of(noise) <= target_epsilon, start, widen)
    while high / low > 1.0005:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if epsilon_of(middle) > target_epsilon else (low, middle)
    chosen = _round_up(high)
    while epsilon_of(chosen) > target_epsilon:
        chosen = _round_up(chosen * 1.0001)
    return chosen


def _bracket(meets: Callable[[float], bool], start: float, widen: float) -> tuple[float, float]:
    """(too little noise or the least considered, enough noise)."""
    low = high = start
    if meets(start):
        while low > _SMALLEST and meets(low := low / widen):
            high, widen = low, widen * widen
        return low, high
    while not meets(high := min(high * widen, _LARGEST)):
        if high >= _LARGEST:
            raise SettingsError("no noise reaches target_epsilon", next_step="raise target_epsilon or take fewer steps")
        low, widen = high, widen * widen
    return low, high


def _round_up(value: float) -> float:
    exact = Decimal(value)
    place = Decimal(1).scaleb(exact.adjusted() - _DIGITS + 1)
    return float(exact.quantize(place, rounding=ROUND_CEILING))
