# SPDX-License-Identifier: Apache-2.0
"""The self-check of a run at this site: measured once before its first training, kept, and held against every plan.

The notes follow from the site's key and the run's opening: unknown to everybody else, fresh in every run, and the same
after a restart, so that nobody can try again until a batch falls well. Another engine (after an upgrade) is measured
anew. A floor is the site's own or the plan's, whichever is higher.
"""

from __future__ import annotations

from collections.abc import Callable

from client.settings.site_settings import SiteSettings
from client.site.state import SiteState
from privacy.base.canonical import digest_of
from privacy.base.errors import PlanRefused
from privacy.base.identifiers import RunId
from privacy.base.randomness import SecretSeed
from privacy.protocol.anonymization_check import AnonymizationPlan, SelfCheck, faults, tightened
from privacy.protocol.entries import RunOpened
from privacy.text import self_check


class RunSelfCheck:
    """The self-checks of this process. `measured` is told of each that was measured, not of one that was kept."""

    def __init__(
        self,
        settings: SiteSettings,
        site_key: SecretSeed,
        state: SiteState,
        measured: Callable[[RunId, SelfCheck], None],
    ) -> None:
        self._settings, self._key, self._state, self._measured = settings, site_key, state, measured
        self._known: dict[RunId, SelfCheck] = {}

    def of(self, run_id: RunId, planned: AnonymizationPlan | None, opened: RunOpened) -> SelfCheck:
        """The run's figures, which hold the site's floors and the planned ones.

        Raises PlanRefused: with the code `policy` for a plan of an older version, which asks for no self-check, and
        `recall_below_floor` where a floor does not hold. Nothing of the site's texts is read for it.
        """
        if planned is None:
            raise PlanRefused(
                "the plan asks for no self-check of anonymization; nothing was read or trained",
                reason="policy",
                next_step="the coordinator runs an older version: ask for an upgrade",
            )
        plan = tightened(planned, self._settings.policy.min_recall)
        if run_id not in self._known:
            self._known[run_id] = self._find(run_id, opened, plan)
        check = self._known[run_id]
        if wrong := faults(check, plan):
            listed = "; ".join(fault.sentence for fault in wrong)
            raise PlanRefused(
                f"site {self._settings.site.name} refuses run {run_id}: its anonymizer is below a floor "
                f"on {check.notes} invented notes ({listed}); nothing was read or trained",
                reason="recall_below_floor",
                next_step="docs/anonymization.md, Self-check: a model in text.names finds more names; only the site "
                "can lower policy.min_recall",
            )
        return check

    def _find(self, run_id: RunId, opened: RunOpened, plan: AnonymizationPlan) -> SelfCheck:
        text = self._settings.text
        engine, stored = self_check.load_engine(text), self._state.self_check(run_id)
        if stored is not None and stored.engine_fingerprint == engine.fingerprint:
            return stored
        seed = self._key.derive("self-check", f"{run_id}/{digest_of(opened)}")
        check = self_check.check(engine, text, seed, plan.self_check_notes, plan.min_recall)
        self._state.remember_self_check(run_id, check)
        self._measured(run_id, check)
        return check
