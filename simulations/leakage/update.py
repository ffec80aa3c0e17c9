# SPDX-License-Identifier: Apache-2.0
"""The span check of what leaves a site: one full-scope step on a few notes, clipped, encoded, decoded and attacked.

One step of plain SGD is the easiest update to invert; its payload is made by the product's loop, clip and quantizer, at
the default encoding. Recovered is which words were in the batch, from the gradients of the lowest attention layer.
Without noise means noise below the resolution of the payload. The adversary is told how many words there were; how well
that does by chance is seen from batches that were drawn alike and not trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import Parameter
from torch.optim import SGD

from client.learning.model.model import SharedBert, trainable_arrays
from client.learning.training.training import TextExamples, prepare
from privacy.dp.params import PrivacyParams
from privacy.dp.training import TrainingData, TrainingLoop, train
from privacy.leakage.inversion import Matrix, chance_of, closeness, distances, mean_rank, recovered, row_space
from privacy.update.clip import clip
from privacy.update.quantize import decode, encode, quantize
from simulations.leakage.subject import Subject, training_plan

NOTES: Final = 8
OTHERS: Final = 400
"""Notes beside the batch's own, of which other batches are drawn."""
RESAMPLES: Final = 9999
NO_NOISE: Final = "0.0000001"
"""Below the resolution of the payload (2^-22), and as little as the grid of sum and noise can hold."""
LEAST_NOISE: Final = "0.3"
"""Far below what a site's default policy lets a plan ask for: enough against this attack, not against the matched
filter (simulations.leakage.matching)."""
CLIP_NORM, WEIGHT, SCALE_LOG2 = 4.0, 1, 22
LEARNING_RATE: Final = 1.0
LAYER: Final = "encoder.layer.0.attention.self."


@dataclass(frozen=True)
class Inversion:
    """What the attack says at one noise multiplier. `recovered`: the share of the batch's words that it names.

    `chance` is the same share for batches that were not trained on, `p_value` how often those do as well as the true
    batch, by share or by mean rank (the smaller, times two).
    """

    noise_multiplier: str
    words: int
    recovered: float
    chance: float
    mean_rank: float
    p_value: float


class UpdateInversion:
    """One batch, its words, and those of other batches drawn alike."""

    def __init__(self, subject: Subject, others: int = OTHERS, resamples: int = RESAMPLES) -> None:
        self._subject, self._training = subject, training_plan("full", LEARNING_RATE)
        self._model = subject.model(self._training)
        records = subject.records("inversion", NOTES + others)
        pool = prepare(records, subject.task, self._model, subject.pretrained)
        tokenizer = subject.pretrained.tokenizer(subject.task.max_tokens)
        special = (tokenizer.token_to_id(token) for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]"))
        self._special = frozenset(number for number in special if number is not None)
        words = [_words(pool, row) - self._special for row in range(len(records))]
        self._words = frozenset[int]().union(*words[:NOTES])
        generator = subject.seed.derive("inversion/others").numpy_generator()
        drawn = (generator.choice(len(words), NOTES, replace=False) for _ in range(resamples))
        self._others = [frozenset[int]().union(*(words[row] for row in rows)) for rows in drawn]
        self._examples = prepare(records[:NOTES], subject.task, self._model, subject.pretrained)
        self._places = range(1, max(self._examples.lengths) - 1, 4)

    def run(self, noise_multiplier: str, attempt: int = 0) -> Inversion:
        """Train one step with so much noise, send it, attack what was sent."""
        gradient = self._sent(noise_multiplier, attempt)
        space = row_space(gradient, min(sum(self._examples.lengths), gradient.shape[1] // 2))
        ranks = closeness(distances(space, lambda place: _inputs(self._model, place), self._places), self._special)
        named, rank = recovered(ranks, self._words), mean_rank(ranks, self._words)
        others = [recovered(ranks, words) for words in self._others]
        by_share = chance_of(named, others)
        by_rank = chance_of(-rank, [-mean_rank(ranks, words) for words in self._others])
        return Inversion(
            noise_multiplier=noise_multiplier,
            words=len(self._words),
            recovered=named,
            chance=float(np.mean(others)),
            mean_rank=rank,
            p_value=min(1.0, 2 * min(by_share, by_rank)),
        )

    def _sent(self, noise_multiplier: str, attempt: int) -> NDArray[np.float64]:
        """The lowest layer's part of the payload, (outputs of query, key and value, inputs)."""
        trainable = self._subject.model(self._training).trainable
        before = trainable_arrays(trainable)
        params = PrivacyParams(
            sample_rate="1",
            noise_multiplier=noise_multiplier,
            max_grad_norm="1",
            target_epsilon="8",
            target_delta="0.00001",
            num_steps=1,
            unit="record",
        )
        train(
            trainable,
            TrainingData(self._examples, self._examples.units("record")),
            params,
            TrainingLoop(_sgd, NOTES, NOTES, lambda record: None),
            seed=self._subject.secret(f"inversion/{attempt}"),
        )
        after = trainable_arrays(trainable)
        delta = np.concatenate([(after[name] - before[name]).reshape(-1) for name in before])
        payload = encode(quantize(clip(delta, CLIP_NORM), WEIGHT, SCALE_LOG2))
        received = decode(payload, delta.size) / (WEIGHT * 2.0**SCALE_LOG2)
        ends = np.cumsum([array.size for array in before.values()])
        pieces = dict(zip(before, np.split(received, ends[:-1]), strict=True))
        parts = [f"{LAYER}{part}.weight" for part in ("query", "key", "value")]
        return np.vstack([pieces[name].reshape(before[name].shape) for name in parts])


def _sgd(parameters: list[Parameter]) -> SGD:
    return SGD(parameters, lr=LEARNING_RATE)


def _words(examples: TextExamples, row: int) -> frozenset[int]:
    return frozenset(examples.batch([row])["input_ids"].reshape(-1).tolist())


def _inputs(model: SharedBert, place: int) -> Matrix:
    """The lowest layer's input for every word at `place`, (words, H)."""
    embeddings = model.trainable.embeddings
    assert embeddings is not None
    words = embeddings.word_embeddings.num_embeddings
    with torch.no_grad():
        ids = torch.arange(words)[:, None]
        states: torch.Tensor = embeddings(
            input_ids=ids, token_type_ids=torch.zeros_like(ids), position_ids=torch.full_like(ids, place)
        )
    inputs: Matrix = states[:, 0].numpy()
    return inputs
