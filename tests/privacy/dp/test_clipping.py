# SPDX-License-Identifier: Apache-2.0
"""Every file of privacy/dp/clipping equals a loop of single-example backward passes and keeps its bound."""

from __future__ import annotations

import pytest
import torch

from privacy.base import parts
from privacy.base.errors import ContractError, SettingsError
from privacy.dp import clipping

METHODS = parts.names("privacy.dp.clipping")
SCOPES = ("head", "top_1", "lora", "full")
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-5}


def run(clipper, rows, model, batches):
    seen = [clipper.accumulate(lambda part=part: rows.losses(model, rows.batch(part)), len(part)) for part in batches]
    return torch.cat([losses for losses, _ in seen]), torch.cat([norms for _, norms in seen]), clipper.clipped_sum()


def flat_norms(gradients):
    return torch.stack([torch.cat([g.flatten() for g in row]).norm() for row in gradients])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_method_equals_the_single_example_loop_for_every_parameter(tiny, method, scope, dtype):
    rows, model = tiny.TokenRows(7), tiny.build(dtype, scope)
    gradients = tiny.truth(model, rows, range(7))
    expected_norms = flat_norms(gradients)
    bound = float(expected_norms.median())  # some rows are clipped, some are not
    factors = clipping.clip_factors(expected_norms, bound)
    clipper = clipping.attach(method, model, bound)
    _, norms, sums = run(clipper, rows, model, [[3, 0, 6], [1, 2], [4, 5]])
    order = torch.tensor([3, 0, 6, 1, 2, 4, 5])
    assert torch.allclose(norms, expected_norms[order], rtol=TOLERANCE[dtype], atol=0)
    scale = torch.cat([s.flatten() for s in sums]).norm()
    for index, total in enumerate(sums):
        expected = sum(factor * row[index] for factor, row in zip(factors, gradients, strict=True))
        assert (total - expected).norm() <= TOLERANCE[dtype] * scale
    assert 0 < int((factors == 1).sum()) < 7
    clipper.close()


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_right_under_eager_attention_too(tiny, method):
    rows, model = tiny.TokenRows(5), tiny.build(torch.float64, "full", attention="eager")
    expected = flat_norms(tiny.truth(model, rows, range(5)))
    _, norms, _ = run(clipping.attach(method, model, 1.0), rows, model, [[0, 1, 2, 3, 4]])
    assert torch.allclose(norms, expected, rtol=1e-11)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scope", SCOPES)
def test_one_row_never_moves_the_sum_by_more_than_the_bound(tiny, method, scope):
    rows, model = tiny.TokenRows(6), tiny.build(torch.float32, scope)
    for bound in (1e-3, 0.3, 1e3):
        clipper = clipping.attach(method, model, bound)
        whole = run(clipper, rows, model, [list(range(6))])[2]
        for left_out in range(6):
            less = run(clipper, rows, model, [[row for row in range(6) if row != left_out]])[2]
            moved = torch.cat([(a.double() - b.double()).flatten() for a, b in zip(whole, less, strict=True)]).norm()
            assert float(moved) <= bound
        clipper.close()


@pytest.mark.parametrize("method", METHODS)
def test_the_rows_of_a_unit_are_clipped_as_their_sum_or_refused(tiny, method):
    """Never row by row: three equal notes of one patient would move the sum three times as far."""
    rows, model = tiny.TokenRows(2), tiny.build(torch.float64, "full")
    clipper = clipping.attach(method, model, 1e-3)
    try:
        clipper.accumulate(lambda: rows.losses(model, rows.batch([0, 0, 0, 1])), 4, [3, 1])
    except ContractError:
        return
    gradients = tiny.truth(model, rows, [0, 1])
    factors = clipping.clip_factors(flat_norms([[3 * g for g in gradients[0]], gradients[1]]), 1e-3)
    for index, total in enumerate(clipper.clipped_sum()):
        expected = factors[0] * 3 * gradients[0][index] + factors[1] * gradients[1][index]
        assert (total - expected).norm() <= 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_padding_does_not_change_a_row(tiny, method):
    rows, model = tiny.TokenRows(8), tiny.build(torch.float64, "full")
    shortest = min(range(8), key=lambda row: rows.lengths[row])
    longest = max(range(8), key=lambda row: rows.lengths[row])
    clipper = clipping.attach(method, model, 1.0)
    alone = run(clipper, rows, model, [[shortest]])[1]
    padded = run(clipper, rows, model, [[shortest, longest]])[1]
    assert rows.lengths[shortest] < rows.lengths[longest]
    assert torch.allclose(alone[0], padded[0], rtol=1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_position_ids_that_are_broadcast_over_the_batch_are_refused(tiny, method):
    rows, model = tiny.TokenRows(4), tiny.build(torch.float32, "full")
    clipper = clipping.attach(method, model, 1.0)

    def broadcast():
        batch = rows.batch([0, 1, 2, 3])
        del batch["position_ids"]
        return rows.losses(model, batch)

    with pytest.raises(ContractError, match=r"position_embeddings.* cannot be split by example"):
        clipper.accumulate(broadcast, 4)


@pytest.mark.parametrize("method", METHODS)
def test_a_trainable_parameter_that_the_loss_misses_is_refused(tiny, method):
    rows, model = tiny.TokenRows(4), tiny.build(torch.float32, "head")
    model.unused = torch.nn.Linear(2, 2)
    with pytest.raises(ContractError, match="unused"):
        clipping.attach(method, model, 1.0).accumulate(lambda: rows.losses(model, rows.batch([0, 1])), 2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1e30, 1e12])
