# SPDX-License-Identifier: Apache-2.0
"""Draws that belong to a unit: who else is there, in which order, batch or padding, changes none of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from privacy.base.errors import ContractError
from privacy.base.randomness import SecretSeed
from privacy.dp import training
from privacy.dp.draws import BatchDraws, RowDraws, current, numbered, tags_by_place, tags_of, using
from privacy.dp.dropout import Dropout, _squares
from privacy.dp.params import PrivacyParams
from privacy.dp.sampling import PoissonUnits

ONCE_IN = 1e-4
"""A right generator fails a test of this file once in so many seeds; the seeds are fixed, so it passes for good."""


def key(number):
    return SecretSeed(number.to_bytes(32, "big"))


def names(count):
    return [f"unit {number}".encode() for number in range(count)]


# -- sampling ----------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=12),
    left_out=st.integers(0, 11),
    notes=st.sampled_from([1, 3]),
    rate=st.sampled_from(["0.3", "1"]),
    order=st.randoms(use_true_random=False),
)
def test_one_unit_less_and_another_order_change_no_other_units_draws(sizes, left_out, notes, rate, order):
    """Whether it joins, and with which of its notes, in each of ten steps."""
    units = {name: [f"{name}/{at}" for at in range(size)] for name, size in zip(names(len(sizes)), sizes, strict=True)}
    gone = names(len(sizes))[left_out % len(sizes)]

    def drawn(kept):
        rows = [note for name in kept for note in units[name]]
        places = [[rows.index(note) for note in units[name]] for name in kept]
        draws = PoissonUnits(key(3), places, rate, notes, tags_of(kept))
        return [[[rows[row] for row in unit] for unit in draws.draw()] for _ in range(10)]

    whole = drawn(list(units))
    kept = [name for name in units if name != gone]
    order.shuffle(kept)
    for step, less in zip(whole, drawn(kept), strict=True):
        assert sorted(unit for unit in step if unit[0] not in units[gone]) == sorted(less)


def test_membership_and_choice_are_independent_and_units_and_steps_too():
    """Choice and membership on one stream would tie which note joins to how surely the unit joined."""
    units = [[2 * at, 2 * at + 1] for at in range(400)]
    draws, seen = PoissonUnits(key(5), units, "0.5", 1, tags_of(names(400))), np.full((60, 400), -1)
    for step in range(60):
        for (row,) in draws.draw():
            seen[step, row // 2] = row % 2
    joined, chose = seen >= 0, seen == 1
    assert stats.binomtest(int(joined.sum()), joined.size, 0.5).pvalue > ONCE_IN
    assert stats.binomtest(int(chose.sum()), int(joined.sum()), 0.5).pvalue > ONCE_IN
    for one, other in ((joined[:-1], joined[1:]), (joined[:, :-1], joined[:, 1:]), (chose[:-1], joined[1:])):
        table = [
            [int((one & other).sum()), int((one & ~other).sum())],
            [int((~one & other).sum()), int((~one & ~other).sum())],
        ]
        assert stats.chi2_contingency(table).pvalue > ONCE_IN


def test_at_a_low_rate_the_chosen_note_is_still_uniform():
    """A word below the threshold is small: if the choice read the same word, it would always be the first note."""
    units = [[4 * at + note for note in range(4)] for at in range(2000)]
    draws, seen = PoissonUnits(key(6), units, "0.02", 1, tags_of(names(2000))), []
    for _ in range(50):
        seen += [row % 4 for (row,) in draws.draw()]
    assert stats.chisquare(np.bincount(seen, minlength=4)).pvalue > ONCE_IN


def test_the_streams_of_a_seed_have_different_words_for_the_same_unit_and_step():
    draws = PoissonUnits(key(1), [[at] for at in range(50)], "0.5", 1, tags_of(names(50)))
    rows = RowDraws(key(1), [[at] for at in range(50)], tags_of(names(50)))
    everyone, zero = np.arange(50), np.zeros(50, np.uint64)
    found = [
        draws._membership.bases(everyone, zero),
        draws._choice.bases(everyone, zero),
        rows.bases(0, list(range(50)))[1],
    ]
    assert len({tuple(block) for blocks in found for block in blocks.tolist()}) == 150


def test_two_units_of_one_name_are_refused_and_equal_rows_are_told_apart_by_their_number():
    with pytest.raises(ContractError, match="one name"):
        tags_of([b"a", b"b", b"a"])
    assert len(tags_of(numbered([b"a", b"b", b"a"]))) == 3
    with pytest.raises(ContractError, match="one name"):
        PoissonUnits(key(1), [[0], [1]], "1", 1, tags_by_place(3))


# -- rows --------------------------------------------------------------------------------------------------------------


def of(seed, units, tags, step, rows, site=1, count=64):
    return RowDraws(seed, units, tags).of(step, rows).words(site, count)


def test_a_rows_words_follow_from_seed_unit_place_step_and_site_alone():
    units, tags = [[0, 1], [2], [3, 4, 5]], tags_of(names(3))
    whole = of(key(1), units, tags, 2, [0, 1, 2, 3, 4, 5])
    assert np.array_equal(of(key(1), units, tags, 2, [5, 2]), whole[[5, 2]])
    assert np.array_equal(of(key(1), [[7, 8], [0, 3, 1]], tags[[0, 2]], 2, [1, 8]), whole[[5, 1]])
    assert np.array_equal(of(key(1), units, tags, 2, [0, 3], count=5), whole[[0, 3], :5])
    others = [
        of(key(2), units, tags, 2, [0]),
        of(key(1), units, tags, 3, [0]),
        of(key(1), units, tags, 2, [0], site=2),
        of(key(1), units, tags, 2, [0], site=BatchDraws.HIDING),
        of(key(1), units, tags_of(names(4))[1:], 2, [0]),
        *(whole[[row]] for row in range(1, 6)),
    ]
    assert all((other != whole[0]).all() for other in others)


def test_rows_words_are_uniform_and_steps_rows_and_sites_uncorrelated():
    tags = tags_of(names(4))
    rows = RowDraws(key(9), [[0], [1], [2], [3]], tags)
    drawn = np.concatenate([rows.of(step, range(4)).words(site, 4096) for step in (0, 1) for site in (0, 1, 2)])
    centred = drawn / 2.0**32 - 0.5
    assert stats.kstest(centred.ravel() + 0.5, "uniform").pvalue > ONCE_IN
    assert np.abs(np.corrcoef(centred) - np.eye(len(centred))).max() < 6 / 4096**0.5


def test_outside_of_training_nothing_is_drawn():
    with pytest.raises(ContractError, match="in training alone"):
        current()
    layer = Dropout(0.5)
    with pytest.raises(ContractError):
        layer(torch.ones(1, 2))
    assert torch.equal(layer.eval()(torch.ones(1, 2)), torch.ones(1, 2))
    assert torch.equal(Dropout(0.0)(torch.ones(1, 2)), torch.ones(1, 2))


# -- dropout -----------------------------------------------------------------------------------------------------------


def dropped(shape, rows, p=0.3, attention=False, step=0):
    draws = RowDraws(key(4), [[at] for at in range(8)], tags_of(names(8)))
    layer = Dropout(p)
    with using(draws.of(step, rows)):
        return layer.of_attention(torch.ones(shape)) if attention else layer(torch.ones(shape))


def test_dropout_keeps_the_mean_and_drops_the_share_that_it_is_told():
    for p in (0.1, 0.5, 0.9):
        out = dropped((8, 50, 400), range(8), p)
        assert stats.binomtest(int((out == 0).sum()), out.numel(), p).pvalue > ONCE_IN
        assert torch.allclose(out[out != 0], torch.tensor(1 / (1 - p)))
    assert not dropped((2, 3), [0, 1], 1.0).any()


def test_what_is_dropped_of_a_row_depends_on_no_padding_and_no_neighbour():
    whole = dropped((3, 9, 5), [0, 1, 2])
    assert torch.equal(dropped((1, 6, 5), [1]), whole[1:2, :6])
    assert torch.equal(dropped((2, 12, 5), [2, 0])[:, :9], whole[[2, 0]])
    pairs = dropped((3, 4, 9, 9), [0, 1, 2], attention=True)
    assert torch.equal(dropped((1, 4, 6, 6), [1], attention=True), pairs[1:2, :, :6, :6])
    assert len({tuple(pairs[0, head].flatten().tolist()) for head in range(4)}) == 4
    assert not torch.equal(pairs[0], pairs[0].transpose(1, 2))


@given(st.integers(1, 40))
def test_the_squares_number_every_pair_once_and_a_smaller_square_first(steps):
    assert sorted(_squares(steps).tolist()) == list(range(steps * steps))
    at = _squares(steps).view(steps, steps)
    assert torch.equal(at[: steps - 1, : steps - 1].flatten(), _squares(steps - 1))


def test_each_layer_and_each_step_drops_something_else():
    draws = RowDraws(key(4), [[0]], tags_by_place(1))
    layers, seen = [Dropout(0.5) for _ in range(3)], []
    for step in (0, 1):
        with using(draws.of(step, [0])):
            seen += [tuple(layer(torch.ones(1, 64)).flatten().tolist()) for layer in layers]
    assert len(set(seen)) == 6


# -- in training -------------------------------------------------------------------------------------------------------


class Drawing(nn.Module):
    """A layer that draws from torch, as dropout inside a fused kernel does."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        return nn.functional.dropout(self.linear(x), 0.5, self.training)


class Rows:
    lengths = (1, 1)

    def batch(self, rows):
        return {"x": torch.ones(len(rows), 3)}

    def losses(self, model, batch):
        return model(batch["x"]).sum(1)


def test_a_layer_that_draws_from_torchs_generator_is_refused():
    params = PrivacyParams(
        sample_rate="1", noise_multiplier="1", max_grad_norm="1", target_epsilon="8", target_delta="0.00001",
        num_steps=1, unit="record",
    )  # fmt: skip

    def run(model):
        training.train(
            model,
            training.TrainingData(Rows(), [[0], [1]]),
            params,
            training.TrainingLoop(lambda p: torch.optim.SGD(p, lr=0.1), 2, 2, lambda record: None),
            seed=key(1),
        )

    with pytest.raises(ContractError, match="draws from torch"):
        run(Drawing())
    run(Drawing().linear)
