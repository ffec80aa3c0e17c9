# SPDX-License-Identifier: Apache-2.0
"""Neighbouring data sets by brute force: how far one patient, or one record, moves what a step sums before its noise.

Two corpora that differ by one unit are prepared and trained on with the same seed, through the training loop as it is:
sampling, choice of notes, dropout and hidden word pieces on, ragged rows, several physical batches, gradients far above
and far below the bound. The noise is the same in both, so that the difference of what two steps release is that of
their clipped sums. The proof says that it is at most max_grad_norm, even for whoever knows the seed (ADR 24).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from client.learning import tasks
from client.learning.model.model import SharedBert, build
from client.learning.model.pretrained import Pretrained
from client.learning.training.training import TextExamples, prepare
from privacy.base.randomness import PublicSeed, SecretSeed
from privacy.dp.params import PrivacyParams, Unit
from privacy.dp.training import TrainingData, TrainingLoop, train
from privacy.leakage.recorder import RecordingSGD
from privacy.protocol.plans import Scope, TaskPlan, TrainingPlan
from privacy.text.reading.records import AnonymizedRecord, Span

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
LABELS: Final = ("fever", "cough", "other", "none")
PLANS: Final[dict[str, dict[str, object]]] = {
    "classification": {"labels": LABELS},
    "sentence_pair": {"labels": LABELS},
    "relation": {"labels": LABELS},
    "multi_label": {"labels": LABELS, "counted": 2},
    "token_classification": {"labels": ("fever", "cough"), "counted": 3},
    "regression": {"labels": (), "value_range": ("-2", "6"), "counted": 10},
    "question_answering": {"labels": (), "counted": 4},
    "masked_language": {"labels": (), "mask_rate": "0.3", "counted": 5},
    "joint": {"labels": LABELS, "mask_rate": "0.3", "masked_weight": "0.25"},
}
"""What a plan of each task says: every task has a line here (a test holds it to client/learning/tasks)."""

STEPS: Final = 2
NOISE: Final = "0.01"
"""So little that the float32 in which a step is released does not matter."""
GONE: Final = "the one who leaves"


@dataclass(frozen=True)
class PairSetting:
    """What a pair of corpora is trained under: a task, a scope, and units of which a step takes `notes` rows."""

    task: str
    scope: Scope
    unit: Unit
    notes: int


@dataclass(frozen=True)
class Distance(PairSetting):
    """How far one pair's sums are apart, as a share of the bound: above 1 the proof does not hold."""

    share: float


def distances(pretrained: Pretrained, words: Sequence[str], pairs: int, seed: int) -> Iterator[Distance]:
    """`pairs` random pairs for each task and scope, of texts made of `words`."""
    random = Random(seed)
    for name in PLANS:
        for scope in SCOPES:
            for number in range(pairs):
                notes = (1, 3)[(number + len(name)) % 2]
                unit: Unit = "patient" if notes > 1 or random.random() < 0.7 else "record"
                share = _share(pretrained, words, random, PairSetting(name, scope, unit, notes))
                yield Distance(name, scope, unit, notes, share)


def worst(pretrained: Pretrained, words: Sequence[str], pairs: int, seed: int) -> Distance:
    """The pair that is furthest apart."""
    return max(distances(pretrained, words, pairs, seed), key=lambda one: one.share)


def _share(pretrained: Pretrained, words: Sequence[str], random: Random, setting: PairSetting) -> float:
    patients = [f"p{at}" for at in range(random.randint(3, 8))]
    rows = [patient for patient in patients for _ in range(random.randint(1, 5))]
    rows += [GONE] * (1 if setting.unit == "record" else random.randint(1, 5))
    random.shuffle(rows)
    records = [_record(setting.task, number, patient, words, random) for number, patient in enumerate(rows)]
    params = PrivacyParams(
        sample_rate=random.choice(["1", "0.7"]),
        noise_multiplier=NOISE,
        max_grad_norm=random.choice(["0.001", "0.1", "1", "10"]),
        target_epsilon="8",
        target_delta="0.00001",
        num_steps=STEPS,
        unit=setting.unit,
        notes_per_unit=setting.notes,
    )
    secret, public = SecretSeed(random.randbytes(32)), PublicSeed(random.randbytes(32))
    size, steeper = random.choice([4, 8, 16]), random.choice([1.0, 30.0, 300.0])

    def released(remaining: Sequence[AnonymizedRecord]) -> NDArray[np.float64]:
        model = _model(pretrained, setting, public, steeper)
        examples = prepare(remaining, _plan(setting.task), model, pretrained)
        return _released(model, examples, params, secret, size)

    both = released(records), released([record for record in records if record.patient_id != GONE])
    moved = np.linalg.norm(both[0] - both[1], axis=1).max()
    return float(moved) / float(params.max_grad_norm)


def _released(
    model: SharedBert, examples: TextExamples, params: PrivacyParams, secret: SecretSeed, size: int
) -> NDArray[np.float64]:
    """What each step releases, (steps, values), not divided by anything; the model stays as it is."""
    released: list[NDArray[np.float32]] = []
    train(
        model.trainable,
        TrainingData(examples, examples.units(params.unit), tags=examples.tags(params.unit), longest=24),
        params,
        TrainingLoop(lambda parameters: RecordingSGD(parameters, 0.0, released.append), 100, size, lambda record: None),
        seed=secret,
    )
    return np.stack(released).astype(np.float64) * (float(params.sample_rate) * 100)


def _plan(name: str) -> TaskPlan:
    return TaskPlan.model_validate({"name": name, "max_tokens": 24, **PLANS[name]})


def _model(pretrained: Pretrained, setting: PairSetting, public: PublicSeed, steeper: float) -> SharedBert:
    """The model at its start, its head `steeper` times as steep."""
    scope, plan = setting.scope, _plan(setting.task)
    some, lora = scope in ("top", "lora", "bitfit"), scope == "lora"
    training = TrainingPlan(
        scope=scope,
        top_layers=1 if some else 0,
        lora_rank=2 if lora else 0,
        lora_alpha=2 if lora else 0,
        optimizer="sgd",
        learning_rate="0.001",
        head_learning_rate="0.01",
        momentum="0",
        weight_decay="0",
        dropout="0.1",
        physical_batch_size=16,
    )
    model = build(pretrained, training, tasks.load(plan.name).heads(plan), public, torch.device("cpu"))
    if model.trainable.classifier is not None:
        with torch.no_grad():
            model.trainable.classifier.weight.mul_(steeper)
    return model


def _record(name: str, number: int, patient: str, words: Sequence[str], random: Random) -> AnonymizedRecord:
    text = "fever and cough " + " ".join(random.choice(words) for _ in range(random.randint(1, 14)))
    label: str | None = random.choice(LABELS) if PLANS[name]["labels"] else None
    if name == "multi_label":
        label = json.dumps([one for one in LABELS if random.random() < 0.4])
    elif name == "regression":
        label = str(random.uniform(-2, 6))
    marks = {
        "relation": [Span(0, 5, "head"), Span(10, 15, "tail")],
        "token_classification": [Span(0, 5, "fever"), Span(10, 15, "cough")][: random.randint(0, 2)],
        "question_answering": [Span(10, 15, "answer")][: random.randint(0, 1)],
    }
    pair = " ".join(random.choice(words) for _ in range(random.randint(1, 5)))
    return AnonymizedRecord(f"r{number}", text, label, patient, (), (), tuple(marks.get(name, ())), pair)