def test_a_batch_with_a_unit_beyond_the_largest_norm_adds_nothing_and_says_whose_it_is(tiny, method, poison):
    rows, model = tiny.TokenRows(4), tiny.build(torch.float32, "head")
    clipper, scale = clipping.attach(method, model, 1.0), torch.tensor([1.0, poison, 1.0, 1.0])
    clipper.accumulate(lambda: rows.losses(model, rows.batch([0, 2, 3])), 3)
    before = [total.clone() for total in clipper.clipped_sum()]
    clipper.accumulate(lambda: rows.losses(model, rows.batch([0, 2, 3])), 3)
    _, norms = clipper.accumulate(lambda: rows.losses(model, rows.batch([0, 1, 2, 3])) * scale, 4)
    assert clipping.beyond(norms, clipping.LARGEST) == [1]
    assert all(torch.equal(a, b) for a, b in zip(before, clipper.clipped_sum(), strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_the_largest_norm_itself_still_takes_part_and_what_is_above_does_not(tiny, method):
    rows, model = tiny.TokenRows(2), tiny.build(torch.float32, "full")
    clipper = clipping.attach(method, model, 1.0)
    losses = lambda: rows.losses(model, rows.batch([0]))  # noqa: E731
    _, norms = clipper.accumulate(losses, 1)
    clipper.clipped_sum()
    norm = float(norms[0])
    clipper.accumulate(losses, 1, (), norm * (1 - 1e-6))
    assert not any(total.any() for total in clipper.clipped_sum())
    clipper.accumulate(losses, 1, (), norm * (1 + 1e-6))
    assert any(total.any() for total in clipper.clipped_sum())


@pytest.mark.parametrize("method", METHODS)
def test_a_loss_that_is_already_averaged_is_refused(tiny, method):
    rows, model = tiny.TokenRows(4), tiny.build(torch.float32, "head")
    with pytest.raises(ContractError, match="one loss per row"):
        clipping.attach(method, model, 1.0).accumulate(lambda: rows.losses(model, rows.batch([0, 1])).mean(), 2)


@pytest.mark.parametrize("method", METHODS)
def test_a_clipper_leaves_nothing_on_the_model(tiny, method):
    rows, model = tiny.TokenRows(4), tiny.build(torch.float32, "full")
    before = {name: set(vars(module)) for name, module in model.named_modules()}
    clipper = clipping.attach(method, model, 1.0)
    run(clipper, rows, model, [[0, 1], [2, 3]])
    clipper.accumulate(lambda: rows.losses(model, rows.batch([0])), 1)
    rows.losses(model, rows.batch([0]))  # a forward pass without its backward pass: an interrupted step
    clipper.close()
    assert all(p.grad is None and not vars(p) for p in model.parameters())
    assert {name: set(vars(module)) for name, module in model.named_modules()} == before
    assert not any(m._forward_hooks or m._backward_hooks for m in model.modules())
    clipping.attach(method, model, 1.0).close()


def test_an_unknown_method_and_a_frozen_model_are_refused(tiny):
    model = tiny.build(torch.float32, "head")
    with pytest.raises(SettingsError, match="no 'none'"):
        clipping.attach("none", model, 1.0)
    with pytest.raises(ContractError, match="no trainable"):
        clipping.attach("ghost", model.requires_grad_(False), 1.0)
