# SPDX-License-Identifier: Apache-2.0
"""The plans that a hostile coordinator makes of a case: its run's outline, and one round or evaluation within it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from privacy.base.canonical import digest_of
from privacy.base.identifiers import Digest
from privacy.dp.params import PrivacyParams
from privacy.protocol.anonymization_check import AnonymizationPlan
from privacy.protocol.entries import EvaluationPlanned, RoundPlanned
from privacy.protocol.outline import RunOutline
from privacy.protocol.plans import CohortMember, EncodingPlan, EvaluationPlan, RoundPlan, TaskPlan, TrainingPlan
from privacy.update.delta import ModelContract
from simulations.neighbours.cases import LABELS, SEVERAL, TASKS, Case

SITE: Final = "clinic"
BUCKET: Final = 8
NOISE: Final = "40"
CLIP: Final = "1"
SCALE_LOG2: Final = 20
UPDATE_CLIP: Final = "4"


@dataclass(frozen=True)
class HostilePlans:
    """What is asked for in one case. The outline says what the plans say, so that a site takes them for one run's."""

    case: Case
    task: TaskPlan
    training: TrainingPlan
    contract: ModelContract

    def outline(self) -> RunOutline:
        """What the run's opening says of all its plans."""
        counting = {"evaluate_every": 1, "evaluation_noise_multiplier": NOISE}
        return RunOutline.model_validate(self._shared() | self._rounds() | self._counting() | counting)

    def planned(self, run_id: str, model_digest: Digest) -> RoundPlanned | EvaluationPlanned:
        """The round, or the evaluation, that the case asks for."""
        named = {
            "run_id": run_id,
            "public_seed": "00" * 32,
            "contract_digest": digest_of(self.contract),
            "model_digest": model_digest,
        }
        if self.case.phase == "update":
            cohort = {SITE: CohortMember(weight=1, size_bucket=BUCKET)}
            fields = self._shared() | self._rounds() | named | {"server_round": 1, "cohort": cohort}
            return RoundPlanned(plan=RoundPlan.model_validate(fields))
        counting = {"server_round": 0, "sites": (SITE,), "noise_multiplier": NOISE}
        return EvaluationPlanned(
            plan=EvaluationPlan.model_validate(self._shared() | self._counting() | named | counting)
        )

    def _shared(self) -> dict[str, object]:
        return {
            "task": self.task,
            "pretrained_digest": self.contract.pretrained_digest,
            "tokenizer_digest": self.contract.tokenizer_digest,
            "training": self.training,
            "unit": "patient",
        }

    def _rounds(self) -> dict[str, object]:
        return {
            "planned_rounds": 1,
            "min_sites": 1,
            "sample_rate": self.case.sample_rate,
            "num_steps": self.case.num_steps,
            "privacy": _private(self.case),
            "update_clip_norm": UPDATE_CLIP,
            "encoding": EncodingPlan(dtype="int32", scale_log2=SCALE_LOG2),
            "aggregation": "weighted_sum",
            "anonymization": AnonymizationPlan(self_check_notes=2, min_recall={}),
            "server_momentum": None,
        }

    def _counting(self) -> dict[str, object]:
        return {"target_delta": _private(self.case).target_delta, "figures": self.case.figures}


def _labels(case: Case) -> tuple[str, ...]:
    if case.labels_lack == "none":
        return LABELS
    lacking = LABELS[100 % 3] if case.labels_lack == "the target's" else LABELS[101 % 3]
    return tuple(label for label in LABELS if label != lacking)


def task_of(case: Case) -> TaskPlan:
    """The task's plan, which may lack a label: the target's or another's."""
    labels = _labels(case)
    fields = TASKS[case.task] | ({"labels": labels} if TASKS[case.task]["labels"] else {})
    if case.task == "regression":
        fields |= {"value_range": case.value_range}
    counted = case.counted if case.task in SEVERAL and case.counted > 1 else None
    each = 1 if counted and case.task == "multi_label" else None
    return TaskPlan(name=case.task, max_tokens=case.max_tokens, counted=counted, counted_per_label=each, **fields)


def training_of(case: Case) -> TrainingPlan:
    """How it is trained, as the case says."""
    layers = 1 if case.scope in ("top", "lora", "bitfit") else 0
    return TrainingPlan(
        scope=case.scope,  # type: ignore[arg-type]
        top_layers=layers,
        lora_rank=2 if case.scope == "lora" else 0,
        lora_alpha=2 if case.scope == "lora" else 0,
        optimizer=case.optimizer,  # type: ignore[arg-type]
        learning_rate=case.learning_rate,
        head_learning_rate=case.learning_rate,
        momentum="0",
        weight_decay="0",
        dropout=case.dropout,
        physical_batch_size=8,
    )


def _private(case: Case) -> PrivacyParams:
    return PrivacyParams(
        sample_rate=case.sample_rate,
        noise_multiplier=NOISE,
        max_grad_norm=CLIP,
        target_epsilon="8",
        target_delta="0.001",
        num_steps=case.num_steps,
        unit="patient",
        clipping=case.clipping,
        notes_per_unit=3 if case.clipping == "bookkeeping" else 1,
    )
