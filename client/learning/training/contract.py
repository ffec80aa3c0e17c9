# SPDX-License-Identifier: Apache-2.0
"""What `describe` writes: model.json, which every site must be able to build again, and the model at the start.

Both follow from the plans, the pretrained file and the run's public seed alone, bit for bit, on every machine: sites
recompute them and refuse a run whose contract is another.
"""

from __future__ import annotations

from pathlib import Path

import torch

from client.learning import tasks
from client.learning.model.model import build, trainable_arrays
from client.learning.model.pretrained import Pretrained, load_pretrained
from privacy.base.randomness import PublicSeed
from privacy.protocol.plans import TaskPlan, TrainingPlan
from privacy.update.delta import ArraySpec, ModelContract, flatten, model_bytes


def describe(
    task: TaskPlan, training: TrainingPlan, folder: Path, public_seed: PublicSeed
) -> tuple[ModelContract, bytes]:
    """The contract and the bytes of initial.safetensors, from the pretrained model in `folder`."""
    return describe_pretrained(task, training, load_pretrained(folder), public_seed)


def describe_pretrained(
    task: TaskPlan, training: TrainingPlan, pretrained: Pretrained, public_seed: PublicSeed
) -> tuple[ModelContract, bytes]:
    """The same from a pretrained model that is already in memory.

    Raises ContractError if the plans ask for what the model lacks, SettingsError if there is no such task.
    """
    part = tasks.load(task.name)
    part.check(task)
    pretrained.tokenizer(task.max_tokens)  # refuses more word pieces than the model has positions
    model = build(pretrained, training, part.heads(task), public_seed, torch.device("cpu"))
    arrays = trainable_arrays(model.trainable)
    contract = ModelContract(
        task=task,
        training=training,
        pretrained_digest=pretrained.digest,
        tokenizer_digest=pretrained.tokenizer_digest,
        arrays=tuple(ArraySpec(name=name, shape=array.shape) for name, array in arrays.items()),
    )
    return contract, model_bytes(contract, flatten(contract, arrays))
