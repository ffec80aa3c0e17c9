# SPDX-License-Identifier: Apache-2.0
"""The mechanism check as it crosses the border: a site says that its noise and its sampling passed their self-tests.

A site whose tests fail does not train, so that there is nothing else to say: one fixed statement for each plan, which
follows from the plan and this code alone. The figures stay at the site. Sites, coordinator and auditor judge it by
`faults`. It is the site's word and no proof: docs/leakage.md.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from privacy.base.canonical import DecimalString
from privacy.dp.params import PrivacyParams

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)

Tested = Literal[
    "noise_distribution",
    "noise_mean",
    "noise_sigma",
    "noise_streams",
    "noise_tails",
    "sampling_batch_sizes",
    "sampling_rate",
    "sampling_repeats",
    "sampling_unit_counts",
]
TESTED: Final[tuple[Tested, ...]] = get_args(Tested)
SIGMA_TOLERANCE: Final = "0.001"
LEAST_DRAWS: Final = 10_000_000
"""Normals below which chance alone moves an estimated sigma by SIGMA_TOLERANCE more often than in 10^5 tests."""


class MechanismCheck(BaseModel):
    """Before this run's first training at this site, the plan's noise and sampling passed every test of `tests`."""

    model_config = STRICT
    noise_multiplier: DecimalString = Field(description="of the plan: what sigma was held against")
    max_grad_norm: DecimalString = Field(description="of the plan")
    sample_rate: DecimalString = Field(description="of the plan: what the draws were held against")
    sigma_tolerance: DecimalString = Field(description="relative; an estimate farther off is a failure")
    noise_draws: int = Field(ge=1, le=1 << 40)
    tests: tuple[Tested, ...] = Field(description="the tests that were made and passed, sorted")


def passed(private: PrivacyParams, noise_draws: int) -> MechanismCheck:
    """What a site says of a plan's `private` when every test passed."""
    return MechanismCheck(
        noise_multiplier=private.noise_multiplier,
        max_grad_norm=private.max_grad_norm,
        sample_rate=private.sample_rate,
        sigma_tolerance=SIGMA_TOLERANCE,
        noise_draws=noise_draws,
        tests=TESTED,
    )


def faults(check: MechanismCheck | None, private: PrivacyParams | None) -> tuple[str, ...]:
    """All that is wrong with a statement about a plan's privacy parameters; sentences without figures of a site."""
    if check is None or private is None:
        return () if check is None and private is None else ("there is a mechanism check just where noise is planned",)
    claimed = (check.noise_multiplier, check.max_grad_norm, check.sample_rate)
    planned = (private.noise_multiplier, private.max_grad_norm, private.sample_rate)
    wrong = {
        "other parameters were tested than the plan's": claimed != planned,
        f"sigma may be off by {SIGMA_TOLERANCE} at most": Decimal(check.sigma_tolerance) > Decimal(SIGMA_TOLERANCE),
        f"at least {LEAST_DRAWS} draws are needed": check.noise_draws < LEAST_DRAWS,
        "a test is missing": check.tests != TESTED,
    }
    return tuple(sentence for sentence, holds in wrong.items() if holds)
