# SPDX-License-Identifier: Apache-2.0
"""What a site says of its own checks in an update: is it as the plan asks, and the same as before in this run?

The self-check of anonymization is in logs from version 2 on, the mechanism check (noise and sampling) from version 3.
Both are a site's word: what is wrong here is a contradiction, not a lie that was told well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from privacy.base.identifiers import Digest, SiteId
from privacy.protocol import mechanism
from privacy.protocol.anonymization_check import SelfCheck, faults, measured_otherwise
from privacy.protocol.mechanism import MechanismCheck
from privacy.protocol.messages import SiteUpdate
from privacy.protocol.plans import RoundPlan
from privacy.protocol.reasons import Fault


@dataclass
class SelfChecks:
    """The checks shown in one run so far: the last of each site, and of each of its anonymizers the first."""

    latest: dict[SiteId, SelfCheck] = field(default_factory=dict)
    mechanism: dict[SiteId, MechanismCheck] = field(default_factory=dict)
    _shown: dict[tuple[SiteId, Digest], SelfCheck] = field(default_factory=dict)

    def faults(self, plan: RoundPlan, site: SiteId, update: SiteUpdate, version: int) -> Iterator[Fault]:
        """All that is wrong with the checks in an `update` to `plan`, in a log of `version`."""
        check, planned = update.self_check, plan.anonymization
        if version >= 3:
            for sentence in mechanism.faults(update.mechanism_check, plan.privacy):
                yield Fault(f"the mechanism check of {site}: {sentence}")
        if check is None or planned is None:  # from version 2 on both are there: the entry's own rule
            return
        if measured_otherwise(check, self._shown.get((site, check.engine_fingerprint), check)):
            yield Fault(f"{site} shows two self-checks of one anonymizer in this run")
        for fault in faults(check, planned):
            yield Fault(f"the self-check of {site}: {fault.sentence}", fault.reason)

    def take(self, site: SiteId, update: SiteUpdate) -> None:
        """`site` has shown what is in `update`."""
        if (check := update.self_check) is not None:
            self._shown.setdefault((site, check.engine_fingerprint), check)
            self.latest[site] = check
        if update.mechanism_check is not None:
            self.mechanism[site] = update.mechanism_check
