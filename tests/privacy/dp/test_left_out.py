# SPDX-License-Identifier: Apache-2.0
"""A unit without a usable gradient contributes zero, as a function of itself alone, and no error tells of it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from privacy.dp import training
from privacy.dp.clipping import LARGEST
from privacy.dp.params import PrivacyParams
from privacy.leakage.recorder import RecordingSGD

METHODS = ["bookkeeping", "ghost", "hooks"]
ROWS = 9


def params(**changes):
    settings = {
        "sample_rate": "1",
        "noise_multiplier": "1",
        "max_grad_norm": "0.5",
        "target_epsilon": "8",
        "target_delta": "0.00001",
        "num_steps": 2,
        "unit": "record",
    }
    return PrivacyParams.model_validate(settings | changes)


class Spoiled:
    """Rows some of whose losses are multiplied: NaN and infinity spoil a gradient, large numbers stretch it."""

    def __init__(self, rows, spoiled):
        self._rows, self.spoiled, self.lengths, self.batches = rows, spoiled, rows.lengths, []

    def batch(self, rows):
        self.batches.append(list(rows))
        return self._rows.batch(rows) | {"times": torch.tensor([self.spoiled.get(row, 1.0) for row in rows])}

    def losses(self, model, batch):
        tokens = {name: value for name, value in batch.items() if name != "times"}
        return self._rows.losses(model, tokens) * batch["times"]


def release(model, examples, units, seed, privacy, size=4, rate=0.01):
    """What each step released, and what it looked like."""
    released, records = [], []
    training.train(
        model,
        training.TrainingData(examples, units),
        privacy,
        training.TrainingLoop(
            lambda parameters: RecordingSGD(parameters, rate, released.append), ROWS, size, records.append
        ),
        seed=seed,
    )
    return torch.stack([torch.from_numpy(one) for one in released]), records


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e38, 1e15])
@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_unit_that_is_not_finite_or_too_long_counts_as_absent(tiny, seed, method, value, size):
    rows = tiny.TokenRows(ROWS)
    units = [[row] for row in range(ROWS)]
    got, records = release(
        tiny.build(torch.float64, "top_1"), Spoiled(rows, {3: value}), units, seed, params(clipping=method), size
    )
    without = [unit for unit in units if unit != [3]]
    expected, plain = release(
        tiny.build(torch.float64, "top_1"), Spoiled(rows, {}), without, seed, params(clipping=method), size
    )
    assert torch.allclose(got, expected, rtol=0, atol=1e-7)  # a cell of the grid
    assert [record.left_out for record in records] == [1, 1]
    assert [record.mean_loss for record in records] == pytest.approx([record.mean_loss for record in plain])
    assert [record.norm_quantiles for record in records] == [pytest.approx(record.norm_quantiles) for record in plain]


@pytest.mark.parametrize("method", METHODS)
def test_whoever_shares_the_batch_is_added_as_ever(tiny, seed, method):
    """Two spoiled rows in one batch, one in another, and a batch of which none is left."""
    rows, spoiled = tiny.TokenRows(ROWS), {0: math.nan, 1: math.inf, 2: 1e30, 8: math.nan}
    got, records = release(
        tiny.build(torch.float64, "head"),
        Spoiled(rows, spoiled),
        [[row] for row in range(ROWS)],
        seed,
        params(clipping=method),
        3,
    )
    kept = [[row] for row in range(ROWS) if row not in spoiled]
    expected, _ = release(tiny.build(torch.float64, "head"), Spoiled(rows, {}), kept, seed, params(clipping=method), 3)
    assert torch.allclose(got, expected, rtol=0, atol=1e-7)
    assert records[0].left_out == 4


def test_one_note_that_is_not_finite_leaves_out_its_patient_and_no_other(tiny, seed):
    rows, units = tiny.TokenRows(ROWS), [[0, 1, 2], [3, 4], [5, 6, 7, 8]]
    private = params(unit="patient", notes_per_unit=4)
    got, records = release(tiny.build(torch.float64, "full"), Spoiled(rows, {4: math.nan}), units, seed, private, 9)
    expected, _ = release(tiny.build(torch.float64, "full"), Spoiled(rows, {}), [units[0], units[2]], seed, private, 9)
    assert torch.allclose(got, expected, rtol=0, atol=1e-7)
    assert [record.left_out for record in records] == [1, 1]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("share", "left_out"), [(0.4, 0), (0.9, 0), (0.9999, 0), (1.0001, 1), (1.9, 1)])
@pytest.mark.parametrize("size", [1, 4])
def test_the_bound_is_the_same_alone_and_in_company(tiny, seed, method, share, left_out, size):
    """Between half the bound and the bound a unit is measured by itself, so that no neighbour tips the scale."""
    rows = tiny.TokenRows(ROWS)
    model = tiny.build(torch.float32, "head")
    norm = torch.cat([g.flatten() for g in tiny.truth(model, rows, [5])[0]]).norm()
    examples = Spoiled(rows, {5: share * LARGEST / float(norm)})
    _, records = release(
        model, examples, [[row] for row in range(ROWS)], seed, params(clipping=method, num_steps=1), size
    )
    assert records[0].left_out == left_out
    assert ([5] in examples.batches) == (share > 0.5 or size == 1)


@pytest.mark.parametrize("method", METHODS)
def test_where_no_unit_is_usable_a_step_is_noise_alone(tiny, seed, method):
    rows = tiny.TokenRows(ROWS)
    units = [[row] for row in range(ROWS)]
    spoiled = Spoiled(rows, dict.fromkeys(range(ROWS), math.nan))
    got, records = release(tiny.build(torch.float32, "full"), spoiled, units, seed, params(clipping=method))
    empty, _ = release(tiny.build(torch.float32, "full"), rows, [], seed, params(clipping=method))
    assert torch.equal(got, empty)
    assert [(record.left_out, record.mean_loss, record.norm_quantiles) for record in records] == [(ROWS, None, ())] * 2


@pytest.mark.parametrize(
    "make", [lambda p: torch.optim.SGD(p, lr=1e38, momentum=0.9), lambda p: torch.optim.Adam(p, lr=1e36)]
)
def test_a_learning_rate_that_ends_in_infinity_raises_nothing(tiny, seed, make):
    """What the optimizer makes of a noised sum is no secret; an error would depend on what was drawn."""
    model, records = tiny.build(torch.float32, "full"), []
    training.train(
        model,
        training.TrainingData(tiny.TokenRows(ROWS), [[row] for row in range(ROWS)]),
        params(num_steps=4, max_grad_norm="1000"),
        training.TrainingLoop(make, ROWS, 4, records.append),
        seed=seed,
    )
    assert len(records) == 4
    assert records[-1].left_out == ROWS
    assert max(float(p.detach().abs().max()) for p in model.parameters()) > 1e36 or not all(
        bool(torch.isfinite(p).all()) for p in model.parameters()
    )


def test_plain_training_leaves_such_rows_out_too(tiny, seed):
    rows, ends = tiny.TokenRows(ROWS), []
    for spoiled, units in (({3: math.nan, 6: 1e30}, range(ROWS)), ({}, [0, 1, 2, 4, 5, 7, 8])):
        model, records = tiny.build(torch.float64, "top_1"), []
        training.train_plain(
            model,
            training.TrainingData(Spoiled(rows, spoiled), [[row] for row in units]),
            training.PlainParams("1", 1, "record"),
            training.TrainingLoop(lambda parameters: torch.optim.SGD(parameters, lr=1.0), ROWS, 4, records.append),
            seed=seed,
        )
        ends.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.allclose(*ends, rtol=0, atol=1e-12)
    assert bool(torch.isfinite(ends[0]).all())


class Overflowing(nn.Module):
    """A head whose weight is as large as float32 holds: it overflows on one side of a plane, and only there."""

    def __init__(self, direction):
        super().__init__()
        self.head = nn.Linear(len(direction), 2)
        largest = torch.finfo(torch.float32).max
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.bias.zero_()
            self.head.weight[0] = largest * 2**-6 * direction
            self.head.bias[0] = largest * (1 - 2**-6)

    def forward(self, x):
        return self.head(x)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [1, 8])
def test_a_head_that_overflows_for_one_person_alone_says_nothing_of_whether_that_person_is_there(seed, method, size):
    """The oracle: `not_finite` used to come exactly where that person was drawn."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(ROWS, 16, generator=generator)
    x[4] = 2 * x[4] / x[4].norm()
    direction = x[4] / x[4].square().sum()
    x[5:] -= (x[5:] @ direction)[:, None] * x[4]  # all others stand on the other side

    class Rows:
        lengths = [1] * ROWS

        def batch(self, rows):
            return {"x": x[list(rows)]}

        def losses(self, model, batch):
            return nn.functional.cross_entropy(
                model(batch["x"]), torch.zeros(len(batch["x"]), dtype=torch.long), reduction="none"
            )

    units = [[row] for row in range(4, ROWS)]
    with_her, seen = release(Overflowing(1.5 * direction), Rows(), units, seed, params(clipping=method), size)
    without, _ = release(Overflowing(1.5 * direction), Rows(), units[1:], seed, params(clipping=method), size)
    assert seen[0].left_out == 1
    assert torch.equal(with_her, without)
