# SPDX-License-Identifier: Apache-2.0
"""The shared BERT equals the whole one, trains what its scope says, and loads only what its digest says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import BertModel

from client.learning.model import pretrained as pretrained_room
from client.learning.model.model import SharedBert, build, load_arrays, trainable_arrays, trainable_parameters
from client.learning.model.pretrained import (
    Pretrained,
    find_pretrained,
    load_packaged,
    load_pretrained,
    pretrained_digest,
)
from client.learning.model.tokenization import WordPieces, pack, token_batch, tokenize_records
from client.learning.training.features import compute_features
from privacy.base.errors import ContractError, IntegrityError, SettingsError
from privacy.base.identifiers import sha256_file
from privacy.base.randomness import PublicSeed, SecretSeed
from privacy.dp import clipping
from privacy.dp.draws import RowDraws, tags_by_place, using
from privacy.protocol.plans import TrainingPlan
from privacy.text.reading.records import AnonymizedRecord

CPU = torch.device("cpu")
SEED = PublicSeed.from_integer(11)
SCOPES = [
    ("head", 0),
    ("top", 1),
    ("top", 3),
    ("lora", 2),
    ("lora", 0),
    ("bitfit", 1),
    ("bitfit", 0),
    ("full", 0),
]
HEADS = {"text": 3}
TEXTS = ["fever and cough and cough", "rest", "the heart of the ward is stable today and better", "pain . [SEP] worse"]
Plan = Callable[..., TrainingPlan]


@pytest.fixture(scope="module")
def tiny(tiny_folder: Path) -> Pretrained:
    return load_pretrained(tiny_folder)


def made(tiny: Pretrained, plan: TrainingPlan, seed: PublicSeed = SEED) -> SharedBert:
    return build(tiny, plan, HEADS, seed, CPU)


def tokenize(texts: Sequence[str], tokenizer: Tokenizer) -> WordPieces:
    return pack(tokenize_records([AnonymizedRecord("r", text, None, None, ()) for text in texts], tokenizer, "text"))


def logits(model: SharedBert, tiny: Pretrained, texts: Sequence[str] = TEXTS) -> Tensor:
    pieces = tokenize(texts, tiny.tokenizer(24))
    with torch.no_grad():
        result: Tensor = model.trainable.eval()(compute_features(model, pieces).batch(range(len(texts))))["text"]
    return result


def whole(model: SharedBert, folder: Path, tiny: Pretrained) -> Tensor:
    """The same logits by transformers' own BertModel, one text at a time and so without padding."""
    bert = BertModel.from_pretrained(folder, add_pooling_layer=False, local_files_only=True).eval()
    rows = []
    with torch.no_grad():
        for text in TEXTS:
            ids = torch.tensor([tiny.tokenizer(24).encode(text).ids])
            hidden = bert(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
            rows.append(model.trainable.classifier(hidden.mean(1))[0])
    return torch.stack(rows)


@pytest.mark.parametrize(("scope", "layers"), SCOPES)
def test_the_split_model_starts_as_the_whole_bert_in_every_scope(
    tiny: Pretrained, tiny_folder: Path, training_plan: Plan, scope: str, layers: int
) -> None:
    model = made(tiny, training_plan(scope, top_layers=layers))
    torch.testing.assert_close(logits(model, tiny), whole(model, tiny_folder, tiny), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("scope", "layers", "first", "count"),
    [
        ("head", 0, "classifier.weight", 2),
        ("top", 1, "encoder.layer.2.attention.self.query.weight", 18),
        ("top", 3, "encoder.layer.0.attention.self.query.weight", 50),
        ("lora", 2, "encoder.layer.1.attention.self.query.lora_B.weight", 6),
        ("lora", 0, "encoder.layer.0.attention.self.query.lora_B.weight", 8),
        ("bitfit", 1, "encoder.layer.2.attention.self.query.bias", 10),
        ("bitfit", 0, "encoder.layer.0.attention.self.query.bias", 26),
        ("full", 0, "embeddings.word_embeddings.weight", 55),
    ],
)
def test_a_scope_trains_its_arrays_under_their_hugging_face_names_and_no_others(
    tiny: Pretrained, training_plan: Plan, scope: str, layers: int, first: str, count: int
) -> None:
    names = list(trainable_parameters(made(tiny, training_plan(scope, top_layers=layers)).trainable))
    assert names[0] == first
    assert names[-2:] == ["classifier.weight", "classifier.bias"]
    assert len(names) == count
    if scope in ("top", "full"):
        assert set(names[:-2]) <= set(tiny.tensors)


@pytest.mark.parametrize("method", ["bookkeeping", "ghost", "hooks"])
@pytest.mark.parametrize(("scope", "layers"), SCOPES)
def test_clipped_gradients_equal_a_loop_over_single_examples(
    tiny: Pretrained, training_plan: Plan, scope: str, layers: int, method: str
) -> None:
    model = made(tiny, training_plan(scope, top_layers=layers))
    features = compute_features(model, tokenize(TEXTS, tiny.tokenizer(24)))
    targets = torch.tensor([0, 1, 2, 1])
    model.trainable.train()

    def losses(rows: Sequence[int]) -> Tensor:
        found = model.trainable(features.batch(rows))["text"]
        return torch.nn.functional.cross_entropy(found, targets[list(rows)], reduction="none")

    parameters = list(trainable_parameters(model.trainable).values())
    expected = [torch.zeros_like(parameter) for parameter in parameters]
    norms = []
    for row in range(4):
        gradients = torch.autograd.grad(losses([row]).sum(), parameters)
        norms.append(torch.cat([gradient.flatten() for gradient in gradients]).norm())
        factor = float(clipping.clip_factors(norms[-1][None], 0.5)[0])
        for total, gradient in zip(expected, gradients, strict=True):
            total += factor * gradient
    clipper = clipping.attach(method, model.trainable, 0.5)
    measured = [clipper.accumulate(lambda part=part: losses(part), len(part)) for part in ([1, 3, 0], [2])]
    torch.testing.assert_close(
        torch.cat([found for _, found in measured]),
        torch.stack([norms[at] for at in (1, 3, 0, 2)]),
        rtol=1e-4,
        atol=1e-5,
    )
    for total, found in zip(expected, clipper.clipped_sum(), strict=True):
        torch.testing.assert_close(found.to(total.dtype), total, rtol=1e-4, atol=1e-5)
    clipper.close()


def test_padding_changes_nothing_but_the_last_bits(tiny: Pretrained, training_plan: Plan) -> None:
    for scope, layers in SCOPES:
        model = made(tiny, training_plan(scope, top_layers=layers))
        alone = torch.cat([logits(model, tiny, [text]) for text in TEXTS])
        torch.testing.assert_close(logits(model, tiny), alone, rtol=1e-5, atol=1e-6)


def test_ids_reach_the_engine_repeated_and_contiguous(tiny: Pretrained) -> None:
    batch = token_batch(tokenize(TEXTS, tiny.tokenizer(24)), [0, 1, 2], CPU)
    for name in ("input_ids", "position_ids", "token_type_ids"):
        assert batch[name].shape == batch["mask"].shape
        assert batch[name].is_contiguous()
    assert batch["position_ids"][1].tolist() == list(range(batch["mask"].shape[1]))


blocks = st.sampled_from(
    ["fever", "cough and", "  ", "\n", "e\u0301", "\u0301", "x" * 150, "a.b", "病", "<PERSON>", "[SEP]"]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(blocks, st.integers(1, 40), st.sampled_from([" ", "", "\t"])), max_size=6), st.integers(8, 40)
)
def test_a_long_texts_beginning_gives_the_same_word_pieces_as_the_whole(
    tiny: Pretrained, parts: list[tuple[str, int, str]], most: int
) -> None:
    text = "".join((block + gap) * times for block, times, gap in parts)
    tokenizer = tiny.tokenizer(most)
    assert tokenize(["rest", text], tokenizer).ids.tolist() == [
        piece for one in ("rest", text) for piece in tokenizer.encode(one).ids
    ]


