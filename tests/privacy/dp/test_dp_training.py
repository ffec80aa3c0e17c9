# SPDX-License-Identifier: Apache-2.0
"""DP-SGD as a whole: what a step is made of, that empty draws count, and that a training replays to the same bits."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from privacy.base.errors import ContractError
from privacy.base.randomness import SecretSeed
from privacy.dp import clipping, training
from privacy.dp.noise import GaussianStream, grid
from privacy.dp.params import PrivacyParams
from privacy.dp.rounding import order_error
from privacy.dp.sampling import PoissonUnits

RECORDS = [[row] for row in range(24)]


def params(**changes):
    settings = {
        "sample_rate": "0.25",
        "noise_multiplier": "1.5",
        "max_grad_norm": "0.5",
        "target_epsilon": "8",
        "target_delta": "0.00001",
        "num_steps": 3,
        "unit": "record",
    }
    return PrivacyParams.model_validate(settings | changes)


def run(model, rows, seed, privacy, **changes):
    records: list[training.StepRecord] = []
    data = training.TrainingData(rows, changes.pop("units", RECORDS))
    loop = training.TrainingLoop(lambda parameters: torch.optim.SGD(parameters, lr=1.0), 32, 4, records.append)
    training.train(model, data, privacy, dataclasses.replace(loop, **changes), seed=seed)
    return records


def trainable(model):
    return torch.cat([p.detach().flatten() for p in model.parameters() if p.requires_grad])


@pytest.mark.parametrize("method", ["bookkeeping", "ghost", "hooks"])
@pytest.mark.parametrize("scope", ["head", "top_1", "lora", "full"])
def test_a_step_is_the_clipped_sum_plus_the_stream_over_the_expected_batch_size(tiny, seed, method, scope):
    rows, model = tiny.TokenRows(24), tiny.build(torch.float64, scope)
    start = trainable(model).clone()
    drawn = next(PoissonUnits(seed.derive("poisson"), RECORDS, "0.25"))
    clipper = clipping.attach(
        method, model, training.clip_bound(params(), start.numel(), order_error(4, training.LONGEST, 8.0))
    )
    clipper.accumulate(lambda: rows.losses(model, rows.batch(drawn)), len(drawn))
    clipped = torch.cat([total.flatten() for total in clipper.clipped_sum()])
    clipper.close()
    noised = clipped.clone()
    GaussianStream(seed.derive("noise")).add(noised.numpy(), 1.5 * 0.5)
    noise = torch.from_numpy(GaussianStream(seed.derive("noise")).fill(clipped.numel(), 1.5 * 0.5))
    assert torch.allclose(noised, clipped + noise, rtol=0, atol=grid(0.75))
    records = run(model, rows, seed, params(num_steps=1, clipping=method))
    assert torch.allclose(start - trainable(model), noised / (0.25 * 32), rtol=1e-9, atol=1e-12)
    assert records[0].batch_size == len(drawn) > 4
    assert len(records[0].norm_quantiles) == 5


def test_an_empty_draw_runs_no_forward_pass_and_still_steps_with_noise(tiny, seed):
    rows, model = tiny.TokenRows(24), tiny.build(torch.float64, "head")
    rows.losses = None  # a forward pass would fail
    start = trainable(model).clone()
    records = run(model, rows, seed, params(sample_rate="0.000000000001", num_steps=2))
    assert [(record.batch_size, record.mean_loss, record.norm_quantiles) for record in records] == [(0, None, ())] * 2
    stream, noise = GaussianStream(seed.derive("noise")), torch.zeros(start.numel(), dtype=torch.float64)
    for _ in range(2):
        stream.add(noise.numpy(), 0.75)
    assert torch.allclose(start - trainable(model), noise / (1e-12 * 32), rtol=1e-9)


@pytest.mark.parametrize("method", ["bookkeeping", "ghost", "hooks"])
def test_a_training_replays_to_the_same_bits_from_the_same_seed(tiny, seed, method):
    rows = tiny.TokenRows(24)
    runs = []
    for attempt in range(2):
        model = tiny.build(torch.float32, "full", dropout=0.1)
        torch.manual_seed(attempt)  # the surrounding generator must not matter
        run(model, rows, seed, params(clipping=method), make_optimizer=lambda p: torch.optim.AdamW(p, lr=1e-3))
        runs.append(trainable(model))
    assert torch.equal(*runs)
    other = tiny.build(torch.float32, "full", dropout=0.1)
    run(other, rows, SecretSeed(bytes(32)), params(clipping=method))
    assert not torch.equal(runs[0], trainable(other))


def test_dropout_is_on_in_training_and_follows_the_seed_alone(tiny, seed):
    rows = tiny.TokenRows(24)
    ends = []
    for dropout in (0.0, 0.5):
        model = tiny.build(torch.float64, "head", dropout=dropout).eval()
        state = torch.get_rng_state()
        run(model, rows, seed, params(num_steps=1))
        assert torch.equal(torch.get_rng_state(), state)
        assert not any(module.training for module in model.modules())
        ends.append(trainable(model))
    assert not torch.equal(*ends)


def test_the_physical_batch_size_does_not_change_the_result(tiny, seed):
    """But for what it takes off the bound (privacy.dp.rounding)."""
    rows = tiny.TokenRows(24)
    ends = []
    for size in (1, 3, 100):
        model = tiny.build(torch.float64, "top_1")
        run(model, rows, seed, params(), physical_batch_size=size)
        ends.append(trainable(model))
    assert torch.allclose(ends[0], ends[1], rtol=0, atol=5e-4)
    assert torch.allclose(ends[0], ends[2], rtol=0, atol=5e-4)


def test_a_physical_batch_holds_rows_of_like_length(tiny, seed):
    rows, seen = tiny.TokenRows(24), []
    build_batch = rows.batch
    rows.batch = lambda picked: (seen.append(list(picked)), build_batch(picked))[1]
    run(tiny.build(torch.float32, "head"), rows, seed, params(sample_rate="1", num_steps=1), physical_batch_size=6)
    assert [len(part) for part in seen] == [6, 6, 6, 6]
    lengths = [rows.lengths[row] for part in seen for row in part]
    assert lengths == sorted(lengths)


def test_a_patients_step_holds_one_note_of_each_patient(tiny, seed):
    rows, seen = tiny.TokenRows(24), []
    patients = [list(range(first, first + 4)) for first in range(0, 24, 4)]
    build_batch = rows.batch
    rows.batch = lambda picked: (seen.extend(picked), build_batch(picked))[1]
    run(
        tiny.build(torch.float32, "head"),
        rows,
        seed,
        params(unit="patient", sample_rate="1", num_steps=8),
        units=patients,
    )
    steps = [seen[start : start + 6] for start in range(0, len(seen), 6)]
    assert all(sorted(row // 4 for row in step) == list(range(6)) for step in steps)
    assert len({row for row in seen if row < 4}) > 1


def test_without_noise_worth_naming_training_lowers_the_loss(tiny, seed):
    rows, model = tiny.TokenRows(24), tiny.build(torch.float32, "full")
    records = run(
        model,
        rows,
        seed,
        params(sample_rate="1", noise_multiplier="0.0001", max_grad_norm="10", num_steps=25),
        make_optimizer=lambda p: torch.optim.Adam(p, lr=5e-3),
        size_bucket=24,
    )
    assert records[-1].mean_loss < 0.5 * records[0].mean_loss


def test_plain_training_is_the_same_loop_without_clipping_and_noise(tiny, seed):
    rows, model = tiny.TokenRows(24), tiny.build(torch.float64, "top_1")
    parameters = [p for p in model.parameters() if p.requires_grad]
    drawn = next(PoissonUnits(seed.derive("poisson"), RECORDS, "0.25"))
    gradients = torch.autograd.grad(rows.losses(model, rows.batch(drawn)).sum(), parameters)
    start, records = trainable(model).clone(), []
    training.train_plain(
        model,
        training.TrainingData(rows, RECORDS),
        training.PlainParams("0.25", 1, "record"),
        training.TrainingLoop(lambda p: torch.optim.SGD(p, lr=1.0), 32, 3, records.append),
        seed=seed,
    )
    moved = start - trainable(model)
    assert torch.allclose(moved, torch.cat([g.flatten() for g in gradients]) / 8, rtol=1e-9, atol=1e-12)
    assert records[0].batch_size == len(drawn)


@pytest.mark.parametrize(
    "changes",
    [
        {"units": [[0, 1]]},
        {"units": [[0], [0]]},
        {"units": [[24]]},
        {"units": [[]]},
        {"size_bucket": 0},
        {"physical_batch_size": 0},
        {"make_optimizer": lambda parameters: torch.optim.SGD(parameters[:1], lr=1.0)},
        {"make_optimizer": lambda parameters: torch.optim.SGD([*parameters, nn.Parameter(torch.zeros(1))], lr=1.0)},
    ],
)
def test_a_training_that_breaks_its_contract_is_refused(tiny, seed, changes):
    rows, model = tiny.TokenRows(24), tiny.build(torch.float32, "head")
    start = trainable(model).clone()
    with pytest.raises(ContractError):
        run(model, rows, seed, params(), **changes)
    assert torch.equal(start, trainable(model))
