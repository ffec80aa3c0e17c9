# SPDX-License-Identifier: Apache-2.0
"""A site's own account of what it did: exact figures, sentences and losses that never leave it.

One line of JSON an event (client.site.events) in reports/<run_id>.jsonl (0600): what was trained (loss, norms and batch
size a step), what was counted, what left the building, what was refused and why.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from client.settings.site_settings import SiteSettings
from client.site.events import (
    AnsweredWithoutDataEvent,
    CaughtUpEvent,
    EvaluatedEvent,
    Event,
    LeftOutEvent,
    MechanismCheckEvent,
    NoiseFigures,
    NotTakenEvent,
    PreparedEvent,
    RefusedEvent,
    SamplingFigures,
    SelfCheckEvent,
    SentEvent,
    StepEvent,
    StepFigures,
    TookLongerEvent,
    TrainedEvent,
    read_event,
)
from privacy.base.errors import CollabError
from privacy.dp.params import PrivacyParams, PrivacySpent, Unit
from privacy.protocol.anonymization_check import SelfCheck
from privacy.protocol.plans import EvaluationPlan, RoundPlan

if TYPE_CHECKING:  # they load torch and scipy, and whoever reads a report would wait for them
    from client.learning.training.evaluation import Counts
    from client.site.pipeline import Trained
    from privacy.leakage.noise import NoiseTest
    from privacy.leakage.sampling import SamplingTest

Watch = Callable[[Event], None]


class SiteReports:
    """Writes the site's local reports, and tells `watch` (a terminal, a simulation) of each event."""

    def __init__(self, folder: Path, watch: Watch | None = None) -> None:
        self._folder = folder
        self.watch = watch

    def _write(self, event: Event) -> None:
        path = self._folder / f"{event.run_id}.jsonl"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a") as file:
            file.write(json.dumps(event.as_json()) + "\n")
        if self.watch is not None:
            self.watch(event)

    def events(self, run_id: str) -> list[Event]:
        """All events of a run, in order; none if the site has no report of it."""
        path = self._folder / f"{run_id}.jsonl"
        if not path.exists():
            return []
        return [read_event(json.loads(line)) for line in path.read_text().splitlines()]

    def runs(self) -> list[str]:
        """The runs that there are reports of, sorted."""
        return sorted(path.stem for path in self._folder.glob("*.jsonl"))

    def prepared(self, run_id: str, corpus: dict[str, int | dict[str, int]], anonymization: dict[str, object]) -> None:
        """What was read and what was removed, in exact counts."""
        self._write(PreparedEvent(at=_now(), run_id=run_id, corpus=corpus, anonymization=anonymization))

    def left_out(self, run_id: str, unknown_labels: int, warnings: Sequence[str]) -> None:
        """What of the site's data has no part in a run. The coordinator learns nothing of it: only this report does."""
        self._write(LeftOutEvent(at=_now(), run_id=run_id, unknown_labels=unknown_labels, warnings=tuple(warnings)))

    def answered_without_data(self, run_id: str, server_round: int, phase: str, error: Exception) -> None:
        """Something in the data as a whole failed: the coordinator got what a site without any data would send."""
        why = _why(error)
        self._write(AnsweredWithoutDataEvent(at=_now(), run_id=run_id, round=server_round, phase=phase, why=why))

    def caught_up(self, run_id: str, server_round: int, seen_tree_size: int) -> None:
        """A proof from an older size than this site saw, as a coordinator makes it that has just started."""
        self._write(CaughtUpEvent(at=_now(), run_id=run_id, round=server_round, seen_tree_size=seen_tree_size))

    def not_taken(self, run_id: str, server_round: int, answered: int) -> None:
        """The next plan starts from the model that round `answered` started from: its update changed nothing."""
        self._write(NotTakenEvent(at=_now(), run_id=run_id, round=server_round, answered=answered))

    def sent(self, run_id: str, server_round: int, phase: str, sent_bytes: int) -> None:
        """An answer was uploaded whole: so many bytes of envelope, body and payload are with the coordinator."""
        self._write(SentEvent(at=_now(), run_id=run_id, round=server_round, phase=phase, bytes=sent_bytes))

    def took_longer(self, run_id: str, server_round: int, seconds: float, wanted: float) -> None:
        """An answer could not leave at the time that the policy fixed."""
        took = round(seconds, 1)
        self._write(TookLongerEvent(at=_now(), run_id=run_id, round=server_round, seconds=took, wanted=wanted))

    def self_checked(self, run_id: str, check: SelfCheck) -> None:
        """What the anonymizer found in notes invented for this run. The same figures leave with each update."""
        recall = {str(name): counts for name, counts in check.recall.items()}
        self._write(
            SelfCheckEvent(
                at=_now(),
                run_id=run_id,
                notes=check.notes,
                recall=recall,
                engine_fingerprint=check.engine_fingerprint,
            )
        )

    def mechanism_checked(self, run_id: str, private: PrivacyParams, noise: NoiseTest, sampling: SamplingTest) -> None:
        """What the self-tests of noise and sampling measured. Only that they passed leaves, with each update."""
        self._write(
            MechanismCheckEvent(
                at=_now(),
                run_id=run_id,
                passed=noise.passed and sampling.passed,
                noise_multiplier=private.noise_multiplier,
                sample_rate=private.sample_rate,
                noise=NoiseFigures(**asdict(noise)),
                sampling=SamplingFigures(**asdict(sampling)),
            )
        )

    def progress(self, run_id: str, server_round: int, step: int, steps: int, loss: float | None) -> None:
        """A sign of life from a long round: told, not written."""
        if self.watch is not None:
            self.watch(StepEvent(at=_now(), run_id=run_id, round=server_round, step=step, steps=steps, loss=loss))

    def trained(
        self,
        plan: RoundPlan,
        trained: Trained,
        spent: PrivacySpent | None,
        settings: SiteSettings,
        payload_bytes: int,
    ) -> None:
        """One round of training, and what is to leave the building for it."""
        losses = [record.mean_loss for record in trained.steps if record.mean_loss is not None]
        self._write(
            TrainedEvent(
                at=_now(),
                run_id=plan.run_id,
                round=plan.server_round,
                examples=trained.examples,
                left_out=trained.left_out,
                ran_away=trained.ran_away,
                loss=sum(losses) / len(losses) if losses else None,
                learning_rate=plan.training.learning_rate,
                head_learning_rate=plan.training.head_learning_rate,
                steps=tuple(StepFigures(**asdict(record)) for record in trained.steps),
                bytes_sent=payload_bytes,
                **_cost(spent, settings),
            )
        )

    def evaluated(
        self, plan: EvaluationPlan, counts: Counts, spent: PrivacySpent | None, settings: SiteSettings
    ) -> None:
        """The exact counts, of which only noised ones were sent."""
        self._write(
            EvaluatedEvent(
                at=_now(),
                run_id=plan.run_id,
                round=plan.server_round,
                examples=sum(counts.actual),
                accuracy=counts.accuracy,
                **_cost(spent, settings),
            )
        )

    def refused(self, run_id: str, server_round: int, phase: str, error: Exception) -> None:
        """A no, with its sentence. An unforeseen error is named by its class alone: its text may hold data."""
        self._write(RefusedEvent(at=_now(), run_id=run_id, round=server_round, phase=phase, why=_why(error)))


def _now() -> float:
    return round(time.time(), 3)


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, CollabError) else f"unforeseen {type(error).__name__}"


class _Cost(TypedDict, total=False):
    """The fields of a ChargedEvent that are its own."""

    epsilon_of_run: str | None
    private: bool
    delta: str
    unit: Unit
    accountant: str
    epsilon_limit: float


def _cost(spent: PrivacySpent | None, settings: SiteSettings) -> _Cost:
    if spent is None:
        return {"epsilon_of_run": None, "private": False}
    return {
        "epsilon_of_run": spent.epsilon,
        "delta": spent.delta,
        "unit": spent.unit,
        "accountant": spent.accountant,
        "epsilon_limit": settings.policy.epsilon_limit,
    }
