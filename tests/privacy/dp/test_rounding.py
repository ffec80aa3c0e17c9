# SPDX-License-Identifier: Apache-2.0
"""What float32 may add to a unit's distance: the order of a sum, rows that cancel, squares that underflow."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from privacy.base.errors import ContractError
from privacy.dp import clipping, training
from privacy.dp.batches import clipped, physical
from privacy.dp.clipping._sums import Sums
from privacy.dp.params import PrivacyParams
from privacy.dp.rounding import order_error

METHODS = ["bookkeeping", "ghost", "hooks"]
ROWS, WIDTH, LABELS, BATCH = 10_000, 384, 77, 256


def flat(tensors):
    return torch.cat([one.detach().flatten().double() for one in tensors])


# -- the order of a sum ------------------------------------------------------------------------------------------------


class Recipe:
    """A head over features, as many rows as a large site has, all of which pull one way."""

    def __init__(self, aligned):
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(ROWS + 1, WIDTH, generator=generator) + 3 * aligned
        self.y = torch.zeros(ROWS + 1, dtype=torch.long)
        self.model = nn.Linear(WIDTH, LABELS)
        with torch.no_grad():
            self.model.weight.copy_(0.02 * torch.randn(LABELS, WIDTH, generator=generator))
            self.model.bias.zero_()

    def sum_of(self, rows, method):
        clipper = clipping.attach(method, self.model, 1.0)

        def accumulate(part, sizes, largest):
            def losses():
                return nn.functional.cross_entropy(self.model(self.x[part]), self.y[part], reduction="none")

            return clipper.accumulate(losses, len(part), sizes, largest)

        for part in physical([[row] for row in rows], [1] * (ROWS + 1), BATCH):
            clipped(accumulate, part)
        total = flat(clipper.clipped_sum())
        clipper.close()
        return total


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("aligned", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_at_the_recipes_scale_another_order_moves_a_sum_by_a_small_part_of_what_is_taken_off(method, aligned):
    """10,000 rows of 384 features at rate 1: the first row leaves, and every other moves up one place."""
    recipe = Recipe(aligned)
    whole, less, own = (recipe.sum_of(rows, method) for rows in (range(ROWS), range(1, ROWS), [0]))
    allowed = order_error(BATCH, 1, ROWS)
    assert float((whole - less - own).norm()) < allowed / 4
    assert float((whole - less).norm()) <= 1
    assert allowed < 0.01


def test_what_is_taken_off_grows_with_the_batch_and_the_root_of_steps_and_units():
    share = order_error(64, 1, 1000)
    assert order_error(128, 1, 1000) == pytest.approx(2 * share)
    assert order_error(64, 4, 1000) == pytest.approx(2 * share)
    assert order_error(64, 1, 4000) == pytest.approx(2 * share, rel=0.1)
    assert share < 1e-3


def params(**changes):
    base = {
        "sample_rate": "1",
        "noise_multiplier": "1",
        "max_grad_norm": "0.5",
        "target_epsilon": "8",
        "target_delta": "0.00001",
        "num_steps": 1,
        "unit": "record",
    }
    return PrivacyParams.model_validate(base | changes)


def test_the_bound_is_less_by_grid_and_order_and_refuses_batches_that_would_take_a_tenth():
    plain = training.clip_bound(params(), 1000)
    assert training.clip_bound(params(), 1000, 0.01) == pytest.approx(plain - 0.005, rel=1e-12)
    training.clip_bound(params(), 1000, 0.0999)
    with pytest.raises(ContractError, match="physical batches are too large"):
        training.clip_bound(params(), 1000, 0.1001)


def test_a_training_is_clipped_to_the_bound_less_both(tiny, seed):
    rows, model = tiny.TokenRows(1), tiny.build(torch.float64, "head")
    seen = []
    attach = clipping.attach
    try:
        clipping.attach = lambda name, model, bound: (seen.append(bound), attach(name, model, bound))[1]
        training.train(
            model,
            training.TrainingData(rows, [[0]], longest=14),
            params(),
            training.TrainingLoop(lambda p: torch.optim.SGD(p, lr=0.1), 50, 8, lambda record: None),
            seed=seed,
        )
    finally:
        clipping.attach = attach
    assert seen == [training.clip_bound(params(), 99, order_error(8, 14, 50.0))]


# -- over physical batches ---------------------------------------------------------------------------------------------


def test_physical_batches_are_added_up_in_float64():
    weight, row, sums = nn.Parameter(torch.zeros(2, 3)), torch.full((2, 3), 2.0**-30), Sums()
    sums.add(weight, torch.ones(2, 3))
    assert sums.of(weight).dtype == torch.float32  # a step of one batch costs no more
    for _ in range(8):
        sums.add(weight, row.clone())
    assert torch.equal(sums.of(weight), torch.full((2, 3), 1 + 2.0**-27, dtype=torch.float64))
    sums.add_rows(weight, torch.tensor([1, 1]), row)
    assert torch.equal(sums.of(weight)[1], torch.full((3,), 1 + 2.0**-27 + 2.0**-29, dtype=torch.float64))
    assert not Sums().of(weight).any()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_adds_its_batches_in_float64(tiny, method):
    rows, model = tiny.TokenRows(6), tiny.build(torch.float32, "full")
    clipper = clipping.attach(method, model, 1.0)
    parts = [[0, 1], [2, 3], [4, 5]]
    each = []
    for part in parts:
        clipper.accumulate(lambda part=part: rows.losses(model, rows.batch(part)), 2)
        each.append(flat(clipper.clipped_sum()))
    for part in parts:
        clipper.accumulate(lambda part=part: rows.losses(model, rows.batch(part)), 2)
    assert torch.equal(flat(clipper.clipped_sum()), sum(each[1:], each[0]))


# -- rows that cancel --------------------------------------------------------------------------------------------------


def clipped_alone(model, make, bound):
    clipper = clipping.attach("bookkeeping", model, bound)
    _, norms = clipper.accumulate(make, 1)
    total = float(flat(clipper.clipped_sum()).norm())
    clipper.close()
    return float(norms[0]), total


@settings(max_examples=40, deadline=None)
@given(
    steps=st.sampled_from([64, 1022, 1024, 1100, 3000]),
    scale=st.sampled_from([1.0, 1e3, 1e6]),
    distinct=st.sampled_from([1, 3]),
    bound=st.sampled_from([1e-3, 1.0]),
    seed=st.integers(0, 1 << 30),
)
def test_a_unit_whose_steps_cancel_is_clipped_to_the_bound_however_long_it_is(steps, scale, distinct, bound, seed):
    """Units of 1,024 steps and more once had no allowance for rounding: one added 43 times the bound."""
    generator = torch.Generator().manual_seed(seed)
    table = nn.Embedding(50, 16)
    half = torch.randn(1, steps // 2, 16, generator=generator) * scale
    pull = torch.cat([half, -half[:, torch.randperm(steps // 2, generator=generator)]], 1)
    ids = (torch.arange(steps // 2).repeat(2) % distinct)[None]
    if distinct > 1:
        pull = torch.cat([half, -half], 1)
    norm, total = clipped_alone(table, lambda: (table(ids) * pull).sum((1, 2)), bound)
    assert total <= bound
    assert norm > 0


def test_steps_of_different_words_do_not_count_as_cancelling():
    """A long honest unit is not clipped for what it never added up."""
    table, steps = nn.Embedding(4000, 16), 4000
    ids, pull = torch.arange(steps)[None], torch.randn(1, steps, 16)
    norm, _ = clipped_alone(table, lambda: (table(ids) * pull).sum((1, 2)), 1.0)
    assert norm == pytest.approx(float(pull.norm()), rel=1e-5)


@pytest.mark.parametrize("steps", [1, 20])
@pytest.mark.parametrize("small", [1e-19, 1e-21, 1e-23, 1e-25])
@pytest.mark.parametrize("bound", [1e-3, 1.0])
def test_an_input_whose_square_underflows_is_clipped_all_the_same(steps, small, bound):
    """1e-21 squared is 0 in float32, 1e18 times 1e-21 is not: the norm was said to be 0, and nothing was clipped."""
    layer = nn.Linear(96, 96, bias=False)
    x, pull = torch.full((1, steps, 96), small), torch.full((1, steps, 96), 1e17)
    if steps == 1:
        x, pull = x[:, 0], pull[:, 0]
    _, total = clipped_alone(layer, lambda: (layer(x) * pull).flatten(1).sum(1), bound)
    assert 0 < total <= bound


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bound", [1e-12, 1e-6])
def test_a_bound_below_what_squares_of_float32_hold_is_kept(method, bound):
    layer = nn.Linear(4, 4, bias=False)
    clipper = clipping.attach(method, layer, bound)
    clipper.accumulate(lambda: (layer(torch.full((1, 4), 1e-12)) * 1e-11).sum(1), 1)
    assert float(flat(clipper.clipped_sum()).norm()) <= bound


def test_a_site_of_a_hundred_thousand_units_at_rate_one_keeps_most_of_its_bound_and_its_mechanism_check():
    assert order_error(64, 1, 100_000) < 0.005
    assert order_error(64, 64, 100_000) < 0.05
    assert order_error(256, 1, 1_000_000) < 0.1  # what client/site/mechanism_check.py runs
