# SPDX-License-Identifier: Apache-2.0
"""Several notes of a patient are summed and clipped as one: equal to a loop, and no patient moves a sum beyond it."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats
from torch import nn
from torch.nn.functional import cross_entropy

from privacy.base.errors import ContractError
from privacy.base.randomness import SecretSeed
from privacy.dp import clipping, training
from privacy.dp.noise import GaussianStream
from privacy.dp.params import PrivacyParams
from privacy.dp.rounding import order_error
from privacy.dp.sampling import PoissonUnits

SIZES = [1, 3, 2, 1]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def flat(tensors):
    return torch.cat([one.flatten().double() for one in tensors])


def truth(model, make, sizes):
    """Each unit's gradient as one float64 vector: the sum of a backward pass for each of its rows."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    rows = [flat(torch.autograd.grad(make(slice(row, row + 1)).sum(), parameters)) for row in range(sum(sizes))]
    starts = [0, *itertools.accumulate(sizes)]
    return torch.stack([sum(rows[start:end]) for start, end in itertools.pairwise(starts)])


def measured(model, make, sizes, bound):
    clipper = clipping.attach("bookkeeping", model, bound)
    losses, norms = clipper.accumulate(lambda: make(slice(None)), sum(sizes), sizes)
    sums = flat(clipper.clipped_sum())
    clipper.close()
    assert losses.shape == (sum(sizes),)
    return norms, sums


def check_equal(model, make, sizes, dtype):
    units = truth(model, make, sizes)
    expected = units.norm(dim=1)
    bound = float(expected.median())
    norms, sums = measured(model, make, sizes, bound)
    assert norms.shape == (len(sizes),)
    assert torch.allclose(norms.double(), expected, rtol=TOLERANCE[dtype], atol=1e-300)
    whole = clipping.clip_factors(expected, bound) @ units
    assert float((sums - whole).norm()) <= TOLERANCE[dtype] * max(float(expected.sum()), 1e-300)


