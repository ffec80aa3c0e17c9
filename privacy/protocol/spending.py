# SPDX-License-Identifier: Apache-2.0
"""Is what a site says it spent possible, and does it cost what it says? One accountant (dp-accounting's PLD) checks
the other's.

A site reports all events of this run so far. They must hold every event whose answer is in the log, and nothing that
no plan of this run asked of the site: an attempt that crashed stays charged, so there may be more events than
answers, never fewer. The claimed epsilon may be above what PLD computes, never below it. Without torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache

from pydantic import ValidationError

from privacy.base.errors import CollabError, ContractError
from privacy.base.identifiers import SiteId
from privacy.dp.params import PrivacyEvent, PrivacyParams, PrivacySpent, Unit
from privacy.protocol.plans import EvaluationPlan
from privacy.protocol.reasons import Fault, unless

TOLERANCE = Decimal("0.001")
"""The width of a bin of PLD's privacy loss: its epsilon is pessimistic by about as much."""


@lru_cache(maxsize=4096)
def _epsilon(events: tuple[tuple[PrivacyEvent, int], ...], delta: str) -> float:
    from privacy.dp.pld import epsilon_pld  # loads scipy, which `show` and `replay` need not wait for

    return epsilon_pld([event for event, times in events for _ in range(times)], float(delta))


def epsilon_of(events: Sequence[PrivacyEvent], delta: str) -> float:
    """The epsilon of `events` at `delta` by PLD, remembered: sites of one round mostly report the same events."""
    counted = sorted(Counter(events).items(), key=lambda item: item[0].model_dump_json())
    return _epsilon(tuple(counted), delta)


def counting_event(plan: EvaluationPlan) -> PrivacyEvent | None:
    """What noised counts release; None when the plan asks for no noise. ContractError when its noise is no noise."""
    if plan.noise_multiplier is None:
        return None
    try:
        return PrivacyEvent(noise_multiplier=plan.noise_multiplier, sample_rate="1", steps=1, partition="dev")
    except ValidationError:
        raise ContractError("the counts' noise multiplier is no positive number") from None


def overspent(private: PrivacyParams, events: Sequence[PrivacyEvent]) -> str | None:
    """What is wrong with a run whose planned `events` cannot keep the target of its `private`."""
    try:
        epsilon = epsilon_of(events, private.target_delta)
    except (CollabError, ArithmeticError, ValueError):
        return "the plan's events cannot be accounted for"
    if Decimal(epsilon) <= Decimal(private.target_epsilon) + TOLERANCE:
        return None
    return f"the whole planned run costs epsilon {epsilon:.3f}, the plan promises {private.target_epsilon}"


@dataclass(frozen=True)
class ClaimedRelease:
    """One answer of a site: what it released (None: nothing private), and what the site says that it has spent."""

    event: PrivacyEvent | None
    spent: PrivacySpent | None


@dataclass
class Spending:
    """What the sites of one run were asked for and have answered. `checked` counts the claims that were recomputed."""

    _requested: dict[SiteId, set[PrivacyEvent]] = field(default_factory=dict)
    _answered: dict[SiteId, Counter[PrivacyEvent]] = field(default_factory=dict)
    checked: int = 0

    def ask(self, site: SiteId, event: PrivacyEvent | None) -> None:
        """A logged plan asks `site` for a release."""
        if event is not None:
            self._requested.setdefault(site, set()).add(event)

    def faults(self, site: SiteId, release: ClaimedRelease, unit: Unit, delta: str) -> Iterator[Fault]:
        """What is wrong with what `site` claims, now that it made `release`."""
        event, spent = release.event, release.spent
        if event is None or spent is None:
            sentence = "privacy is claimed for a release that is not private, or missing for one that is"
            yield from unless(event is None and spent is None, sentence)
            return
        if (spent.unit, spent.delta) != (unit, delta):
            claimed = f"epsilon is claimed for unit {spent.unit} at delta {spent.delta}"
            yield Fault(f"{claimed}; the plan has {unit} at {delta}")
        answered = self._answered.get(site, Counter()) + Counter([event])
        if not answered <= Counter(spent.events):
            yield Fault("the claimed events lack a release whose answer is in this log")
        if not set(spent.events) <= self._requested.get(site, set()):
            yield Fault("the claimed events hold a release that no plan of this run asked of this site")
        try:
            epsilon = epsilon_of(spent.events, spent.delta)
        except (CollabError, ArithmeticError, ValueError):
            yield Fault("the claimed events cannot be accounted for")
            return
        if Decimal(spent.epsilon) < Decimal(epsilon) - TOLERANCE:
            yield Fault(f"epsilon {spent.epsilon} is claimed, but its events cost {epsilon:.4f}")

    def take(self, site: SiteId, release: ClaimedRelease) -> None:
        """`site` has answered with `release`."""
        if release.event is not None and release.spent is not None:
            self._answered.setdefault(site, Counter())[release.event] += 1
            self.checked += 1
