# SPDX-License-Identifier: Apache-2.0
"""What a site says of its own checks in an update: is it as the plan asks, and the same as before in this run?

The self-check of anonymization is in logs from version 2 on, the mechanism check (noise and sampling) from version 3.
Both are a site's word: what is found here is a contradiction, not a lie that was told well.
"""

from __future__ import annotations

from collections.abc import Iterator

from privacy.base.identifiers import Digest, SiteId
from privacy.protocol import mechanism
from privacy.protocol.anonymization_check import SelfCheck, faults, measured_otherwise
from privacy.protocol.messages import SiteUpdate
from privacy.protocol.plans import RoundPlan


class SelfChecks:
    """The checks shown in one run so far."""

    def __init__(self) -> None:
        self._shown: dict[tuple[SiteId, Digest], SelfCheck] = {}

    def wrong(self, plan: RoundPlan, site: SiteId, update: SiteUpdate, version: int) -> Iterator[str]:
        """All that is wrong with the checks in an `update` to `plan`, in a log of `version`."""
        check, asked = update.self_check, plan.anonymization
        if check is not None and asked is not None:  # from version 2 on both are there: the entry's own rule
            for fault in faults(check, asked):
                yield f"the self-check of {site}: {fault.sentence}"
            before = self._shown.setdefault((site, check.engine_fingerprint), check)
            if measured_otherwise(check, before):
                yield f"{site} shows two self-checks of one anonymizer in this run"
        if version >= 3:
            for sentence in mechanism.faults(update.mechanism_check, plan.privacy):
                yield f"the mechanism check of {site}: {sentence}"
