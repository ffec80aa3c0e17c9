# SPDX-License-Identifier: Apache-2.0
"""Train the name model on invented text alone (make ner).

    python -m simulations.benchmarks.name_model.training --seed 1 --out FILE

Deterministic for a seed, a thread count and an instruction set. It prints a line every twenty steps and writes the
deltas as float16 safetensors with how they were made in the file's metadata.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from privacy.text.find.tagger.encoding import batch
from privacy.text.find.tagger.network import OUTPUTS, Network, load_backbone
from privacy.text.invent.rng import Rng
from simulations.benchmarks.name_model.examples import Example, examples

LAYERS = 3
RANK = 16
STEPS = 1500
LEARNING_RATE = 3e-3
BATCH_PIECES = 1600
POOL = 40


def batches(source: Iterator[Example], rng: Rng) -> Iterator[list[Example]]:
    """Batches of about BATCH_PIECES pieces, of segments of like length, in random order."""
    while True:
        pool, pieces = [], 0
        while pieces < POOL * BATCH_PIECES:
            example = next(source)
            pool.append(example)
            pieces += len(example.targets) + 2
        pool.sort(key=lambda example: len(example.targets))
        groups: list[list[Example]] = [[]]
        for example in pool:
            if (len(groups[-1]) + 1) * (len(example.targets) + 2) > BATCH_PIECES:
                groups.append([])
            groups[-1].append(example)
        yield from rng.shuffled(groups)


def targets_of(rows: list[Example], width: int) -> Tensor:
    """Targets of shape (rows, width), -100 where there is no piece."""
    targets = torch.full((len(rows), width), -100, dtype=torch.long)
    for at, row in enumerate(rows):
        targets[at, 1 : len(row.targets) + 1] = torch.tensor(row.targets, dtype=torch.long)
    return targets


def train(seed: int, *, layers: int, rank: int, steps: int, learning_rate: float) -> Network:
    """A trained network."""
    torch.manual_seed(seed)
    backbone = load_backbone()
    network = Network(backbone, layers, rank)
    rng = Rng(np.random.default_rng([seed, 1]))
    source = batches(examples(Rng(np.random.default_rng([seed, 2])), backbone.tokenizer), rng)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=0.01, betas=(0.9, 0.98))
    started = time.process_time()
    smooth = 0.0
    for step in range(steps):
        rows = next(source)
        ids, shapes, mask = batch([row.encoded for row in rows])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, (step + 1) / 40) * max(0.02, 1 - step / steps)
        logits = network(ids, shapes, mask)
        loss = F.cross_entropy(
            logits.view(-1, OUTPUTS), targets_of(rows, ids.shape[1]).view(-1), ignore_index=-100, label_smoothing=0.02
        )
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        smooth = loss.item() if step == 0 else 0.95 * smooth + 0.05 * loss.item()
        if step % 20 == 0:
            print(f"step {step} loss {smooth:.4f} {time.process_time() - started:.0f} CPU-s", flush=True)
    return network


def save(network: nn.Module, out: Path, made: dict[str, str]) -> None:
    """Write the trained arrays to `out` as float16, with how they were `made`. Same arrays, same bytes."""
    arrays = {name: value.detach().half().contiguous() for name, value in sorted(network.state_dict().items())}
    save_file(arrays, out, metadata=made)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--rank", type=int, default=RANK)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--learning-rate", type=float, default=LEARNING_RATE)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    network = train(
        given.seed, layers=given.layers, rank=given.rank, steps=given.steps, learning_rate=given.learning_rate
    )
    save(network, given.out, {name: str(getattr(given, name)) for name in ("seed", "steps", "learning_rate")})


if __name__ == "__main__":
    main()