def test_the_tokenizer_cuts_as_the_plan_says_and_takes_a_special_token_in_a_text_for_text(tiny: Pretrained) -> None:
    pieces = tokenize(["rest " * 100, "rest [SEP] [PAD]", ""], tiny.tokenizer(24))
    assert pieces.lengths[0] == 24
    assert pieces.ids[pieces.offsets[1] :].tolist().count(3) == 2
    assert 0 not in pieces.ids
    assert pieces.lengths[2] == 2
    with pytest.raises(ContractError, match="asks for 41 word pieces"):
        tiny.tokenizer(41)


@pytest.mark.parametrize(("scope", "layers"), SCOPES)
def test_features_that_are_not_kept_are_computed_again_to_the_same(
    tiny: Pretrained, training_plan: Plan, scope: str, layers: int
) -> None:
    model = made(tiny, training_plan(scope, top_layers=layers))
    pieces = tokenize(TEXTS, tiny.tokenizer(24))
    calls: list[tuple[int, int]] = []
    kept = compute_features(model, pieces, lambda done, of: calls.append((done, of)))
    again = compute_features(model, pieces, max_bytes=0)
    assert again.values is None
    if model.frozen_encoder is not None:
        assert calls[-1] == (4, 4)
        assert kept.values is not None
        assert kept.values.dtype == torch.float32
        assert len(kept.values) == (4 if scope == "head" else len(pieces.ids))
    for one, other in zip(kept.batch([2, 0]).values(), again.batch([2, 0]).values(), strict=True):
        mask = kept.batch([2, 0]).get("mask")
        if one.ndim == 3 and mask is not None:
            one, other = one[mask], other[mask]
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_what_is_frozen_is_the_same_in_training_mode(tiny: Pretrained, training_plan: Plan) -> None:
    model = made(tiny, training_plan("lora", top_layers=0, dropout="0.5"))
    model.trainable.train()
    batch = token_batch(tokenize(TEXTS, tiny.tokenizer(24)), [0, 1], CPU)
    assert model.trainable.embeddings is not None
    embedded = [
        model.trainable.embeddings(**{name: batch[name] for name in ("input_ids", "position_ids", "token_type_ids")})
        for _ in range(2)
    ]
    assert torch.equal(*embedded)
    draws, outputs = RowDraws(SecretSeed(bytes(32)), [[0], [1]], tags_by_place(2)), []
    for step in (0, 0, 1):
        with using(draws.of(step, [0, 1])):
            outputs.append(model.trainable(batch)["text"])
    assert torch.equal(*outputs[:2])
    assert not torch.equal(*outputs[1:])


