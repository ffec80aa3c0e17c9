# SPDX-License-Identifier: Apache-2.0
"""One vector, one encoding; whatever else comes is refused."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.numpy import save

from privacy.base.canonical import canonical_bytes
from privacy.base.errors import ContractError, UpdateNotFinite
from privacy.protocol.messages import parse
from privacy.protocol.plans import TaskPlan, TrainingPlan
from privacy.update.delta import ArraySpec, ModelContract, flatten, model_bytes, model_vector, unflatten

TASK = TaskPlan(name="classification", labels=("heart", "lung"), max_tokens=64)
TRAINING = TrainingPlan(
    scope="top",
    top_layers=1,
    lora_rank=0,
    lora_alpha=0,
    optimizer="adam",
    learning_rate="0.001",
    head_learning_rate="0.01",
    momentum="0",
    weight_decay="0",
    dropout="0.1",
    physical_batch_size=16,
)
CONTRACT = ModelContract(
    task=TASK,
    training=TRAINING,
    pretrained_digest="a" * 64,
    tokenizer_digest="b" * 64,
    arrays=(
        ArraySpec(name="layer.weight", shape=(3, 2)),
        ArraySpec(name="head.weight", shape=(2, 2)),
        ArraySpec(name="head.bias", shape=(2,)),
    ),
)


def arrays() -> dict[str, np.ndarray]:
    generator = np.random.Generator(np.random.Philox(1))
    return {spec.name: generator.standard_normal(spec.shape).astype(np.float32) for spec in CONTRACT.arrays}


def test_a_model_comes_back_from_its_vector_and_from_its_bytes() -> None:
    vector = flatten(CONTRACT, arrays())
    assert CONTRACT.size == vector.size == 12
    assert CONTRACT.payload_bytes == 48
    for name, array in unflatten(CONTRACT, vector).items():
        assert np.array_equal(array, arrays()[name])
    data = model_bytes(CONTRACT, vector)
    assert model_vector(CONTRACT, data).tobytes() == vector.tobytes()
    assert model_bytes(CONTRACT, model_vector(CONTRACT, data)) == data


def test_the_vector_follows_the_order_of_the_contract_and_not_of_the_mapping() -> None:
    shuffled = dict(reversed(arrays().items()))
    assert flatten(CONTRACT, shuffled).tobytes() == flatten(CONTRACT, arrays()).tobytes()


def test_a_contract_survives_its_file() -> None:
    assert parse(ModelContract, canonical_bytes(CONTRACT)) == CONTRACT


@pytest.mark.parametrize("name", ["__metadata__", "", "../x", "a" * 201, "a b"])
def test_a_contract_refuses_an_array_with_an_unsafe_name(name: str) -> None:
    with pytest.raises(ValidationError):
        ArraySpec(name=name, shape=(1,))


def test_a_contract_refuses_two_arrays_of_one_name() -> None:
    with pytest.raises(ValidationError):
        ModelContract.model_validate({**CONTRACT.model_dump(), "arrays": CONTRACT.arrays[:1] * 2})


def wrong_arrays() -> dict[str, dict[str, np.ndarray]]:
    good = arrays()
    missing = {name: array for name, array in good.items() if name != "head.bias"}
    return {
        "missing": missing,
        "extra": {**good, "more": good["head.bias"]},
        "renamed": {**missing, "head.Bias": good["head.bias"]},
        "shape": {**good, "layer.weight": good["layer.weight"].T.copy()},
        "float64": {**good, "head.bias": good["head.bias"].astype(np.float64)},
        "big-endian": {**good, "head.bias": good["head.bias"].astype(">f4")},
    }


@pytest.mark.parametrize("fault", list(wrong_arrays()))
def test_arrays_that_are_not_the_contracts_are_refused(fault: str) -> None:
    with pytest.raises(ContractError) as refused:
        flatten(CONTRACT, wrong_arrays()[fault])
    assert refused.value.reason == "wrong_shape"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_model_that_is_not_finite_is_neither_written_nor_read(value: float) -> None:
    broken = arrays()
    broken["head.bias"][1] = value
    with pytest.raises(UpdateNotFinite):
        model_bytes(CONTRACT, flatten(CONTRACT, broken))
    with pytest.raises(UpdateNotFinite):
        model_vector(CONTRACT, save(broken))


def test_every_other_encoding_of_a_model_is_refused() -> None:
    good = model_bytes(CONTRACT, flatten(CONTRACT, arrays()))
    others = {
        "empty": b"",
        "noise": b"\x00" * len(good),
        "cut": good[:-1],
        "longer": good + b"\x00",
        "metadata": save(arrays(), metadata={"note": "hidden"}),
        "no header end": (1 << 40).to_bytes(8, "little") + good[8:],
    }
    for data in others.values():
        with pytest.raises(ContractError):
            model_vector(CONTRACT, data)
    assert model_vector(CONTRACT, good).size == 12


def test_every_flipped_byte_of_the_header_is_refused() -> None:
    good = model_bytes(CONTRACT, flatten(CONTRACT, arrays()))
    header_end = 8 + int.from_bytes(good[:8], "little")
    for at in range(header_end):
        flipped = bytearray(good)
        flipped[at] ^= 1
        with pytest.raises(ContractError):
            model_vector(CONTRACT, bytes(flipped))
