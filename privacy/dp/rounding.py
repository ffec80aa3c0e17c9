# SPDX-License-Identifier: Apache-2.0
"""What adding in float32, in another order, may put between two neighbouring sums, beyond what the unit adds.

One unit less shifts all others to other places of other physical batches, whose products then round differently. The
allowance is that of Higham and Mary's probabilistic analysis (SIAM J. Sci. Comput. 41, 2019; Connolly, Higham, Mary,
43, 2021): roundings are taken as independent, with mean 0, and never more than UNIT_ROUNDOFF of a partial sum. It is no
proof: the worst case without that assumption is larger than the noise. It is taken off the bound, and tests measure
that what happens at the scale of the recipes is a small part of it (ADR 25).
"""

from __future__ import annotations

import math

UNIT_ROUNDOFF = 2.0**-24
LAMBDA = 6.0
"""How many standard deviations are allowed for."""

TOO_MANY = 2.0
"""The declared size bucket may be too small by so much (client/commands/preflight.py warns beyond it)."""


def order_error(rows: int, steps: int, expected_units: float) -> float:
    """The share of the bound to take off for physical batches of `rows` rows of up to `steps` steps.

    `expected_units` are drawn on average. A batch of B units of at most the bound C has partial sums up to B C, which
    grow along its B x steps additions: the errors' root mean square is UNIT_ROUNDOFF B C sqrt(B steps) / 3. Batches are
    added in float64, so over N / B of them it grows by sqrt(N / B), and by sqrt(2) for two sums.
    """
    units = TOO_MANY * expected_units
    drawn = units + LAMBDA * math.sqrt(units) + 1
    return LAMBDA * math.sqrt(2) / 3 * UNIT_ROUNDOFF * min(rows, drawn) * math.sqrt(drawn * steps)