def test_lora_fixes_a_by_the_public_seed_and_starts_b_at_zero(tiny: Pretrained, training_plan: Plan) -> None:
    one, same, other = (
        made(tiny, training_plan("lora"), seed).trainable for seed in (SEED, SEED, PublicSeed.from_integer(12))
    )
    name = "encoder.layer.2.attention.self.value.lora_A.weight"
    a, again, foreign = (network.get_parameter(name) for network in (one, same, other))
    assert torch.equal(a, again)
    assert not torch.equal(a, foreign)
    assert abs(float(a.std()) - 32**-0.5) < 0.05
    assert not a.requires_grad
    arrays = trainable_arrays(one)
    assert not any(array.any() for key, array in arrays.items() if "lora_B" in key)
    assert arrays["classifier.weight"].std() == pytest.approx(0.02, rel=0.3)
    assert not arrays["classifier.bias"].any()


def test_arrays_go_out_and_in_and_ones_that_do_not_fit_change_nothing(tiny: Pretrained, training_plan: Plan) -> None:
    model, other = made(tiny, training_plan()), made(tiny, training_plan(), PublicSeed.from_integer(5))
    arrays = trainable_arrays(model.trainable)
    before = trainable_arrays(other.trainable)
    wrong = [
        {key: value for key, value in arrays.items() if key != "classifier.bias"},
        arrays | {"classifier.bias": np.zeros(4, np.float32)},
        arrays | {"classifier.bias": np.zeros(3, np.float64)},
        arrays | {"pooler.dense.bias": np.zeros(3, np.float32)},
    ]
    for bad in wrong:
        with pytest.raises(ContractError) as caught:
            load_arrays(other.trainable, bad)
        assert caught.value.reason == "wrong_shape"
    assert all(np.array_equal(value, before[key]) for key, value in trainable_arrays(other.trainable).items())
    load_arrays(other.trainable, arrays)
    assert all(np.array_equal(value, arrays[key]) for key, value in trainable_arrays(other.trainable).items())
    arrays["classifier.bias"][:] = 9
    assert not trainable_arrays(other.trainable)["classifier.bias"].any()


