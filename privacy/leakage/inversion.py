# SPDX-License-Identifier: Apache-2.0
"""The span check: which inputs of a linear layer lie in the span of its weight's gradient (DAGER, arXiv 2405.15586).

The gradient of y = xW^T is a sum of products g x^T: its row space holds every input x, so whoever has the gradient and
a list of possible inputs (the embedding of each word at each place) sees which ones were there. Clipping scales
the terms and hides nothing. Noise of the gradient's own size fills the space. What is found here is found by first
principles and without training; an attack that fails here may be stronger elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Ranks = NDArray[np.int64]
Embed = Callable[[int], Matrix]
"""place -> the layer's input for every word of the vocabulary at that place, (words, inputs)."""


def row_space(gradient: NDArray[np.floating], rank: int) -> Matrix:
    """An orthonormal basis (rank, inputs) of the `rank` strongest directions in the rows of `gradient`."""
    _, _, rows = np.linalg.svd(np.asarray(gradient, np.float64), full_matrices=False)
    return rows[:rank].astype(np.float32)


def distances(space: Matrix, embed: Embed, places: Sequence[int]) -> NDArray[np.float32]:
    """For each word, the least relative distance to the span over `places`: 0 in the span, 1 at right angles."""
    least: NDArray[np.float32] | None = None
    for place in places:
        inputs = embed(place)
        total = np.einsum("wi,wi->w", inputs, inputs)
        inside = np.square(inputs @ space.T).sum(axis=1)
        distance = np.sqrt(np.maximum(total - inside, 0) / total)
        least = distance if least is None else np.minimum(least, distance)
    if least is None:
        raise ValueError("the attack needs at least one place")
    return least


def closeness(distance: NDArray[np.float32], ignore: Collection[int]) -> Ranks:
    """The rank of each word, 0 for the nearest; special words, which are in every batch, stand behind all others."""
    far = distance.copy()
    far[sorted(ignore)] = np.inf
    ranks = np.empty(len(far), np.int64)
    ranks[np.argsort(far, kind="stable")] = np.arange(len(far))
    return ranks


def recovered(ranks: Ranks, words: Collection[int]) -> float:
    """Of a batch's `words`, the share that is named by an adversary who is told how many they are: the nearest ones."""
    return float((ranks[sorted(words)] < len(words)).mean())


def mean_rank(ranks: Ranks, words: Collection[int]) -> float:
    """Where the batch's words stand among all, from 0 (the nearest) to 1; chance is about 1/2."""
    return float(ranks[sorted(words)].mean() / (len(ranks) - 1))


def chance_of(statistic: float, others: Sequence[float]) -> float:
    """How likely chance is to do as well: the share of `others` (batches drawn alike, not trained on) at or above.

    An exact permutation test if the batch was drawn as the others were. The least it can say is 1/(others + 1).
    """
    return (1 + sum(other >= statistic for other in others)) / (1 + len(others))
