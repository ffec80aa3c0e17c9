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
from decimal import Decimal
from functools import lru_cache

from pydantic import ValidationError

from privacy.base.errors import CollabError, ContractError
from privacy.base.identifiers import SiteId
from privacy.dp.params import PrivacyEvent, PrivacyParams, PrivacySpent, Unit
from privacy.protocol.plans import EvaluationPlan

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


class Spending:
    """What the sites of one run were asked for and have answered. `checked` counts the claims that were recomputed."""

    def __init__(self) -> None:
        self._asked: dict[SiteId, set[PrivacyEvent]] = {}
        self._answered: dict[SiteId, Counter[PrivacyEvent]] = {}
        self.checked = 0

    def ask(self, site: SiteId, event: PrivacyEvent | None) -> None:
        """A logged plan asks `site` for a release."""
        if event is not None:
            self._asked.setdefault(site, set()).add(event)

    def answer(
        self, site: SiteId, event: PrivacyEvent | None, spent: PrivacySpent | None, unit: Unit, delta: str
    ) -> Iterator[str]:
        """What is wrong with the claim `spent` of a reply that released `event`."""
        if event is None or spent is None:
            if (event is None) != (spent is None):
                yield "privacy is claimed for a release that is not private, or missing for one that is"
            return
        answered = self._answered.setdefault(site, Counter())
        answered[event] += 1
        if (spent.unit, spent.delta) != (unit, delta):
            yield f"epsilon is claimed for unit {spent.unit} at delta {spent.delta}; the plan has {unit} at {delta}"
        if not answered <= Counter(spent.events):
            yield "the claimed events lack a release whose answer is in this log"
        if not set(spent.events) <= self._asked.get(site, set()):
            yield "the claimed events hold a release that no plan of this run asked of this site"
        self.checked += 1
        try:
            epsilon = epsilon_of(spent.events, spent.delta)
        except (CollabError, ArithmeticError, ValueError):
            yield "the claimed events cannot be accounted for"
            return
        if Decimal(spent.epsilon) < Decimal(epsilon) - TOLERANCE:
            yield f"epsilon {spent.epsilon} is claimed, but its events cost {epsilon:.4f}"
