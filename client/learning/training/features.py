# SPDX-License-Identifier: Apache-2.0
"""The frozen part's activations of a site's word pieces: computed once per site, without padding, on the CPU.

What is kept is private: it stays in this process's memory and is never written. Float32 activations of all rows take
rows x mean word pieces x hidden size x 4 bytes (MiniLM at 64 word pieces: 98 KB a row); above `MAX_BYTES` nothing is
kept, and the frozen part runs again for each batch: the same model, more slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from client.learning.model.model import SharedBert, masked_mean
from client.learning.model.tokenization import WordPieces, padded, token_batch
from privacy.base.progress import RowProgress

MAX_BYTES: Final = 8 << 30
BATCH_TOKENS: Final = 4096
"""Word pieces, padding included, that go through the frozen part at once."""

ALONE: Final = 0
"""Each row by itself: what is said of it is then the same to the last bit whatever other rows there are."""

Corrupt = Callable[[dict[str, Tensor], Sequence[int]], dict[str, Tensor]]
"""What is done to token ids before the model reads them (client.learning.model.masking)."""


@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """What `trainable` takes, for every row: stored (`values`), or computed for each batch (None).

    `values` is float32 on the CPU: (rows, H) where the head reads the mean, else (all word pieces, H). Rows whose ids
    are changed for each batch (`corrupt`) have no stored activations.
    """

    model: SharedBert
    pieces: WordPieces
    values: Tensor | None
    corrupt: Corrupt | None = None

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """The rows' inputs on the model's device."""
        model = self.model
        if self.values is None:
            batch = token_batch(self.pieces, rows, model.device)
            return _through(model, batch if self.corrupt is None else self.corrupt(batch, rows))
        if model.entry == "pooled":
            return {"pooled": self.values[list(rows)].to(model.device)}
        hidden, mask = padded(self.values, self.pieces.offsets, rows)
        return {"hidden": hidden.to(model.device), "mask": mask.to(model.device)}


def compute_features(
    model: SharedBert,
    pieces: WordPieces,
    on_progress: RowProgress | None = None,
    *,
    max_bytes: int = MAX_BYTES,
    batch_tokens: int = BATCH_TOKENS,
    corrupt: Corrupt | None = None,
) -> Features:
    """Run the frozen part once over all rows, sorted by length, in batches of `batch_tokens` (ALONE: row by row).

    Not at all if there is none, if the result exceeds `max_bytes`, or if the rows are to be changed in each batch.
    """
    pooled = model.entry == "pooled"
    count = len(pieces) if pooled else len(pieces.ids)
    if model.frozen_encoder is None or corrupt is not None or 4 * count * model.hidden_size > max_bytes:
        return Features(model, pieces, None, corrupt)
    values = torch.empty((count, model.hidden_size), dtype=torch.float32)
    done = 0
    for rows in by_length(pieces.lengths, batch_tokens):
        computed = _through(model, token_batch(pieces, rows, model.device))
        if pooled:
            values[rows] = computed["pooled"].cpu()
        else:
            hidden = computed["hidden"].cpu()
            for index, row in enumerate(rows):
                start, stop = int(pieces.offsets[row]), int(pieces.offsets[row + 1])
                values[start:stop] = hidden[index, : stop - start]
        done += len(rows)
        if on_progress is not None:
            on_progress(done, len(pieces))
    return Features(model, pieces, values)


def by_length(lengths: Sequence[int], batch_tokens: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """All rows, the shortest first, in batches of at most `batch_tokens` with their padding (at least one row)."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: (lengths[row], row)):
        if batch and (len(batch) + 1) * lengths[row] > batch_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _through(model: SharedBert, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `trainable` takes of a batch of token ids: themselves, or what the frozen part makes of them."""
    if model.frozen_encoder is None:
        return batch
    with torch.no_grad():
        hidden = model.frozen_encoder.hidden(batch)
        if model.entry == "pooled":
            return {"pooled": masked_mean(hidden, batch["mask"])}
        masked: dict[str, Tensor] = {name: batch[name] for name in ("hidden_at", "hidden_ids") if name in batch}
        return {"hidden": hidden, "mask": batch["mask"], **masked}
