# SPDX-License-Identifier: Apache-2.0
"""The matched filter on what leaves a site: one note trained on, forty candidates, one payload.

The payload is made by the product's loop, clip and quantizer. The adversary knows the model and the candidates, and is
told that one of them was the whole batch: the worst case, which composition and sampling only make better.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim import SGD

from client.learning.model.model import SharedBert, load_arrays, trainable_arrays, trainable_parameters
from client.learning.training.training import prepare
from privacy.dp.params import PrivacyParams
from privacy.dp.training import TrainingData, TrainingLoop, train
from privacy.leakage.matching import Matched, likelihoods, matched
from privacy.protocol.plans import Scope
from privacy.update.clip import clip
from privacy.update.quantize import decode, encode, quantize
from simulations.leakage.subject import Subject, training_plan
from simulations.leakage.update import NO_NOISE

CANDIDATES: Final = 40
LEVELS: Final = (NO_NOISE, "0.3", "0.5", "0.65", "1", "1.5", "2", "3")
RATE: Final = 0.001
"""Learning rate: so small that the second clip does nothing."""
CLIP_NORM, SCALE_LOG2 = 100.0, 24


class NoteMatching:
    """One scope's model and its candidates."""

    def __init__(self, subject: Subject, scope: Scope, candidates: int = CANDIDATES) -> None:
        self._subject, self._scope = subject, scope
        plan = training_plan(scope, RATE)
        some = {"top_layers": 2} if scope in ("top", "lora", "bitfit") else {}
        lora = {"lora_rank": 8, "lora_alpha": 16} if scope == "lora" else {}
        self._model: SharedBert = subject.model(plan.model_copy(update={**some, **lora}))
        records = subject.records("matching", candidates)
        self._examples = prepare(records, subject.task, self._model, subject.pretrained)
        self._start = trainable_arrays(self._model.trainable)

    def run(self, noise_multiplier: str, tries: int) -> Matched:
        """Train on one candidate after the other, `tries` times, and let the filter say each time which it was."""
        true = np.arange(tries) % len(self._examples)
        received = np.stack([self._sent(int(row), at, noise_multiplier) for at, row in enumerate(true)])
        load_arrays(self._model.trainable, self._start)
        scores = np.stack([likelihoods(received, self._gradient(row)) for row in range(len(self._examples))], axis=1)
        return matched(scores, true, noise_multiplier)

    def _sent(self, row: int, attempt: int, noise_multiplier: str) -> NDArray[np.float32]:
        """What one step on this row alone sends, as a gradient."""
        trainable = self._model.trainable
        load_arrays(trainable, self._start)
        train(
            trainable,
            TrainingData(self._examples, [[row]]),
            PrivacyParams(
                sample_rate="1",
                noise_multiplier=noise_multiplier,
                max_grad_norm="1",
                target_epsilon="8",
                target_delta="0.00001",
                num_steps=1,
                unit="record",
            ),
            TrainingLoop(lambda parameters: SGD(parameters, lr=RATE), 1, 1, lambda record: None),
            seed=self._subject.secret(f"matching/{self._scope}/{noise_multiplier}/{attempt}"),
        )
        after = trainable_arrays(trainable)
        delta = np.concatenate([(after[name] - self._start[name]).reshape(-1) for name in self._start])
        payload = encode(quantize(clip(delta, CLIP_NORM), 1, SCALE_LOG2))
        return (-decode(payload, delta.size) / 2.0**SCALE_LOG2 / RATE).astype(np.float32)

    def _gradient(self, row: int) -> NDArray[np.float32]:
        """A candidate's clipped gradient, as anybody with the model computes it."""
        trainable = self._model.trainable
        parameters = list(trainable_parameters(trainable).values())
        losses = self._examples.losses(trainable.eval(), self._examples.batch([row]))
        gradient = torch.cat([one.reshape(-1) for one in torch.autograd.grad(losses.sum(), parameters)])
        clipped: NDArray[np.float32] = (gradient / max(1.0, float(gradient.norm()))).numpy()
        return clipped
