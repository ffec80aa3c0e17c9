# SPDX-License-Identifier: Apache-2.0
"""A site prepares its records once and trains rounds on them: reproducibly, and only what the scope says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from client.learning import tasks
from client.learning.model import device
from client.learning.model.model import SharedBert, build, trainable_arrays
from client.learning.model.pretrained import Pretrained, load_pretrained
from client.learning.training.schedule import StepsOfRun
from client.learning.training.training import TextExamples, build_optimizer, count, predict, prepare, run_round
from client.settings.site_settings import ComputeSection
from privacy.base.errors import ContractError, SettingsError
from privacy.base.randomness import PublicSeed, SecretSeed
from privacy.dp.params import PrivacyParams, Unit
from privacy.dp.training import StepRecord
from privacy.protocol.plans import CohortMember, EncodingPlan, RoundPlan, TaskPlan, TrainingPlan
from privacy.text.reading.records import AnonymizedRecord

CPU = torch.device("cpu")
SECRET = SecretSeed(bytes(range(32)))
Plan = Callable[..., TrainingPlan]
Records = tuple[AnonymizedRecord, ...]


@pytest.fixture(scope="module")
def tiny(tiny_folder: Path) -> Pretrained:
    return load_pretrained(tiny_folder)


def round_plan(
    task: TaskPlan,
    training: TrainingPlan,
    *,
    private: bool = True,
    unit: Unit = "patient",
    sample_rate: str = "0.5",
    num_steps: int = 3,
) -> RoundPlan:
    privacy = PrivacyParams(
        sample_rate=sample_rate,
        noise_multiplier="0.8",
        max_grad_norm="1",
        target_epsilon="8",
        target_delta="0.00001",
        num_steps=num_steps,
        unit=unit,
        clipping="ghost",
    )
    return RoundPlan(
        run_id="run",
        server_round=1,
        planned_rounds=1,
        cohort={"site_a": CohortMember(weight=1, size_bucket=8)},
        min_sites=1,
        public_seed="00" * 32,
        task=task,
        pretrained_digest="00" * 32,
        tokenizer_digest="00" * 32,
        contract_digest="00" * 32,
        model_digest="00" * 32,
        training=training,
        unit=unit,
        sample_rate=sample_rate,
        num_steps=num_steps,
        privacy=privacy if private else None,
        update_clip_norm="1",
        encoding=EncodingPlan(dtype="int32", scale_log2=20),
        aggregation="weighted_sum",
    )


def made(
    tiny: Pretrained, task: TaskPlan, training: TrainingPlan, records: Sequence[AnonymizedRecord]
) -> tuple[SharedBert, TextExamples]:
    model = build(tiny, training, tasks.load(task.name).heads(task), PublicSeed.from_integer(3), CPU)
    return model, prepare(records, task, model, tiny)


def trained(
    tiny: Pretrained, task: TaskPlan, training: TrainingPlan, records: Records, seed: SecretSeed = SECRET
) -> tuple[dict[str, np.ndarray], list[StepRecord]]:
    model, examples = made(tiny, task, training, records)
    steps: list[StepRecord] = []
    run_round(round_plan(task, training), model, examples, seed=seed, size_bucket=8, on_step=steps.append)
    return trainable_arrays(model.trainable), steps


@pytest.mark.parametrize("scope", ["head", "top", "lora", "bitfit", "full"])
def test_a_round_moves_every_trained_array_the_same_way_each_time(
    tiny: Pretrained, tiny_task: TaskPlan, training_plan: Plan, records: Records, scope: str
) -> None:
    training = training_plan(scope, dropout="0.1")
    start = trainable_arrays(made(tiny, tiny_task, training, records)[0].trainable)
    frozen_before = {name: tensor.clone() for name, tensor in tiny.tensors.items()}
    one, steps = trained(tiny, tiny_task, training, records)
    again, _ = trained(tiny, tiny_task, training, records)
    other, _ = trained(tiny, tiny_task, training, records, SecretSeed(bytes(32)))
    assert len(steps) == 3
    for name in start:
        assert not np.array_equal(one[name], start[name]), name
        assert np.array_equal(one[name], again[name]), name
    assert any(not np.array_equal(one[name], other[name]) for name in one)
    assert all(torch.equal(tiny.tensors[name], before) for name, before in frozen_before.items())


def test_under_the_patient_unit_a_step_holds_at_most_one_note_of_a_patient(
    tiny: Pretrained, tiny_task: TaskPlan, training_plan: Plan, records: Records
) -> None:
    _, examples = made(tiny, tiny_task, training_plan(), records)
    units = examples.units("patient")
    assert len(units) == 8
    assert sorted(row for unit in units for row in unit) == list(range(24))
    assert all(len({examples.records[row].patient_id for row in unit}) == 1 for unit in units)
    assert examples.units("record") == [[row] for row in range(24)]
    _, steps = trained(tiny, tiny_task, training_plan(), records)
    assert all(step.batch_size <= 8 for step in steps)


def test_a_record_without_a_patient_has_no_unit_under_patient(
    tiny: Pretrained, tiny_task: TaskPlan, training_plan: Plan
) -> None:
    _, examples = made(tiny, tiny_task, training_plan(), [AnonymizedRecord("r", "fever", "ill", None, ())])
    with pytest.raises(ContractError):
        examples.units("patient")


def test_a_label_outside_the_plan_costs_its_row_and_no_row_is_no_error(
    tiny: Pretrained, tiny_task: TaskPlan, training_plan: Plan, records: Records
) -> None:
    strange = AnonymizedRecord("x", "secret words", "measles", "p9", ())
    model, examples = made(tiny, tiny_task, training_plan(), (*records, strange))
    assert (len(examples), examples.refused) == (24, 1)
    for left in ((strange,), ()):
        nothing = prepare(left, tiny_task, model, tiny)
        assert (len(nothing), nothing.refused, nothing.units("patient")) == (0, len(left), [])


def test_plain_training_learns(tiny: Pretrained, tiny_task: TaskPlan, training_plan: Plan, records: Records) -> None:
    training = training_plan("top", top_layers=2, learning_rate="0.01")
    model, examples = made(tiny, tiny_task, training, records)
    plan = round_plan(tiny_task, training, private=False, unit="record", sample_rate="1", num_steps=40)
    before = count(model, examples)
    steps: list[StepRecord] = []
    run_round(plan, model, examples, seed=SECRET, size_bucket=24, on_step=steps.append)
    after = count(model, examples)
    assert before.accuracy is not None
    assert after.accuracy is not None
    assert after.accuracy > max(before.accuracy, 0.9)
    assert steps[0].batch_size == 24


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_the_head_and_the_body_learn_at_their_own_rates_and_only_matrices_decay(
    tiny: Pretrained, tiny_task: TaskPlan, training_plan: Plan, records: Records, optimizer: str
) -> None:
    training = training_plan("top", optimizer=optimizer, learning_rate="0", weight_decay="0.1", momentum="0.9")
    start = trainable_arrays(made(tiny, tiny_task, training, records)[0].trainable)
    moved, _ = trained(tiny, tiny_task, training, records)
    assert {name for name in start if not np.array_equal(start[name], moved[name])} == {
        "classifier.weight",
        "classifier.bias",
    }
    network = made(tiny, tiny_task, training, records)[0].trainable
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for group in build_optimizer(training, network.head_parameters(), StepsOfRun(0, 1))(parameters).param_groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0)


def test_predictions_come_in_the_order_asked_and_without_dropout(
    tiny: Pretrained, tiny_task: TaskPlan, training_plan: Plan, records: Records
) -> None:
    model, examples = made(tiny, tiny_task, training_plan("top", dropout="0.5"), records)
    model.trainable.train()
    everything = predict(model, examples)
    assert model.trainable.training
    assert np.array_equal(everything, predict(model, examples))
    picked = [17, 3, 3, 0]
    assert predict(model, examples, picked) == [everything[at] for at in picked]
    counted = count(model, examples, picked)
    assert sum(counted.actual) == 4
    assert count(model, examples, []).accuracy is None


def test_the_physical_batch_does_not_change_what_is_learnt(
    tiny: Pretrained, tiny_task: TaskPlan, training_plan: Plan, records: Records
) -> None:
    small, _ = trained(tiny, tiny_task, training_plan(optimizer="sgd", physical_batch_size=1), records)
    large, _ = trained(tiny, tiny_task, training_plan(optimizer="sgd", physical_batch_size=64), records)
    for name in small:
        np.testing.assert_allclose(small[name], large[name], rtol=1e-4, atol=1e-6)


def test_examples_do_not_show_their_text(
    tiny: Pretrained, tiny_task: TaskPlan, training_plan: Plan, records: Records
) -> None:
    _, examples = made(tiny, tiny_task, training_plan(), records)
    assert "fever" not in repr(examples) + repr(examples.features) + repr(examples.features.pieces)


def test_a_machine_says_what_it_computes_on() -> None:
    compute = ComputeSection(device="cpu", threads=1)
    machine = device.describe(compute)
    assert machine.device.startswith("cpu ")
    assert machine.threads == 1
    assert machine.software["torch"] == torch.__version__
    assert machine.digest != device.describe(ComputeSection(device="cpu", threads=2)).digest
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match="this machine does not have"):
            device.choose(ComputeSection(device="cuda"))
