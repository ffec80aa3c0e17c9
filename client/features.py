# SPDX-License-Identifier: Apache-2.0
"""Word pieces, and the frozen part's activations of them: computed once per site, without padding, on the CPU.

What is kept is private: it stays in this process's memory and is never written. Float32 activations of all rows take
rows x mean word pieces x hidden size x 4 bytes (MiniLM at 64 word pieces: 98 KB a row); above `MAX_BYTES` nothing is
kept, and the frozen part runs again for each batch: the same model, more slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from torch import Tensor

from client.model import SharedBert, masked_mean

MAX_BYTES: Final = 8 << 30
BATCH_TOKENS: Final = 4096
"""Word pieces, padding included, that go through the frozen part at once."""

PREFIX_CHARACTERS: Final = 8
"""Characters a word piece of a text's beginning: English has 4 to 5, blanks included."""

Progress = Callable[[int, int], None]
"""Rows done, rows in all."""


@dataclass(frozen=True, eq=False, repr=False)
class WordPieces:
    """Ragged token ids: row i is ids[offsets[i]:offsets[i + 1]]."""

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    @property
    def lengths(self) -> list[int]:
        return [int(length) for length in np.diff(self.offsets)]

    def __len__(self) -> int:
        return len(self.offsets) - 1


def tokenize(texts: Sequence[str], tokenizer: Tokenizer) -> WordPieces:
    """The word pieces of each text, special tokens included, cut as the tokenizer says.

    The library reads a text to its end before it cuts. Here a long text's beginning is read first, up to white space,
    which no word piece of BERT spans; where that fills the row the rest cannot matter, else the whole text is read.
    """
    most = tokenizer.truncation["max_length"] if tokenizer.truncation else 0
    reach = PREFIX_CHARACTERS * most if isinstance(tokenizer.pre_tokenizer, BertPreTokenizer) else 0
    begun = [_beginning(text, reach) for text in texts]
    encoded = [np.asarray(one.ids, np.int32) for one in tokenizer.encode_batch_fast(begun)]
    unfilled = [at for at, ids in enumerate(encoded) if len(ids) < most and len(begun[at]) < len(texts[at])]
    for at, one in zip(unfilled, tokenizer.encode_batch_fast([texts[at] for at in unfilled]), strict=True):
        encoded[at] = np.asarray(one.ids, np.int32)
    offsets = np.cumsum([0, *(len(ids) for ids in encoded)], dtype=np.int64)
    return WordPieces(np.concatenate(encoded) if encoded else np.zeros(0, np.int32), offsets)


def _beginning(text: str, reach: int) -> str:
    """`text` up to the last blank within `reach` characters; all of it where it is short or has no blank there."""
    cut = text.rfind(" ", 0, reach) if len(text) > reach > 0 else -1
    return text if cut < 1 else text[:cut]


def padded(values: Tensor, offsets: NDArray[np.int64], rows: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Rows of ragged `values` as (B, T, ...) with zeros to the right, and their mask (B, T)."""
    lengths = [int(offsets[row + 1] - offsets[row]) for row in rows]
    filled = values.new_zeros((len(rows), max(lengths), *values.shape[1:]))
    mask = torch.zeros(filled.shape[:2], dtype=torch.bool)
    for index, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        filled[index, :length] = values[int(offsets[row]) : int(offsets[row]) + length]
        mask[index, :length] = True
    return filled, mask


def token_batch(pieces: WordPieces, rows: Sequence[int], device: torch.device) -> dict[str, Tensor]:
    """Token ids (B, T) with contiguous position ids and token types of the same shape, and the mask."""
    ids, mask = padded(torch.from_numpy(pieces.ids), pieces.offsets, rows)
    positions = torch.arange(ids.shape[1]).repeat(len(rows), 1)
    batch = {
        "input_ids": ids.long(),
        "position_ids": positions,
        "token_type_ids": torch.zeros_like(positions),
        "mask": mask,
    }
    return {name: tensor.to(device) for name, tensor in batch.items()}


@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """What `network` takes, for every row: stored (`values`), or computed for each batch (None).

    `values` is float32 on the CPU: (rows, H) under the scope head, (all word pieces, H) under top and lora.
    """

    model: SharedBert
    pieces: WordPieces
    values: Tensor | None

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """The rows' inputs on the model's device."""
        model = self.model
        if model.lower is None:
            return token_batch(self.pieces, rows, model.device)
        if self.values is None:
            return _through(model, self.pieces, rows)
        if model.entry == "pooled":
            return {"pooled": self.values[list(rows)].to(model.device)}
        hidden, mask = padded(self.values, self.pieces.offsets, rows)
        return {"hidden": hidden.to(model.device), "mask": mask.to(model.device)}


def compute_features(
    model: SharedBert, pieces: WordPieces, on_progress: Progress | None = None, *, max_bytes: int = MAX_BYTES
) -> Features:
    """Run the frozen part once over all rows, sorted by length, or not at all if the result exceeds `max_bytes`."""
    pooled = model.entry == "pooled"
    count = len(pieces) if pooled else len(pieces.ids)
    if model.lower is None or 4 * count * model.hidden_size > max_bytes:
        return Features(model, pieces, None)
    values = torch.empty((count, model.hidden_size), dtype=torch.float32)
    done = 0
    for rows in by_length(pieces.lengths):
        computed = _through(model, pieces, rows)
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


def _through(model: SharedBert, pieces: WordPieces, rows: Sequence[int]) -> dict[str, Tensor]:
    assert model.lower is not None
    with torch.no_grad():
        batch = token_batch(pieces, rows, model.device)
        hidden = model.lower.hidden(batch)
        if model.entry == "pooled":
            return {"pooled": masked_mean(hidden, batch["mask"])}
        return {"hidden": hidden, "mask": batch["mask"]}
