# SPDX-License-Identifier: Apache-2.0
"""How long a round would take at this site, measured on invented word pieces before any text is read.

A forward and a backward pass of what is trained, on a few rows as long as the plan's longest, times the rows that a
step is expected to draw by the plan's rate and the declared bucket. It says the order of magnitude, and says it of any
data alike: a cut by the clock in the midst of a round would tell how much there was to do.
"""

from __future__ import annotations

import time
from typing import Final

import numpy as np
import torch
from torch import Tensor

from client.learning.model.model import SharedBert, trainable_parameters
from client.learning.model.tokenization import WordPieces
from client.learning.training.features import Features
from privacy.dp import clipping
from privacy.protocol.outline import RunOutline

ROWS: Final = 8
"""Rows that are measured, at most: they are as long as rows may be."""
PASSES: Final = 2
"""The first pass pays for what is made once; the quickest counts."""


def seconds_of_round(model: SharedBert, plan: RunOutline, size_bucket: int, *, hides: bool) -> float:
    """Seconds of one round of `plan` with `size_bucket` units of long texts.

    Where word pieces are hidden (`hides`) the frozen part runs in each step; else its activations are there already.
    Raises what the plan's clipping raises of a model that it cannot train: it does so of any data.
    """
    rows = min(ROWS, plan.training.physical_batch_size)
    clipping_method = None if plan.privacy is None else plan.privacy.clipping
    passes = (_seconds(model, rows, plan.task.max_tokens, clipping_method, hides=hides) for _ in range(PASSES))
    notes = plan.privacy.notes_per_unit if plan.privacy is not None else 1
    return min(passes) / rows * float(plan.sample_rate) * size_bucket * notes * plan.num_steps


def _seconds(model: SharedBert, rows: int, tokens: int, clipping_method: str | None, *, hides: bool) -> float:
    """One pass over `rows` rows of `tokens` word pieces, which stand for no text."""
    ids = np.arange(rows * tokens, dtype=np.int32) % 5
    features = Features(model, WordPieces(ids, np.arange(rows + 1, dtype=np.int64) * tokens), None)
    batch = {} if hides else features.batch(range(rows))
    began = time.perf_counter()
    batch = batch or features.batch(range(rows))
    batch["hidden_at"] = torch.arange(max(1, tokens // 8), device=model.device).repeat(rows, 1)
    batch["marks"] = torch.tensor([[[0, 1], [1, 2]]], device=model.device).repeat(rows, 1, 1)

    def losses() -> Tensor:
        each = [output.float().square().flatten(1).mean(1) for output in model.trainable(batch).values()]
        return torch.stack(each).sum(0)

    modes = [(module, module.training) for module in model.trainable.modules()]
    for module, _ in modes:  # dropout draws by the names of units (privacy.dp.draws), and here are none
        module.training = "Dropout" not in type(module).__name__
    with torch.enable_grad():
        if clipping_method is None:
            torch.autograd.grad(losses().sum(), list(trainable_parameters(model.trainable).values()), allow_unused=True)
        else:
            clipper = clipping.attach(clipping_method, model.trainable, 1.0)
            try:
                clipper.accumulate(losses, rows)
            finally:
                clipper.close()
    for module, mode in modes:
        module.training = mode
    return time.perf_counter() - began