@pytest.mark.parametrize("scope", ["head", "top_1", "lora", "full"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("sizes", [SIZES, [7], [2, 2, 2, 1], [3, 3]])
def test_the_notes_of_a_patient_are_clipped_as_their_sum(tiny, scope, dtype, sizes):
    rows, model = tiny.TokenRows(sum(sizes)), tiny.build(dtype, scope)
    batch = rows.batch(range(sum(sizes)))
    check_equal(model, lambda at: rows.losses(model, {k: v[at] for k, v in batch.items()}), sizes, dtype)


class Tied(nn.Module):
    """Every kind of layer, token outputs, and a decoder that shares the words' table."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=0)
        self.kinds = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.decoder = nn.Linear(width, vocabulary)
        self.decoder.weight = self.words.weight

    def losses(self, ids):
        hidden = torch.tanh(self.inner(self.norm(self.words(ids) + self.kinds(ids % 2))))
        return cross_entropy(self.decoder(hidden).transpose(1, 2), ids.flip(1), reduction="none").mean(1)


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    steps=st.sampled_from([1, 2, 9, 33]),
    width=st.integers(2, 7),
    vocabulary=st.sampled_from([3, 5, 40]),
    seed=st.integers(0, 1 << 30),
)
def test_any_number_of_notes_equals_the_loop_to_1e_12(sizes, steps, width, vocabulary, seed):
    torch.manual_seed(seed)
    model = Tied(width, vocabulary).double()
    ids = torch.randint(0, vocabulary, (sum(sizes), steps))
    check_equal(model, lambda at: model.losses(ids[at]), sizes, torch.float64)


def test_many_long_notes_of_a_patient_need_no_gram_matrix_over_all_their_tokens(monkeypatch):
    torch.manual_seed(1)
    model, ids = Tied(7, 40).double(), torch.randint(0, 40, (6, 9))
    monkeypatch.setattr("privacy.dp.clipping._layers.LONG", 27)
    monkeypatch.setattr("privacy.dp.clipping._layers.gram", None)  # would fail
    check_equal(model, lambda at: model.losses(ids[at]), [3, 3], torch.float64)


@settings(max_examples=25, deadline=None)
@given(nearness=st.floats(-7, 0), seed=st.integers(0, 1 << 30))
def test_the_bound_holds_where_a_patients_notes_cancel(nearness, seed):
    torch.manual_seed(seed)
    layer, bound = nn.Linear(96, 96, bias=False), 1e-2
    x = torch.randn(1, 20, 96)
    x = torch.cat([x, x + 10.0**nearness * torch.randn(1, 20, 96)])
    pull = torch.randn(1, 20, 96)
    signs = torch.tensor([1.0, -1.0])[:, None, None]
    make = lambda at: (layer(x[at]) * (pull * signs)[at]).sum((1, 2))  # noqa: E731
    norms, sums = measured(layer, make, [2], bound)
    exact = float(
        sum(((pull[0] * sign).double().T @ note.double()) for sign, note in zip((1, -1), x, strict=True)).norm()
    )
    assert float(norms[0]) >= exact * (1 - clipping.ROUNDING_SLACK)
    assert float(sums.norm()) <= bound


# -- sensitivity, by brute force ---------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    notes=st.sampled_from([1, 3]),
    patients=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    bound=st.sampled_from([1e-3, 0.1, 1.0, 1e3]),
    seed=st.integers(0, 1 << 30),
)
def test_no_patient_moves_the_clipped_sum_by_more_than_the_bound_under_either_method(notes, patients, bound, seed):
    """The sum over what a step drew, with and without each of its patients: one note of each, or up to three."""
    torch.manual_seed(seed)
    model = Tied(5, 30).double()
    ids = torch.randint(0, 30, (sum(patients), 6))
    starts = [0, *itertools.accumulate(patients)]
    units = [list(range(start, end)) for start, end in itertools.pairwise(starts)]
    drawn = PoissonUnits(SecretSeed(seed.to_bytes(32, "big")), units, "1", notes).draw()
    assert [len(rows) for rows in drawn] == [min(notes, len(unit)) for unit in units]

    def total(of):
        picked = [row for rows in of for row in rows]
        return measured(model, lambda at: model.losses(ids[picked][at]), [len(rows) for rows in of], bound)[1]

    whole = total(drawn)
    for left_out in range(len(drawn)):
        moved = whole - total([rows for at, rows in enumerate(drawn) if at != left_out])
        assert float(moved.norm()) <= bound


def test_clipping_each_note_by_itself_would_break_the_bound(tiny):
    """What the test above is for: the same three notes, bounded one by one, move the sum three times as far."""
    rows, model = tiny.TokenRows(1), tiny.build(torch.float64, "full")
    clipper = clipping.attach("bookkeeping", model, 1e-3)
    notes = rows.batch([0, 0, 0])
    clipper.accumulate(lambda: rows.losses(model, notes), 3)
    assert float(flat(clipper.clipped_sum()).norm()) > 2.9e-3
    clipper.accumulate(lambda: rows.losses(model, notes), 3, [3])
    assert 0.999e-3 < float(flat(clipper.clipped_sum()).norm()) <= 1e-3


# -- in training -------------------------------------------------------------------------------------------------------


def params(**changes):
    base = {
        "sample_rate": "0.5",
        "noise_multiplier": "1.5",
        "max_grad_norm": "0.5",
        "target_epsilon": "8",
        "target_delta": "0.00001",
        "num_steps": 1,
        "unit": "patient",
        "notes_per_unit": 3,
    }
    return PrivacyParams.model_validate(base | changes)


def run(model, rows, units, seed, privacy, size=8):
    records = []
    training.train(
        model,
        training.TrainingData(rows, units),
        privacy,
        training.TrainingLoop(lambda parameters: torch.optim.SGD(parameters, lr=1.0), 8, size, records.append),
        seed=seed,
    )
    return records


HALF = [list(range(12)), *([row] for row in range(12, 18)), [18, 19, 20], [21, 22, 23]]
"""One patient owns half of 24 notes."""


@pytest.mark.parametrize("size", [3, 5, 100])
def test_a_step_is_the_sum_over_patients_clipped_each_and_one_who_owns_half_the_data_counts_once(tiny, seed, size):
    rows, model = tiny.TokenRows(24), tiny.build(torch.float64, "top_1")
    drawn = PoissonUnits(seed.derive("poisson"), HALF, "1", 3).draw()
    assert len(drawn[0]) == 3 == len(set(drawn[0]))
    picked = [row for unit in drawn for row in unit]
    batch = rows.batch(picked)
    units = truth(model, lambda at: rows.losses(model, {k: v[at] for k, v in batch.items()}), list(map(len, drawn)))
    bound = training.clip_bound(params(), units.shape[1], order_error(size, training.LONGEST, 8.0))
    noised = clipping.clip_factors(units.norm(dim=1), bound) @ units
    GaussianStream(seed.derive("noise")).add(noised.numpy(), 0.75)
    start = flat(p.detach() for p in model.parameters() if p.requires_grad)
    (record,) = run(model, rows, HALF, seed, params(sample_rate="1"), size)
    end = flat(p.detach() for p in model.parameters() if p.requires_grad)
    assert torch.allclose(start - end, noised / 8, rtol=0, atol=1e-7)  # a cell of the grid
    assert record.batch_size == len(picked) == 15


def test_a_physical_batch_never_splits_a_patient(tiny, seed):
    rows, seen = tiny.TokenRows(24), []
    build_batch = rows.batch
    rows.batch = lambda picked: (seen.append(list(picked)), build_batch(picked))[1]
    patients = [list(range(first, first + 4)) for first in range(0, 24, 4)]
    run(tiny.build(torch.float32, "head"), rows, patients, seed, params(sample_rate="1"), size=4)
    assert [len(part) for part in seen] == [3] * 6
    assert all(len({row // 4 for row in part}) == 1 for part in seen)


def test_an_empty_draw_is_stepped_under_either_method(tiny, seed):
    rows, model = tiny.TokenRows(24), tiny.build(torch.float64, "head")
    rows.losses = None  # a forward pass would fail
    records = run(model, rows, HALF, seed, params(sample_rate="0.000000000001"))
    assert [record.batch_size for record in records] == [0]


def test_notes_are_drawn_without_replacement_each_pair_as_often_as_the_other():
    draws = PoissonUnits(SecretSeed(bytes(32)), [[0, 1, 2, 3], [4]], "1", 2)
    seen = Counter(tuple(sorted(draws.draw()[0])) for _ in range(3000))
    assert set(seen) == set(itertools.combinations(range(4), 2))
    assert stats.chisquare(list(seen.values())).pvalue > 1e-3


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [{"unit": "record"}, {"clipping": "ghost"}, {"clipping": "hooks"}, {"notes_per_unit": 0}, {"notes_per_unit": 2000}],
)
def test_a_plan_whose_notes_cannot_be_clipped_as_one_is_refused(changes):
    with pytest.raises(ValidationError):
        params(**changes)


def test_one_note_is_the_default_and_changes_no_digest():
    assert "notes_per_unit" not in params(notes_per_unit=1).model_dump(mode="json")
    assert params().model_dump(mode="json")["notes_per_unit"] == 3


@pytest.mark.parametrize("method", ["ghost", "hooks"])
def test_the_methods_of_opacus_refuse_several_notes_and_name_the_one_that_takes_them(tiny, method):
    rows, model = tiny.TokenRows(3), tiny.build(torch.float32, "head")
    clipper = clipping.attach(method, model, 1.0)
    losses = lambda: rows.losses(model, rows.batch([0, 1, 2]))  # noqa: E731
    with pytest.raises(ContractError, match="bookkeeping"):
        clipper.accumulate(losses, 3, [2, 1])
    assert clipper.accumulate(losses, 3, [1, 1, 1])[1].shape == (3,)


@pytest.mark.parametrize("sizes", [[2], [2, 2], [3, 0]])
def test_units_that_do_not_make_up_the_batch_are_refused(tiny, sizes):
    rows, model = tiny.TokenRows(3), tiny.build(torch.float32, "head")
    with pytest.raises(ContractError, match="make up its rows"):
        clipping.attach("bookkeeping", model, 1.0).accumulate(
            lambda: rows.losses(model, rows.batch([0, 1, 2])), 3, sizes
        )


def test_more_notes_than_a_physical_batch_holds_are_refused(tiny, seed):
    with pytest.raises(ContractError, match="never split"):
        run(tiny.build(torch.float32, "head"), tiny.TokenRows(24), HALF, seed, params(), size=2)
