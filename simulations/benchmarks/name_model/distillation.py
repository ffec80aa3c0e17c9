# SPDX-License-Identifier: Apache-2.0
"""Teach the student what the larger model says of invented text: `python -m
simulations.benchmarks.name_model.distillation`.

The loss is seven parts the divergence from the teacher's probabilities and three parts the truth that the generator
knows. Deterministic for a seed, a thread count and an instruction set.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from privacy.text.find.tagger.encoding import batch
from privacy.text.find.tagger.network import OUTPUTS, Network, load_backbone
from privacy.text.find.tagger.student import Student
from privacy.text.find.tagger.weights import into_network
from privacy.text.invent.rng import Rng
from simulations.benchmarks.name_model.examples import examples
from simulations.benchmarks.name_model.training import batches, save, targets_of

TRUTH = 0.3
STEPS = 1500


def distil(teacher: Network, seed: int, *, steps: int, learning_rate: float) -> Student:
    """A student of `teacher`."""
    torch.manual_seed(seed)
    backbone = load_backbone()
    student = Student(backbone)
    source = batches(
        examples(Rng(np.random.default_rng([seed, 4])), backbone.tokenizer), Rng(np.random.default_rng([seed, 3]))
    )
    optimizer = torch.optim.AdamW(student.parameters(), lr=learning_rate, weight_decay=0.01, betas=(0.9, 0.98))
    started, smooth = time.process_time(), 0.0
    for step in range(steps):
        rows = next(source)
        ids, shapes, mask = batch([row.encoded for row in rows])
        with torch.inference_mode():
            wanted = teacher(ids, shapes, mask).softmax(-1)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, (step + 1) / 50) * max(0.02, 1 - step / steps)
        targets = targets_of(rows, ids.shape[1]).view(-1)
        known = targets >= 0
        logits = student(ids, shapes, mask).view(-1, OUTPUTS)[known]
        soft = -(wanted.view(-1, OUTPUTS)[known] * logits.log_softmax(-1)).sum(-1).mean()
        loss = (1 - TRUTH) * soft + TRUTH * F.cross_entropy(logits, targets[known])
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        smooth = loss.item() if step == 0 else 0.95 * smooth + 0.05 * loss.item()
        if step % 50 == 0:
            print(f"step {step} loss {smooth:.4f} {time.process_time() - started:.0f} CPU-s", flush=True)
    return student


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    tensors = {name: tensor.float() for name, tensor in load_file(given.teacher).items()}
    teacher = into_network(tensors, load_backbone())
    student = distil(teacher, given.seed, steps=given.steps, learning_rate=given.learning_rate)
    save(student, given.out, {name: str(getattr(given, name)) for name in ("seed", "steps", "learning_rate")})


if __name__ == "__main__":
    main()
