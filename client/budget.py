# SPDX-License-Identifier: Apache-2.0
"""A site's budget as a round uses it: charge (on disk) -> release -> settle, with a fresh nonce for every attempt.

A round is planned once: a second, other plan of the same round would be a round that no policy counts. The split into
train and dev is the one that the budget was spent under, else the maximum over partitions would be untrue.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from client.enrolment import SiteIdentity
from client.material import Material
from client.settings import SiteSettings
from client.state import SiteState
from privacy.canonical import DecimalString, decimal_string
from privacy.dp.ledger import Ledger, Reservation
from privacy.dp.params import PrivacyEvent, PrivacySpent
from privacy.errors import IntegrityError
from privacy.exchange.plans import EvaluationPlan, RoundPlan
from privacy.identifiers import Digest
from privacy.randomness import SEED_BYTES, SecretSeed


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
        seen = state.seen(row.log_origin) if row.log_origin else None
        if seen is not None and seen.size < row.seen_tree_size:
            raise IntegrityError(
                f"this site's memory of the log {row.log_origin} is an old copy: the ledger was charged at size "
                f"{row.seen_tree_size}, and size {seen.size} is remembered; nothing was trained",
                next_step="bring back the newest state.sqlite with its folder state/",
            )


class Budget:
    """Charges one site's ledger for the plans that it answers."""

    def __init__(
        self,
        ledger: Ledger,
        settings: SiteSettings,
        identity: SiteIdentity,
        material: Material,
        seen: Callable[[], tuple[str, int]] = lambda: ("", 0),
    ) -> None:
        self._ledger, self._identity, self._material, self._seen = ledger, identity, material, seen
        self._dataset, self._policy = settings.data.dataset, settings.policy
        self._open: Reservation | None = None

    def fresh_nonce(self, asked: Digest) -> bytes:
        """32 bytes for one attempt at a plan: from the operating system; at a simulated site from its known key."""
        if not self._identity.simulated:
            return secrets.token_bytes(SEED_BYTES)
        attempt = sum(row.plan_digest == asked for row in self._ledger.history(self._dataset, self._policy.unit))
        return self._identity.site_key.derive(f"simulated-nonce/{asked}/{attempt}").expose("simulated nonce")

    def seed(self, nonce: bytes, asked: Digest) -> SecretSeed:
        """The root of an attempt's secret streams."""
        return SecretSeed.for_attempt(self._identity.site_key, nonce, asked)

    def charge_round(self, plan: RoundPlan, asked: Digest, nonce: bytes) -> PrivacySpent | None:
        """Charge a round of training; None in a run that is not private. Raises BudgetExceeded before anything is."""
        if plan.privacy is None:
            return None
        return self._charge(plan, (plan.privacy.event(),), plan.privacy.target_delta, "train", asked, nonce)

    def charge_search(self, plan: RoundPlan, events: tuple[PrivacyEvent, ...], asked: Digest, nonce: bytes) -> None:
        """Charge one trial of a search at this site: all that it looks at in the data."""
        self._charge(plan, events, decimal_string(self._policy.delta), "search", asked, nonce)

    def charge_counts(
        self, plan: EvaluationPlan, noise_multiplier: DecimalString, asked: Digest, nonce: bytes
    ) -> PrivacySpent:
        """Charge noised counts on the dev split."""
        event = PrivacyEvent(noise_multiplier=noise_multiplier, sample_rate="1", steps=1, partition="dev")
        return self._charge(plan, (event,), plan.target_delta, "evaluate", asked, nonce)

    def _charge(
        self,
        plan: RoundPlan | EvaluationPlan,
        events: tuple[PrivacyEvent, ...],
        delta: DecimalString,
        purpose: str,
        asked: Digest,
        nonce: bytes,
    ) -> PrivacySpent:
        """Reserve (fsync) before any release is computed. Returns what this run spent so far."""
        unit = self._policy.unit
        self._check_first_plan(plan, purpose, asked)
        self._ledger.pin_split(self._dataset, unit, self._material.split_digest())
        self._open = self._ledger.reserve(
            self._dataset,
            unit,
            decimal_string(self._policy.delta),
            decimal_string(self._policy.epsilon_limit),
            events,
            site=self._identity.name,
            run_id=plan.run_id,
            server_round=plan.server_round,
            purpose=purpose,
            plan_digest=asked,
            nonce=nonce,
            seen=self._seen(),
        )
        return self._ledger.spent(self._dataset, unit, delta, run_id=plan.run_id)

    def _check_first_plan(self, plan: RoundPlan | EvaluationPlan, purpose: str, asked: Digest) -> None:
        here = (plan.run_id, plan.server_round, purpose)
        for row in self._ledger.history(self._dataset, self._policy.unit):
            if (row.run_id, row.server_round, row.purpose) == here and row.plan_digest != asked:
                raise IntegrityError(
                    f"round {plan.server_round} of run {plan.run_id} was planned otherwise before",
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
