# SPDX-License-Identifier: Apache-2.0
"""From anonymized records to a trained model: examples, their privacy units, one round, and predictions.

The loop itself is privacy.dp.training's; here stands what it is given. A round starts a new optimizer: its state is a
function of private gradients and lives no longer than the round.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from client.learning import tasks
from client.learning.model.masking import IGNORED, Masking, fixed_draws, fresh_draws, unhidden
from client.learning.model.model import SharedBert
from client.learning.model.pretrained import Pretrained
from client.learning.model.tokenization import TokenizedExample, WordPieces, pack, tokenize_records
from client.learning.tasks import Task, TaskExample, Why
from client.learning.training.evaluation import Counts
from client.learning.training.features import (
    ALONE,
    BATCH_TOKENS,
    Corrupt,
    Features,
    by_length,
    compute_features,
)
from client.learning.training.schedule import StepsOfRun, follow_schedule
from privacy.base.errors import ContractError
from privacy.base.progress import RowProgress
from privacy.base.randomness import SecretSeed
from privacy.dp.draws import Tags, numbered, tags_of
from privacy.dp.params import Unit
from privacy.dp.training import MakeOptimizer, OnStep, PlainParams, TrainingData, TrainingLoop, train, train_plain
from privacy.protocol.plans import RoundPlan, TaskPlan, TrainingPlan
from privacy.text.reading.records import AnonymizedRecord


@dataclass(frozen=True, eq=False, repr=False)
class TextExamples:
    """A site's rows as the training loop takes them (privacy.dp.training.Examples). Row i is `records[i]`."""

    task: Task
    plan: TaskPlan
    features: Features
    task_examples: tuple[TaskExample, ...]
    records: tuple[AnonymizedRecord, ...]
    refused: int
    """Records left out because their label is missing or not in the plan."""
    lengths: Sequence[int]

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return "TextExamples(hidden)"

    def batch(self, rows: Sequence[int]) -> Mapping[str, Tensor]:
        """The rows' inputs, "targets" and what else the task reads, on the model's device."""
        task_examples = [self.task_examples[row] for row in rows]
        device = self.features.model.device
        batch = self.features.batch(rows)
        for name in task_examples[0].inputs:
            batch[name] = collate([example.inputs[name] for example in task_examples]).to(device)
        return {**batch, "targets": collate([example.target for example in task_examples]).to(device)}

    def losses(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """One loss per row, shape (B,)."""
        return self.task.losses(model(batch), batch, self.plan)

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

    def tags(self, unit: Unit) -> Tags:
        """The names of `units`, in their order: a patient's id, or all that makes up a row."""
        if unit == "patient":
            return tags_of(
                list(dict.fromkeys(str(record.patient_id).encode("utf-8", "surrogatepass") for record in self.records))
            )
        return self._record_tags

    @cached_property
    def _record_tags(self) -> Tags:
        return tags_of(numbered(_whole(record) for record in self.records))


def prepare(
    records: Sequence[AnonymizedRecord],
    plan: TaskPlan,
    model: SharedBert,
    pretrained: Pretrained,
    *,
    on_progress: RowProgress | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> TextExamples:
    """Tokenize the records and compute the frozen part's features, once for all rounds, in batches of `batch_tokens`.

    A record whose label the plan lacks, or without what the task reads, costs itself and is counted: whether it is one
    never decides about another. No record, or none that is left, gives no examples, which train (noise alone) and count
    (zeros) like any others.
    """
    task = tasks.load(plan.name)
    tokenizer = pretrained.tokenizer(plan.max_tokens)
    rows = tokenize_records(records, tokenizer, task.INPUTS)
    read = [_read(task, record, pieces, plan) for record, pieces in zip(records, rows, strict=True)]
    readable = [at for at, one in enumerate(read) if isinstance(one, TaskExample)]
    pieces = pack([rows[at] for at in readable])
    features = compute_features(
        model,
        pieces,
        on_progress,
        batch_tokens=batch_tokens,
        corrupt=_hiding(task, plan, model, pieces, tokenizer),
    )
    task_examples = tuple(one for one in read if isinstance(one, TaskExample))
    chosen = tuple(records[at] for at in readable)
    return TextExamples(task, plan, features, task_examples, chosen, len(records) - len(readable), pieces.lengths)


def _read(task: Task, record: AnonymizedRecord, pieces: TokenizedExample, plan: TaskPlan) -> TaskExample | Why:
    """The task's example; a record on which it stumbles is one that it cannot read, and no other record's matter."""
    try:
        return task.read(record, pieces, plan)
    except Exception:  # whatever it is, it follows from this record alone
        return "unknown"


def _whole(record: AnonymizedRecord) -> bytes:
    """What two rows must share to stand for each other."""
    spans = [(span.start, span.end, span.label) for span in record.spans]
    return json.dumps([record.record_id, record.patient_id, record.text, record.label, record.pair, spans]).encode()


def collate(arrays: Sequence[NDArray[Any]]) -> Tensor:
    """Rows of one kind as (B, ...): padded with -100 (numbers) or False where their first dimensions differ."""
    if len({array.shape for array in arrays}) == 1:
        return torch.from_numpy(np.stack(arrays))
    longest, kind = max(len(array) for array in arrays), arrays[0].dtype
    filled = np.full((len(arrays), longest, *arrays[0].shape[1:]), False if kind == np.bool_ else IGNORED, kind)
    for row, array in zip(filled, arrays, strict=True):
        row[: len(array)] = array
    return torch.from_numpy(filled)


def _hiding(task: Task, plan: TaskPlan, model: SharedBert, pieces: WordPieces, tokenizer: Tokenizer) -> Corrupt | None:
    """What a masked-language head needs of each batch; None for a task without one."""
    if task.MASKING == "never":
        return None
    assert plan.mask_rate is not None
    masking, trainable = Masking.of(tokenizer, float(plan.mask_rate)), model.trainable

    def corrupt(batch: dict[str, Tensor], rows: Sequence[int]) -> dict[str, Tensor]:
        if trainable.training:
            return masking.hide(batch, fresh_draws(batch))
        return unhidden(batch) if task.MASKING == "training" else masking.hide(batch, fixed_draws(pieces, rows, batch))

    return corrupt


def build_optimizer(plan: TrainingPlan, heads: Sequence[nn.Parameter], steps: StepsOfRun) -> MakeOptimizer:
    """The plan's optimizer over given parameters: the heads' at their own rate; biases and LayerNorms never decay."""
    of_heads = {id(parameter) for parameter in heads}
    rates = (float(plan.learning_rate), float(plan.head_learning_rate))
    decays = (0.0, float(plan.weight_decay))

    def make(parameters: list[nn.Parameter]) -> Optimizer:
        sorted_out: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for parameter in parameters:
            sorted_out.setdefault((id(parameter) in of_heads, parameter.ndim > 1), []).append(parameter)
        groups = [
            {"params": members, "lr": rates[in_head], "weight_decay": decays[is_matrix]}
            for (in_head, is_matrix), members in sorted_out.items()
        ]
        if plan.optimizer == "sgd":
            optimizer: Optimizer = SGD(groups, lr=rates[0], momentum=float(plan.momentum))
        else:
            optimizer = (Adam if plan.optimizer == "adam" else AdamW)(groups, lr=rates[0])
        follow_schedule(optimizer, plan, steps)
        return optimizer

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
    """Train `model.trainable` in place as the plan says. The ledger was charged before.

    With `plan.privacy` the result is private as its event says; without it nothing is private. Raises
    what privacy.dp.training raises; the model is then to be thrown away.
    """
    training = plan.training
    steps = StepsOfRun((plan.server_round - 1) * plan.num_steps, plan.planned_rounds * plan.num_steps)
    make_optimizer = build_optimizer(training, model.trainable.head_parameters(), steps)
    loop = TrainingLoop(make_optimizer, size_bucket, training.physical_batch_size, on_step)
    data = TrainingData(
        examples,
        examples.units(plan.unit),
        examples.tags(plan.unit),
        longest=1 if model.entry == "pooled" else plan.task.max_tokens,
    )
    if plan.privacy is not None:
        train(model.trainable, data, plan.privacy, loop, seed=seed)
    else:
        train_plain(model.trainable, data, PlainParams(plan.sample_rate, plan.num_steps, plan.unit), loop, seed=seed)


def predict(
    model: SharedBert, examples: TextExamples, rows: Sequence[int] | None = None, *, batch_tokens: int = BATCH_TOKENS
) -> list[NDArray[Any]]:
    """What the model says of each of `rows` (None: of all), in their order, without dropout, as its task says it."""
    chosen = list(range(len(examples)) if rows is None else rows)
    predicted: dict[int, NDArray[Any]] = {}
    was_training = model.trainable.training
    model.trainable.eval()
    try:
        with torch.no_grad():
            for places in by_length([examples.lengths[row] for row in chosen], batch_tokens):
                batch = examples.batch([chosen[place] for place in places])
                predicted.update(zip(places, examples.task.predictions(model.trainable(batch), batch), strict=True))
    finally:
        model.trainable.train(was_training)
    return [predicted[place] for place in range(len(chosen))]


def count(
    model: SharedBert, examples: TextExamples, rows: Sequence[int] | None = None, *, batch_tokens: int = ALONE
) -> Counts:
    """Exact counts over `rows` (None: all). They are private: noise is added before they leave.

    A row is read by itself. In a batch the last bits of what is said of it would follow from how far it is padded, and
    a model can be made so that those bits decide: one row more would then change what all others count for.
    """
    chosen = range(len(examples)) if rows is None else rows
    summed = np.zeros((3, examples.plan.num_outputs), np.int64)
    for row, prediction in zip(chosen, predict(model, examples, chosen, batch_tokens=batch_tokens), strict=True):
        summed += _count_one(examples, row, prediction)
    right, actual, predicted = (tuple(int(one) for one in vector) for vector in summed)
    return Counts(right=right, actual=actual, predicted=predicted)


def _count_one(examples: TextExamples, row: int, prediction: NDArray[Any]) -> NDArray[np.int64]:
    """What a row counts for, (3, num_outputs): within the bound for which the noise is made, or nothing at all."""
    nothing = np.zeros((3, examples.plan.num_outputs), np.int64)
    try:
        added = np.array(examples.task.count(prediction, examples.task_examples[row], examples.plan), np.int64)
    except Exception:  # whatever it is, it follows from this row alone
        return nothing
    return added if added.shape == nothing.shape and _is_bounded(added, examples.plan) else nothing


def _is_bounded(added: NDArray[np.int64], plan: TaskPlan) -> bool:
    """Whether an example's right, actual and predicted keep what TaskPlan.counts_sensitivity is computed from."""
    bound = plan.counted or 1
    each = plan.counted_per_label or bound
    return bool(
        added.min() >= 0 and added.max() <= each and added.sum(1).max() <= bound and (added[0] <= added[1]).all()
    )
