# SPDX-License-Identifier: Apache-2.0
"""Book-keeping where a decoder's weight is the embedding's table, on token outputs, and with biases trained alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from privacy.base.errors import ContractError
from privacy.dp import clipping

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def mean_of_kept(logits, targets, kept):
    """One loss a row: the mean over its own kept places."""
    return (cross_entropy(logits.transpose(1, 2), targets, reduction="none") * kept).sum(1) / kept.sum(1)


class MaskedModel(nn.Module):
    """Words, one projection, and a decoder of the chosen places that shares the words' table."""

    def __init__(self, width: int, vocabulary: int, padding_idx: int | None, bias: bool) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=padding_idx)
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.decoder = nn.Linear(width, vocabulary, bias=bias)
        self.decoder.weight = self.words.weight

    def losses(self, ids, places, targets, kept):
        hidden = torch.tanh(self.inner(self.norm(self.words(ids))))
        chosen = hidden.gather(1, places[..., None].expand(-1, -1, hidden.shape[2]))
        return mean_of_kept(self.decoder(chosen), targets, kept)


class TinyMasked(nn.Module):
    """The tiny BERT with a decoder that shares its word embeddings; positions (B, P) are gathered from (B, T, H)."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = bert.bert
        words = self.bert.embeddings.word_embeddings
        self.decoder = nn.Linear(words.embedding_dim, words.num_embeddings, dtype=words.weight.dtype)
        self.decoder.weight = words.weight

    def losses(self, batch, places, kept):
        hidden = self.bert(**{key: value for key, value in batch.items() if key != "labels"}).last_hidden_state
        chosen = hidden.gather(1, places[..., None].expand(-1, -1, hidden.shape[2]))
        return mean_of_kept(self.decoder(chosen), batch["input_ids"].gather(1, places), kept)


def truth(model, make, size):
    """Each row's gradient, by parameter, from a backward pass of its own."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [list(torch.autograd.grad(make(slice(row, row + 1)).sum(), parameters)) for row in range(size)]


def flat(tensors):
    return torch.cat([one.flatten().double() for one in tensors])


def check_equal(model, make, size, dtype):
    """Norms and clipped sums of book-keeping are those of the loop, parameter by parameter; some rows are clipped."""
    rows = truth(model, make, size)
    expected = torch.stack([flat(row).norm() for row in rows])
    bound = float(expected.median())
    clipper = clipping.attach("bookkeeping", model, bound)
    _, norms = clipper.accumulate(lambda: make(slice(None)), size)
    sums = clipper.clipped_sum()
    clipper.close()
    assert torch.allclose(norms.double(), expected, rtol=TOLERANCE[dtype], atol=0)
    factors = clipping.clip_factors(expected, bound)
    scale = max(float(expected.sum()), 1e-300)
    for index, total in enumerate(sums):
        whole = sum(factor * row[index].double() for factor, row in zip(factors, rows, strict=True))
        assert float((total.double() - whole).norm()) <= TOLERANCE[dtype] * scale


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("size", [1, 6])
def test_a_bert_with_a_tied_decoder_equals_the_single_example_loop(tiny, dtype, attention, size):
    rows, model = tiny.TokenRows(size), TinyMasked(tiny.build(dtype, "full", attention=attention))
    batch = rows.batch(range(size))
    torch.manual_seed(4)
    places = torch.stack([torch.randint(0, length, (5,)) for length in rows.lengths])
    kept = torch.ones(size, 5, dtype=dtype)
    kept[:, 3:] = (torch.rand(size, 2) < 0.5).to(dtype)
    check_equal(model, lambda at: model.losses({k: v[at] for k, v in batch.items()}, places[at], kept[at]), size, dtype)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 4),
    steps=st.sampled_from([1, 2, 5, 33]),
    chosen=st.sampled_from([1, 2, 7, 40]),
    width=st.integers(2, 9),
    vocabulary=st.sampled_from([3, 4, 5, 50]),
    padded=st.booleans(),
    bias=st.booleans(),
    seed=st.integers(0, 1 << 30),
)
def test_any_shape_of_a_tied_model_equals_the_loop_to_1e_12(rows, steps, chosen, width, vocabulary, padded, bias, seed):
    """Few words in long rows: the same word is read and predicted many times in a row."""
    torch.manual_seed(seed)
    model = MaskedModel(width, vocabulary, 0 if padded else None, bias).double()
    ids, targets = torch.randint(0, vocabulary, (rows, steps)), torch.randint(0, vocabulary, (rows, chosen))
    places, kept = torch.randint(0, steps, (rows, chosen)), (torch.rand(rows, chosen) < 0.7).double()
    kept[:, 0] = 1
    check_equal(model, lambda at: model.losses(ids[at], places[at], targets[at], kept[at]), rows, torch.float64)


