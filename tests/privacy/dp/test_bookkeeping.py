# SPDX-License-Identifier: Apache-2.0
"""What book-keeping clipping keeps beyond the common contract: any shape, cancelling rows, half precision, refusals."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from privacy.base.errors import ContractError
from privacy.dp import clipping

SIZES = st.integers(1, 4)


class Tagger(nn.Module):
    """Embedding, LayerNorm and two projections: one loss a row, the mean over its own tokens' tags."""

    def __init__(self, width: int, hidden: int, tags: int, vocabulary: int, padding_idx: int | None) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=padding_idx)
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, hidden)
        self.tags = nn.Linear(hidden, tags, bias=False)

    def losses(self, ids, tags, kept):
        logits = self.tags(torch.tanh(self.inner(self.norm(self.words(ids)))))
        each = cross_entropy(logits.transpose(1, 2), tags, reduction="none") * kept
        return each.sum(1) / kept.sum(1)


def truth(model, make, size):
    """Each row's gradient as one float64 vector, from a backward pass of its own."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    rows = []
    for row in range(size):
        gradients = torch.autograd.grad(make(slice(row, row + 1)).sum(), parameters)
        rows.append(torch.cat([g.flatten().double() for g in gradients]))
    return torch.stack(rows)


def flat(tensors):
    return torch.cat([t.flatten().double() for t in tensors])


@settings(max_examples=60, deadline=None)
@given(
    rows=SIZES,
    steps=st.sampled_from([1, 2, 5, 32, 33, 35, 64]),
    width=st.integers(2, 9),
    hidden=st.integers(1, 40),
    vocabulary=st.sampled_from([2, 4, 5, 50]),
    padded=st.booleans(),
    seed=st.integers(0, 1 << 30),
)
def test_any_shape_with_repeated_tokens_equals_the_single_example_loop_to_1e_12(
    rows, steps, width, hidden, vocabulary, padded, seed
):
    torch.manual_seed(seed)
    model = Tagger(width, hidden, 3, vocabulary, 0 if padded else None).double()
    ids, tags = torch.randint(0, vocabulary, (rows, steps)), torch.randint(0, 3, (rows, steps))
    kept = (torch.rand(rows, steps) < 0.7).double()
    kept[:, 0] = 1
    make = lambda at: model.losses(ids[at], tags[at], kept[at])  # noqa: E731
    expected = truth(model, make, rows)
    bound = float(expected.norm(dim=1).median())
    clipper = clipping.attach("bookkeeping", model, bound)
    _, norms = clipper.accumulate(lambda: make(slice(None)), rows)
    factors = clipping.clip_factors(expected.norm(dim=1), bound)
    assert torch.allclose(norms, expected.norm(dim=1), rtol=1e-12, atol=1e-300)
    whole = factors @ expected
    assert (flat(clipper.clipped_sum()) - whole).norm() <= 1e-12 * max(float(expected.norm()), 1e-300)


@settings(max_examples=25, deadline=None)
@given(nearness=st.floats(-7, 0), seed=st.integers(0, 1 << 30))
def test_the_bound_holds_where_the_parts_of_a_row_cancel(nearness, seed):
    """Inputs nearly alike and gradients that sum to nearly nothing: float32 Gram matrices lose every digit there."""
    torch.manual_seed(seed)
    steps, width, bound = 40, 96, 1e-2
    layer = nn.Linear(width, width, bias=False)
    x = torch.randn(3, 1, width) + 10.0**nearness * torch.randn(3, steps, width)
    pull = torch.randn(3, steps, width)
    pull -= pull.mean(1, keepdim=True)
    clipper = clipping.attach("bookkeeping", layer, bound)
    for row in range(3):
        one = slice(row, row + 1)
        _, norms = clipper.accumulate(lambda one=one: (layer(x[one]) * pull[one]).sum((1, 2)), 1)
        exact = float((pull[row].double().T @ x[row].double()).norm())
        assert float(norms[0]) >= exact * (1 - clipping.ROUNDING_SLACK)
        assert float(flat(clipper.clipped_sum()).norm()) <= bound


def test_without_the_second_look_cancelling_rows_would_break_the_bound(monkeypatch):
    """The test above can fail: with the float64 fallback off, the norm is wrong by more than the slack."""
    monkeypatch.setattr("privacy.dp.clipping.bookkeeping.CANCELLED", float("inf"))
    torch.manual_seed(3)
    layer = nn.Linear(96, 96, bias=False)
    x = torch.randn(1, 1, 96) + 1e-5 * torch.randn(1, 40, 96)
    pull = torch.randn(1, 40, 96)
    pull -= pull.mean(1, keepdim=True)
    _, norms = clipping.attach("bookkeeping", layer, 1.0).accumulate(lambda: (layer(x) * pull).sum((1, 2)), 1)
    exact = float((pull[0].double().T @ x[0].double()).norm())
    assert abs(float(norms[0]) - exact) > clipping.ROUNDING_SLACK * exact


def test_under_bf16_autocast_norms_are_float32_and_near_those_of_float32(tiny):
    rows, model = tiny.TokenRows(6), tiny.build(torch.float32, "full")
    batch = rows.batch(range(6))

    def half():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return rows.losses(model, batch)

    clipper = clipping.attach("bookkeeping", model, 0.5)
    _, exact = clipper.accumulate(lambda: rows.losses(model, batch), 6)
    clipper.clipped_sum()
    _, norms = clipper.accumulate(half, 6)
    assert norms.dtype == torch.float32
    assert torch.allclose(norms, exact, rtol=0.05)
    sums = clipper.clipped_sum()
    assert all(total.dtype in (torch.float32, torch.float64) for total in sums)  # never the 16 bits of autocast
    with torch.autocast("cpu", dtype=torch.bfloat16):  # the whole step inside: measured and multiplied in float32 too
        _, inside = clipper.accumulate(lambda: rows.losses(model, batch), 6)
    assert torch.equal(inside, norms)
    assert all(torch.equal(a, b) for a, b in zip(sums, clipper.clipped_sum(), strict=True))


@pytest.mark.parametrize("scope", ["head", "top_1", "lora", "full"])
@pytest.mark.parametrize("other", ["ghost", "hooks"])
def test_it_agrees_with_the_methods_of_opacus(tiny, scope, other):
    rows, model = tiny.TokenRows(6), tiny.build(torch.float64, scope)
    found = []
    for method in ("bookkeeping", other):
        clipper = clipping.attach(method, model, 0.3)
        _, norms = clipper.accumulate(lambda: rows.losses(model, rows.batch(range(6))), 6)
        found.append((norms, flat(clipper.clipped_sum())))
        clipper.close()
    assert torch.allclose(found[0][0], found[1][0], rtol=1e-11)
    assert torch.allclose(found[0][1], found[1][1], rtol=1e-9, atol=1e-13)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(torch.tanh(self.layer(x)))


def test_a_layer_that_runs_twice_is_refused():
    model, x = Twice(), torch.randn(2, 3)
    with pytest.raises(ContractError, match="'layer' runs twice"):
        clipping.attach("bookkeeping", model, 1.0).accumulate(lambda: model(x).sum(1), 2)


class Scaled(nn.Linear):
    """A subclass may compute anything."""


@pytest.mark.parametrize(
    "module",
    [nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2), Scaled(2, 2), nn.Embedding(9, 2, sparse=True), nn.LayerNorm((2, 2))],
)
def test_a_kind_of_layer_without_a_rule_is_refused(module):
    with pytest.raises(ContractError, match="no rule"):
        clipping.attach("bookkeeping", nn.Sequential(module), 1.0)


def test_a_forward_pass_outside_a_step_is_not_kept():
    model = nn.Sequential(nn.Linear(3, 2))
    clipper = clipping.attach("bookkeeping", model, 1.0)
    model(torch.randn(4, 3))
    assert clipper.accumulate(lambda: model(torch.ones(2, 3)).sum(1), 2)[1].shape == (2,)