def test_two_models_of_one_pretrained_file_share_nothing_that_is_trained(tiny: Pretrained, training_plan: Plan) -> None:
    first, second = made(tiny, training_plan("full")), made(tiny, training_plan("full"))
    with torch.no_grad():
        for parameter in first.trainable.parameters():
            parameter.add_(1)
    fresh = made(tiny, training_plan("full"))
    assert torch.equal(logits(second, tiny), logits(fresh, tiny))


@pytest.mark.parametrize(
    ("scope", "changes"),
    [("top", {"top_layers": 4}), ("top", {"top_layers": 0}), ("lora", {"lora_rank": 0}), ("lora", {"top_layers": 9})],
)
def test_a_scope_that_the_model_cannot_have_is_refused(
    tiny: Pretrained, training_plan: Plan, scope: str, changes: dict[str, int]
) -> None:
    with pytest.raises(ContractError):
        made(tiny, training_plan(scope, **changes))


# Files ---------------------------------------------------------------------------------------------------------------


def copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to / "copy"))


def test_a_model_whose_digest_differs_is_refused(tiny: Pretrained, tiny_folder: Path, tmp_path: Path) -> None:
    folder = copied(tiny_folder, tmp_path)
    assert pretrained_digest(folder) == tiny.digest
    config = json.loads((folder / "config.json").read_text()) | {"num_attention_heads": 2}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(IntegrityError) as caught:
        load_pretrained(folder, tiny.digest)
    assert caught.value.reason == "model_mismatch"
    assert str(tmp_path) not in str(caught.value)


def test_only_a_whole_bert_in_safetensors_is_loaded(
    tiny: Pretrained, tiny_folder: Path, tmp_path: Path, training_plan: Plan
) -> None:
    folder = copied(tiny_folder, tmp_path)
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(SettingsError, match="not a BERT encoder"):
        load_pretrained(folder)
    shutil.copy(tiny_folder / "config.json", folder)
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(SettingsError, match=r"lacks encoder\.layer\.1\.output\.dense\.weight"):
        build(load_pretrained(folder), training_plan("head"), HEADS, SEED, CPU)
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(SettingsError, match=r"model\.safetensors is broken"):
        load_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(SettingsError, match=r"no readable model\.safetensors"):
        load_pretrained(folder)


def test_a_tokenizer_of_another_model_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = copied(tiny_folder, tmp_path)
    shutil.copy(pretrained_room.packaged_folder() / "tokenizer.json", folder)
    with pytest.raises(SettingsError, match="more word pieces than the model"):
        load_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(SettingsError, match=r"tokenizer\.json is broken"):
        load_pretrained(folder)


def test_weights_under_older_names_and_in_half_precision_are_read(
    tiny: Pretrained, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = copied(tiny_folder, tmp_path)
    renamed = {
        "bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in load_file(folder / "model.safetensors").items()
    }
    save_file({name: value.half() for name, value in renamed.items()}, folder / "model.safetensors")
    old = load_pretrained(folder)
    assert set(old.tensors) == set(tiny.tensors)
    assert all(old.tensors[name].dtype == torch.float32 for name in old.tensors)


def test_a_plan_finds_its_model_by_digest(tiny: Pretrained, tiny_folder: Path) -> None:
    assert find_pretrained(tiny.digest, {tiny.digest: tiny_folder}) == tiny_folder
    assert find_pretrained(pretrained_room.PACKAGED_DIGEST, {}) == pretrained_room.packaged_folder()
    with pytest.raises(IntegrityError) as caught:
        find_pretrained(tiny.digest, {})
    assert caught.value.reason == "model_mismatch"


def test_the_packaged_minilm_is_the_pinned_one() -> None:
    weights = pretrained_room.packaged_folder() / "model.safetensors"
    assert sha256_file(weights) == pretrained_room.PACKAGED_WEIGHTS
    minilm = load_packaged()
    assert minilm.digest == pretrained_room.PACKAGED_DIGEST
    assert minilm.config.num_hidden_layers == 6
