# SPDX-License-Identifier: Apache-2.0
"""The contract and the initial model follow from the plans, the pretrained file and the public seed, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from client.learning.model.model import build, load_arrays, trainable_arrays
from client.learning.model.pretrained import load_packaged, load_pretrained, tokenizer_digest
from client.learning.training.contract import describe, describe_pretrained
from privacy.base.canonical import canonical_bytes
from privacy.base.errors import ContractError, SettingsError
from privacy.base.identifiers import sha256
from privacy.base.randomness import PublicSeed
from privacy.protocol.plans import TaskPlan, TrainingPlan
from privacy.update.delta import ModelContract, model_vector, unflatten

SEED = PublicSeed.from_integer(1)
Plan = Callable[..., TrainingPlan]


@pytest.mark.parametrize("scope", ["head", "top", "lora", "full"])
def test_every_site_describes_the_same_bytes(
    tiny_folder: Path, tiny_task: TaskPlan, training_plan: Plan, scope: str
) -> None:
    contract, initial = describe(tiny_task, training_plan(scope), tiny_folder, SEED)
    torch.manual_seed(99)
    torch.rand(3)
    assert describe(tiny_task, training_plan(scope), tiny_folder, SEED) == (contract, initial)
    assert describe(tiny_task, training_plan(scope), tiny_folder, PublicSeed.from_integer(2))[1] != initial
    assert contract.tokenizer_digest == tokenizer_digest(tiny_folder)
    assert ModelContract.model_validate_json(canonical_bytes(contract)) == contract


@pytest.mark.parametrize("scope", ["head", "top", "lora", "full"])
def test_the_initial_model_is_what_a_site_builds_by_itself(
    tiny_folder: Path, tiny_task: TaskPlan, training_plan: Plan, scope: str
) -> None:
    contract, initial = describe(tiny_task, training_plan(scope), tiny_folder, SEED)
    arrays = unflatten(contract, model_vector(contract, initial))
    model = build(load_pretrained(tiny_folder), training_plan(scope), {"text": 3}, SEED, torch.device("cpu"))
    own = trainable_arrays(model.trainable)
    assert list(own) == [spec.name for spec in contract.arrays]
    assert all((own[name] == arrays[name]).all() for name in own)
    load_arrays(model.trainable, arrays)


def test_the_packaged_models_initial_bytes_are_the_same_on_every_machine(training_plan: Plan) -> None:
    """Golden digests, made by this call on one machine: numpy's Philox and exact arithmetic, no libm."""
    task = TaskPlan(name="classification", labels=("a", "b", "c", "d"), max_tokens=64)
    minilm = load_packaged()
    found = {
        scope: sha256(describe_pretrained(task, training_plan(scope), minilm, SEED)[1]) for scope in ("head", "top")
    }
    assert found == {
        "head": "77126cb194570e7cbfcfc5f2fed85081edbffc92d340d51cb9d847315ce332f8",
        "top": "9fcf6bef854ccae640d765d30233620c5522bc76508ed34813024ff7a2a0d97b",
    }
    lora = build(minilm, training_plan("lora"), {"text": 4}, SEED, torch.device("cpu")).trainable
    fixed = lora.get_parameter("encoder.layer.5.attention.self.query.lora_A.weight").detach().numpy()
    assert sha256(fixed.tobytes()) == "54118fcd35b3f88ad088ae2e58e1d7bd4a085abfb4b23a84341167ececeb2c3a"


def test_a_task_that_the_model_cannot_do_is_refused(
    tiny_folder: Path, tiny_task: TaskPlan, training_plan: Plan
) -> None:
    with pytest.raises(ContractError, match="asks for 512 word pieces, the model takes 40"):
        describe(tiny_task.model_copy(update={"max_tokens": 512}), training_plan(), tiny_folder, SEED)
    with pytest.raises(SettingsError, match="there is no 'astrology'"):
        describe(tiny_task.model_copy(update={"name": "astrology"}), training_plan(), tiny_folder, SEED)