class Cancelling(nn.Module):
    """Through the tie the two uses of the table pull against each other, to what `off` leaves over."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(6, 4)
        self.decoder = nn.Linear(4, 6, bias=False)
        self.decoder.weight = self.words.weight

    def losses(self, x, off):
        """The gradient of row 2 of the table is x from the decoder, and -x (1 - off) from the embedding."""
        read = self.words(torch.full((len(x), 1), 2))[:, 0]
        return self.decoder(x)[:, 2] - (read * x * (1 - off)).sum(1)


@settings(max_examples=25, deadline=None)
@example(nearness=-1.455078125, seed=224623)  # three roundings of one sign
@given(nearness=st.floats(-6, 0), seed=st.integers(0, 1 << 30))
def test_the_bound_holds_where_the_two_uses_of_a_table_cancel(nearness, seed):
    torch.manual_seed(seed)
    model, bound = Cancelling(), 1e-6
    x, off = torch.randn(1, 4), torch.tensor(10.0**nearness)
    clipper = clipping.attach("bookkeeping", model, bound)
    _, norms = clipper.accumulate(lambda: model.losses(x, off), 1)
    exact = float((x.double() - (x * (1 - off)).double()).norm())
    assert float(norms[0]) >= exact * (1 - clipping.ROUNDING_SLACK)
    assert float(flat(clipper.clipped_sum()).norm()) <= bound


def tied(*modules):
    for module in modules[1:]:
        module.weight = modules[0].weight
    return nn.Sequential(*modules)


@pytest.mark.parametrize(
    "modules",
    [
        (nn.Linear(3, 3), nn.Linear(3, 3)),
        (nn.Embedding(3, 3), nn.Embedding(3, 3)),
        (nn.LayerNorm(3), nn.LayerNorm(3)),
        (nn.Embedding(5, 3), nn.Linear(3, 5), nn.Linear(3, 5)),
    ],
)
def test_every_other_tie_is_refused(modules):
    with pytest.raises(ContractError, match="is tied to"):
        clipping.attach("bookkeeping", tied(*modules), 1.0)


def test_a_linear_whose_two_parameters_are_one_is_refused():
    layer = nn.Linear(3, 3)
    layer.bias = layer.weight
    with pytest.raises(ContractError, match="is tied to"):
        clipping.attach("bookkeeping", layer, 1.0)


def test_a_frozen_table_under_a_trained_bias_is_no_tie(tiny):
    model = MaskedModel(4, 7, None, bias=True).double()
    model.words.weight.requires_grad_(False)
    ids, places = torch.randint(0, 7, (3, 5)), torch.randint(0, 5, (3, 2))
    targets, kept = torch.randint(0, 7, (3, 2)), torch.ones(3, 2).double()
    check_equal(model, lambda at: model.losses(ids[at], places[at], targets[at], kept[at]), 3, torch.float64)


# -- biases alone, token outputs, and what is refused ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kept", ["bias", "weight"])
def test_a_bert_of_which_only_biases_or_only_weights_are_trained_equals_the_loop(tiny, dtype, kept):
    """ "bias" is BitFit; "weight" leaves a LayerNorm with its weight alone."""
    rows, model = tiny.TokenRows(4), tiny.build(dtype, "full")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.endswith(kept) or name.startswith("head"))
    batch = rows.batch(range(4))
    check_equal(model, lambda at: rows.losses(model, {k: v[at] for k, v in batch.items()}), 4, dtype)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_tagger_with_padded_tokens_equals_the_loop(tiny, attention):
    rows, model = tiny.TokenRows(5), tiny.build(torch.float64, "full", attention=attention)
    batch = rows.batch(range(5))

    def make(at):
        part = {key: value[at] for key, value in batch.items() if key != "labels"}
        logits = model.head(model.bert(**part).last_hidden_state)
        return mean_of_kept(logits, part["input_ids"] % 3, part["attention_mask"])

    check_equal(model, make, 5, torch.float64)


def test_a_row_without_a_masked_place_has_a_loss_of_nan_and_no_usable_gradient():
    """0 / 0: the task must not divide by the number of masked places where there is none."""
    model = MaskedModel(4, 7, None, bias=True)
    ids, places = torch.randint(0, 7, (2, 5)), torch.randint(0, 5, (2, 2))
    kept = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    _, norms = clipping.attach("bookkeeping", model, 1.0).accumulate(
        lambda: model.losses(ids, places, torch.zeros(2, 2, dtype=torch.long), kept), 2
    )
    assert clipping.beyond(norms, clipping.LARGEST) == [1]
