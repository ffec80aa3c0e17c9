# SPDX-License-Identifier: Apache-2.0
"""From anonymized records to a trained network: examples, their privacy units, one round, and predictions.

The loop itself is privacy.dp.training's; here stands what it is given. A round starts a new optimizer: its state is a
function of private gradients and lives no longer than the round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from client import tasks
from client.evaluation import Counts
from client.features import Features, Progress, by_length, compute_features, tokenize
from client.model import SharedBert
from client.pretrained import Pretrained
from client.tasks import Task
from privacy.dp.params import Unit
from privacy.dp.training import MakeOptimizer, OnStep, train, train_plain
from privacy.errors import ContractError
from privacy.exchange.plans import RoundPlan, TaskPlan, TrainingPlan
from privacy.randomness import SecretSeed
from privacy.text.records import AnonymizedRecord

UnknownLabel = Literal["refuse_row", "refuse_round"]


@dataclass(frozen=True, eq=False, repr=False)
class TextExamples:
    """A site's rows as the training loop takes them (privacy.dp.training.Examples). Row i is `records[i]`."""

    task: Task
    plan: TaskPlan
    features: Features
    targets: NDArray[np.int64]
    records: tuple[AnonymizedRecord, ...]
    refused: int
    """Records left out because their label is missing or not in the plan."""
    lengths: Sequence[int]

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return "TextExamples(hidden)"

    def batch(self, rows: Sequence[int]) -> Mapping[str, Tensor]:
        """The rows' inputs and "targets", on the model's device."""
        targets = torch.from_numpy(self.targets[list(rows)]).to(self.features.model.device)
        return {**self.features.batch(rows), "targets": targets}

    def losses(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """One loss per row, shape (B,)."""
        return self.task.losses(model(batch), batch["targets"])

    def units(self, unit: Unit) -> list[list[int]]:
        """The rows of each privacy unit: of each patient, in order of first appearance, or each row by itself."""
        if unit == "record":
            return [[row] for row in range(len(self.records))]
        by_patient: dict[str, list[int]] = {}
        for row, record in enumerate(self.records):
            if record.patient_id is None:
                raise ContractError(
                    "a record without a patient has no place under unit 'patient'", reason="data_unusable"
                )
            by_patient.setdefault(record.patient_id, []).append(row)
        return list(by_patient.values())


def prepare(
    records: Sequence[AnonymizedRecord],
    plan: TaskPlan,
    model: SharedBert,
    pretrained: Pretrained,
    *,
    unknown_label: UnknownLabel,
    on_progress: Progress | None = None,
) -> TextExamples:
    """Tokenize the records and compute the frozen part's features, once for all rounds.

    A label that the plan lacks costs its row ("refuse_row", counted) or the round ("refuse_round"). Raises
    ContractError("label_unknown") for the latter, ContractError("data_unusable") when no row is left.
    """
    task = tasks.load(plan.name)
    targets = task.targets([record.label for record in records], plan)
    kept = np.flatnonzero(targets >= 0)
    refused = len(records) - len(kept)
    if refused and unknown_label == "refuse_round":
        raise ContractError(
            f"{refused} of {len(records)} records have a label that the plan does not have",
            reason="label_unknown",
            next_step="map the site's labels to the plan's, or set data.unknown_label to refuse_row",
        )
    if len(kept) == 0:
        raise ContractError("no record has a label of the plan", reason="data_unusable", next_step="check the labels")
    chosen = tuple(records[index] for index in kept.tolist())
    pieces = tokenize([record.text for record in chosen], pretrained.tokenizer(plan.max_tokens))
    features = compute_features(model, pieces, on_progress)
    return TextExamples(task, plan, features, targets[kept], chosen, refused, pieces.lengths)


def build_optimizer(plan: TrainingPlan, head: nn.Module) -> MakeOptimizer:
    """The plan's optimizer over given parameters: the head's at its own rate; biases and LayerNorms never decay."""
    of_head = {id(parameter) for parameter in head.parameters()}
    rates = (float(plan.learning_rate), float(plan.head_learning_rate))
    decays = (0.0, float(plan.weight_decay))

    def make(parameters: list[nn.Parameter]) -> Optimizer:
        sorted_out: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for parameter in parameters:
            sorted_out.setdefault((id(parameter) in of_head, parameter.ndim > 1), []).append(parameter)
        groups = [
            {"params": members, "lr": rates[in_head], "weight_decay": decays[is_matrix]}
            for (in_head, is_matrix), members in sorted_out.items()
        ]
        if plan.optimizer == "sgd":
            return SGD(groups, lr=rates[0], momentum=float(plan.momentum))
        return (Adam if plan.optimizer == "adam" else AdamW)(groups, lr=rates[0])

    return make


def run_round(
    plan: RoundPlan,
    model: SharedBert,
    examples: TextExamples,
    *,
    seed: SecretSeed,
    size_bucket: int,
    on_step: OnStep,
) -> None:
    """Train `model.network` in place as the plan says. The ledger was charged before.

    With `plan.privacy` the result is private as its event says; without it nothing is private. Raises
    what privacy.dp.training raises; the network is then to be thrown away.
    """
    training = plan.training
    make_optimizer = build_optimizer(training, model.network.classifier)
    if plan.privacy is not None:
        train(
            model.network,
            examples,
            examples.units(plan.unit),
            plan.privacy,
            seed=seed,
            size_bucket=size_bucket,
            make_optimizer=make_optimizer,
            physical_batch_size=training.physical_batch_size,
            on_step=on_step,
        )
        return
    train_plain(
        model.network,
        examples,
        examples.units(plan.unit),
        sample_rate=plan.sample_rate,
        num_steps=plan.num_steps,
        unit=plan.unit,
        seed=seed,
        size_bucket=size_bucket,
        make_optimizer=make_optimizer,
        physical_batch_size=training.physical_batch_size,
        on_step=on_step,
    )


def predict(model: SharedBert, examples: TextExamples, rows: Sequence[int] | None = None) -> NDArray[np.int64]:
    """The predicted target of each of `rows` (None: of all), in their order, without dropout."""
    chosen = list(range(len(examples)) if rows is None else rows)
    predicted = np.empty(len(chosen), np.int64)
    was_training = model.network.training
    model.network.eval()
    try:
        with torch.no_grad():
            for places in by_length([examples.lengths[row] for row in chosen]):
                logits = model.network(examples.batch([chosen[place] for place in places]))
                predicted[places] = examples.task.predictions(logits).cpu().numpy()
    finally:
        model.network.train(was_training)
    return predicted


def count(model: SharedBert, examples: TextExamples, rows: Sequence[int] | None = None) -> Counts:
    """Exact counts over `rows` (None: all). They are private: noise is added before they leave."""
    targets = examples.targets if rows is None else examples.targets[list(rows)]
    return examples.task.counts(predict(model, examples, rows).tolist(), targets.tolist(), examples.plan)
