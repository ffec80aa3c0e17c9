# SPDX-License-Identifier: Apache-2.0
"""A site's own account of what it did: exact figures, sentences and losses that never leave it.

One line of JSON an event in reports/<run_id>.jsonl (0600): what was trained (loss, norms and batch size a step), what
was counted, what left the building, what was refused and why. The sentences hold no text of a record.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from client.settings.site_settings import SiteSettings
from privacy.base.errors import CollabError
from privacy.dp.params import PrivacyParams, PrivacySpent
from privacy.protocol.anonymization_check import SelfCheck
from privacy.protocol.plans import EvaluationPlan, RoundPlan

if TYPE_CHECKING:  # they load torch and scipy, and whoever reads a report would wait for them
    from client.learning.training.evaluation import Counts
    from client.site.pipeline import Trained
    from privacy.leakage.noise import NoiseTest
    from privacy.leakage.sampling import SamplingTest

Json = dict[str, object]
Watch = Callable[[Json], None]


class SiteReports:
    """Writes the site's local reports, and tells `watch` (a terminal, a simulation) of each event."""

    def __init__(self, folder: Path, watch: Watch | None = None) -> None:
        self._folder = folder
        self.watch = watch

    def _write(self, run_id: str, event: Json) -> None:
        line = {"at": round(time.time(), 3), "run_id": run_id, **event}
        path = self._folder / f"{run_id}.jsonl"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a") as file:
            file.write(json.dumps(line) + "\n")
        if self.watch is not None:
            self.watch(line)

    def events(self, run_id: str) -> list[Json]:
        """All events of a run, in order; none if the site has no report of it."""
        path = self._folder / f"{run_id}.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().splitlines()]

    def runs(self) -> list[str]:
        """The runs that there are reports of, sorted."""
        return sorted(path.stem for path in self._folder.glob("*.jsonl"))

    def prepared(self, run_id: str, corpus: Json, anonymization: Json) -> None:
        """What was read and what was removed, in exact counts."""
        self._write(run_id, {"event": "prepared", "corpus": corpus, "anonymization": anonymization})

    def left_out(self, run_id: str, unknown_labels: int, warnings: Sequence[str]) -> None:
        """What of the site's data has no part in a run. The coordinator learns nothing of it: only this report does."""
        event: Json = {"event": "left_out", "unknown_labels": unknown_labels, "warnings": list(warnings)}
        self._write(run_id, event)

    def answered_without_data(self, run_id: str, server_round: int, phase: str, error: Exception) -> None:
        """Something in the data as a whole failed: the coordinator got what a site without any data would send."""
        event: Json = {"event": "answered_without_data", "round": server_round, "phase": phase, "why": _why(error)}
        self._write(run_id, event)

    def caught_up(self, run_id: str, server_round: int, seen_tree_size: int) -> None:
        """A proof from an older size than this site saw, as a coordinator makes it that has just started."""
        event: Json = {"event": "caught_up", "round": server_round, "seen_tree_size": seen_tree_size}
        self._write(run_id, event)

    def not_taken(self, run_id: str, server_round: int, answered: int) -> None:
        """The next plan starts from the model that round `answered` started from: its update changed nothing."""
        self._write(run_id, {"event": "not_taken", "round": server_round, "answered": answered})

    def sent(self, run_id: str, server_round: int, phase: str, sent_bytes: int) -> None:
        """An answer was uploaded whole: so many bytes of envelope, body and payload are with the coordinator."""
        self._write(run_id, {"event": "sent", "round": server_round, "phase": phase, "bytes": sent_bytes})

    def took_longer(self, run_id: str, server_round: int, seconds: float, wanted: float) -> None:
        """An answer could not leave at the time that the policy fixed."""
        event: Json = {"event": "took_longer", "round": server_round, "seconds": round(seconds, 1), "wanted": wanted}
        self._write(run_id, event)

    def self_checked(self, run_id: str, check: SelfCheck) -> None:
        """What the anonymizer found in notes invented for this run. The same figures leave with each update."""
        self._write(run_id, {"event": "self_check", **check.model_dump(mode="json")})

    def mechanism_checked(self, run_id: str, private: PrivacyParams, noise: NoiseTest, sampling: SamplingTest) -> None:
        """What the self-tests of noise and sampling measured. Only that they passed leaves, with each update."""
        event: Json = {
            "event": "mechanism_check",
            "passed": noise.passed and sampling.passed,
            "noise_multiplier": private.noise_multiplier,
            "sample_rate": private.sample_rate,
            "noise": asdict(noise),
            "sampling": asdict(sampling),
        }
        self._write(run_id, event)

    def progress(self, run_id: str, server_round: int, step: int, steps: int, loss: float | None) -> None:
        """A sign of life from a long round: told, not written."""
        if self.watch is not None:
            self.watch(
                {"event": "step", "run_id": run_id, "round": server_round, "step": step, "steps": steps, "loss": loss}
            )

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
        event: Json = {
            "event": "trained",
            "round": plan.server_round,
            "examples": trained.examples,
            "left_out": trained.left_out,
            "ran_away": trained.ran_away,
            "loss": sum(losses) / len(losses) if losses else None,
            "learning_rate": plan.training.learning_rate,
            "head_learning_rate": plan.training.head_learning_rate,
            "steps": [asdict(record) for record in trained.steps],
            "bytes_sent": payload_bytes,
            **_budget(spent, settings),
        }
        self._write(plan.run_id, event)

    def evaluated(
        self, plan: EvaluationPlan, counts: Counts, spent: PrivacySpent | None, settings: SiteSettings
    ) -> None:
        """The exact counts, of which only noised ones were sent."""
        event: Json = {
            "event": "evaluated",
            "round": plan.server_round,
            "examples": sum(counts.actual),
            "accuracy": counts.accuracy,
            **_budget(spent, settings),
        }
        self._write(plan.run_id, event)

    def refused(self, run_id: str, server_round: int, phase: str, error: Exception) -> None:
        """A no, with its sentence. An unforeseen error is named by its class alone: its text may hold data."""
        self._write(run_id, {"event": "refused", "round": server_round, "phase": phase, "why": _why(error)})


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, CollabError) else f"unforeseen {type(error).__name__}"


def _budget(spent: PrivacySpent | None, settings: SiteSettings) -> Json:
    if spent is None:
        return {"epsilon_of_run": None, "private": False}
    return {
        "epsilon_of_run": spent.epsilon,
        "delta": spent.delta,
        "unit": spent.unit,
        "accountant": spent.accountant,
        "epsilon_limit": settings.policy.epsilon_limit,
    }
