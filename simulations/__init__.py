# SPDX-License-Identifier: Apache-2.0
"""Many sites on one machine: the same client and coordinator code on an in-process grid. Owns no training code.

from simulations import Federation
outcome = Federation.build("three-hospitals", Path("out/demo")).run()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from privacy.base.exports import exported

if TYPE_CHECKING:
    from simulations.federation import Federation, Outcome
    from simulations.scenario import Scenario
else:
    __getattr__ = exported(
        __name__,
        {
            "Federation": "simulations.federation",
            "Outcome": "simulations.federation",
            "Scenario": "simulations.scenario",
        },
    )

__all__ = ["Federation", "Outcome", "Scenario"]
