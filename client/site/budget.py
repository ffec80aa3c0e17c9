# SPDX-License-Identifier: Apache-2.0
"""A site's budget as a round uses it: charge (on disk) -> release -> settle, with a fresh nonce for every attempt.

A round is planned once: a second, other plan of the same round would be a round that no policy counts. The split into
train and dev is the one that the budget was spent under, else the maximum over partitions would be untrue.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Mapping

from client.enrolment import SiteIdentity
from client.settings.site_settings import SiteSettings
from client.site.pipeline import SitePipeline
from client.site.state import SiteState
from privacy.base.canonical import DecimalString, decimal_string
from privacy.base.errors import IntegrityError
from privacy.base.identifiers import Digest, RunId
from privacy.base.randomness import SEED_BYTES, SecretSeed
from privacy.dp.ledger import Charge, Cost, Ledger, PinnedSplit, Release, Reservation, check_limit
from privacy.dp.params import PrivacyEvent, PrivacySpent
from privacy.protocol.entries import RunOpened
from privacy.protocol.outline import RunOutline
from privacy.protocol.plans import EvaluationPlan, RoundPlan


def check_memories(ledger: Ledger, state: SiteState) -> None:
    """Hold ledger and state against each other: each remembers what the other one did.

    Raises IntegrityError when one of them is an old copy: the ledger lacks the charge of an answer that was sent, or
    the state has seen less of a log than the ledger was charged under. If both are of one old backup, nothing here can
    know.
    """
    rows = ledger.reservations()
    if state.charged_plans() - {row.plan_digest for row in rows}:
        raise IntegrityError(
            "the privacy ledger lacks the charge of an answer that this site sent: it is an old copy, or another file; "
            "nothing was trained",
            next_step="bring back the newest ledger.sqlite and ledger.head",
        )
    for row in rows:
        checkpoint = state.seen(row.log_origin) if row.log_origin else None
        size = 0 if checkpoint is None else checkpoint.size  # a memory that is missing has seen nothing
        if size < row.seen_tree_size:
            raise IntegrityError(
                f"this site's memory of the log {row.log_origin} is an old copy, or missing: the ledger was charged at "
                f"size {row.seen_tree_size}, and size {size} is remembered; nothing was trained",
                next_step="bring back the newest state.sqlite with its folder state/",
            )


def planned_events(outline: RunOutline | None, settings: SiteSettings) -> tuple[PrivacyEvent, ...]:
    """All that a whole planned run releases at this site: updates and evaluations, but none that its policy keeps home.

    Nothing for a run that is not private, for an evaluator, and for a run that was opened without an outline.
    """
    if outline is None or settings.site.role == "evaluator":
        return ()
    return tuple(one for one in outline.events() if settings.policy.send_metrics or one.partition == "train")


def cost_of_run(
    ledger: Ledger, settings: SiteSettings, split: PinnedSplit | None, run_id: str, outline: RunOutline | None
) -> Cost:
    """What the data set comes to once the whole run is over: what the run was charged before counts once.

    A round that was charged twice, because an attempt failed, counts twice. Raises PlanRefused where the ledger would.
    """
    dataset, policy = settings.data.dataset, settings.policy
    planned = planned_events(outline, settings)
    done = {
        (row.server_round, row.purpose): row.events
        for row in ledger.history(dataset, policy.unit)
        if row.run_id == run_id
    }
    remaining = Counter(planned) - Counter(event for events in done.values() for event in events)
    limit, delta = decimal_string(policy.epsilon_limit), decimal_string(policy.delta)
    return ledger.cost(dataset, policy.unit, Charge(run_id, tuple(remaining.elements()), limit, delta, split, planned))


class Budget:
    """Charges one site's ledger for the plans that it answers."""

    def __init__(
        self,
        ledger: Ledger,
        settings: SiteSettings,
        identity: SiteIdentity,
        pipeline: SitePipeline,
        seen: Callable[[], tuple[str, int]] = lambda: ("", 0),
        opened: Callable[[RunId], RunOpened | None] = lambda run_id: None,
    ) -> None:
        self._ledger, self._identity, self._pipeline, self._seen = ledger, identity, pipeline, seen
        self._opened = opened
        self._settings, self._dataset, self._policy = settings, settings.data.dataset, settings.policy
        self._open: Reservation | None = None

    def fresh_nonce(self, request_digest: Digest) -> bytes:
        """32 bytes for one attempt at a plan: from the operating system; at a simulated site from its known key."""
        if not self._identity.simulated:
            return secrets.token_bytes(SEED_BYTES)
        attempt = sum(
            row.plan_digest == request_digest for row in self._ledger.history(self._dataset, self._policy.unit)
        )
        return self._identity.site_key.derive("simulated-nonce", f"{request_digest}/{attempt}").expose(
            "simulated nonce"
        )

    def seed(self, nonce: bytes, request_digest: Digest) -> SecretSeed:
        """The root of an attempt's secret streams."""
        return SecretSeed.for_attempt(self._identity.site_key, nonce, request_digest)

    def check_run(self, run_id: RunId, opened: RunOpened) -> None:
        """Say no to a run that does not fit as a whole, before anything of it is charged.

        Raises BudgetExceeded with the figures, PlanRefused for what no charge could pass. Nothing is written.
        """
        outline = opened.outline
        if not planned_events(outline, self._settings):
            return
        cost = cost_of_run(self._ledger, self._settings, self._pipeline.records.split(), run_id, outline)
        limit, name = decimal_string(self._policy.epsilon_limit), self._identity.name
        check_limit(cost, limit, name, 0, self._policy.unit, what=f"run {run_id} as a whole")

    def charge_round(self, plan: RoundPlan, request_digest: Digest, nonce: bytes) -> PrivacySpent | None:
        """Charge a round of training; None in a run that is not private. Raises BudgetExceeded before anything is."""
        if plan.privacy is None:
            return None
        release = self._release(plan, "train", request_digest, nonce)
        return self._charge(plan, (plan.privacy.event(),), plan.privacy.target_delta, release)

    def charge_search(
        self,
        plan: RoundPlan,
        events: tuple[PrivacyEvent, ...],
        request_digest: Digest,
        nonce: bytes,
        whole: Mapping[RunId, tuple[PrivacyEvent, ...]],
    ) -> None:
        """Charge one trial of a search at this site: all that it looks at in the data. `whole`: each trial's events."""
        planned = tuple(event for trial in whole.values() for event in trial)
        self._reserve(plan, events, self._release(plan, "search", request_digest, nonce), planned, tuple(whole))

    def charge_counts(
        self, plan: EvaluationPlan, noise_multiplier: DecimalString, request_digest: Digest, nonce: bytes
    ) -> PrivacySpent:
        """Charge noised counts on the dev split."""
        event = PrivacyEvent(noise_multiplier=noise_multiplier, sample_rate="1", steps=1, partition="dev")
        return self._charge(plan, (event,), plan.target_delta, self._release(plan, "evaluate", request_digest, nonce))

    def _release(self, plan: RoundPlan | EvaluationPlan, purpose: str, request_digest: Digest, nonce: bytes) -> Release:
        return Release(self._identity.name, plan.server_round, purpose, request_digest, nonce, self._seen())

    def _charge(
        self,
        plan: RoundPlan | EvaluationPlan,
        events: tuple[PrivacyEvent, ...],
        delta: DecimalString,
        release: Release,
    ) -> PrivacySpent:
        """Reserve (fsync) before any release is computed. Returns what this run spent so far."""
        opened = self._opened(plan.run_id)
        planned = planned_events(None if opened is None else opened.outline, self._settings)
        self._reserve(plan, events, release, planned)
        return self._ledger.spent(self._dataset, self._policy.unit, delta, run_id=plan.run_id)

    def _reserve(
        self,
        plan: RoundPlan | EvaluationPlan,
        events: tuple[PrivacyEvent, ...],
        release: Release,
        planned: tuple[PrivacyEvent, ...],
        planned_as: tuple[RunId, ...] = (),
    ) -> None:
        self._check_first_plan(plan.run_id, release)
        self._open = self._ledger.reserve(
            self._dataset,
            self._policy.unit,
            Charge(
                plan.run_id,
                events,
                decimal_string(self._policy.epsilon_limit),
                decimal_string(self._policy.delta),
                split=self._pipeline.records.split(),
                planned=planned,
                planned_as=planned_as,
            ),
            release,
        )

    def _check_first_plan(self, run_id: RunId, release: Release) -> None:
        here = (run_id, release.server_round, release.purpose)
        for row in self._ledger.history(self._dataset, self._policy.unit):
            if (row.run_id, row.server_round, row.purpose) == here and row.plan_digest != release.plan_digest:
                raise IntegrityError(
                    f"round {release.server_round} of run {run_id} was planned otherwise before",
                    reason="replayed",
                    next_step="a new run needs a new run_id; if this is none, ask the coordinator what happened",
                )

    def forget(self) -> None:
        """An earlier attempt that failed stays charged and is never settled by a later answer."""
        self._open = None

    def settle(self) -> None:
        """What was charged was released. Without this row it stays charged all the same."""
        reservation, self._open = self._open, None
        if reservation is not None:
            self._ledger.settle(reservation)
