# SPDX-License-Identifier: Apache-2.0
"""Epsilon by two libraries: PRV (Opacus) and PLD (dp-accounting). Where they differ, the larger is what is shown.

Both are upper bounds of one number, so that a gap is the looseness of one of them, or a bug. PRV's own error is some
0.01, which at a tiny spend is more than two percent and no disagreement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from privacy.dp import accounting, pld
from privacy.dp.params import Accountant, PrivacyEvent

GAP: Final = 0.02
"""Relative difference from which the larger bound is shown."""

PRV_ERROR: Final = 0.015
"""Absolute difference that PRV's discretization alone can make."""


@dataclass(frozen=True)
class Bounds:
    """The epsilon of one history by both. `charged_by`: whose `prv` is, for PRV leaves long histories to others."""

    prv: float
    pld: float
    charged_by: Accountant = "prv"

    @property
    def differ(self) -> bool:
        """Whether they are farther apart than their own errors explain."""
        apart = abs(self.prv - self.pld)
        return apart > PRV_ERROR and apart > GAP * min(self.prv, self.pld)

    @property
    def shown(self) -> float:
        """PRV, or the larger one where they differ."""
        return max(self.prv, self.pld) if self.differ else self.prv

    @property
    def accountant(self) -> Accountant:
        """Whose bound is shown."""
        return "pld" if self.differ and self.pld > self.prv else self.charged_by


def bounds(events: Sequence[PrivacyEvent], delta: float) -> Bounds:
    """What `events` cost together at `delta`. Raises ContractError for an answer that is negative or not finite."""
    charged = accounting.account(events, delta)
    return Bounds(charged.epsilon, pld.epsilon_pld(events, delta), charged.accountant)
