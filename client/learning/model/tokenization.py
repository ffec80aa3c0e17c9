# SPDX-License-Identifier: Apache-2.0
"""Texts as word pieces: ragged arrays for the model, and for a task each row's pieces with where they come from.

Two texts become one row, as BERT reads a pair: `[CLS] first [SEP] second [SEP]`, the second of token type 1; of a row
that is too long the longer text is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from torch import Tensor

from privacy.text.reading.records import AnonymizedRecord

PREFIX_CHARACTERS: Final = 8
"""Characters a word piece of a text's beginning: English has 4 to 5, blanks included."""

Inputs = Literal["text", "text_pair", "pair_text"]
"""What a row consists of: its text, or its text and pair in this order."""

TEXT: Final = 0
PAIR: Final = 1
SPECIAL: Final = -1


@dataclass(frozen=True, eq=False, repr=False)
class TokenizedExample:
    """One row's word pieces: `part` says which are of the text, of the pair, or special; `spans` are characters.

    All arrays are of the row's length n, `spans` (n, 2). `first` marks the first piece of each word.
    """

    ids: NDArray[np.int32]
    types: NDArray[np.int8]
    part: NDArray[np.int8]
    spans: NDArray[np.int32]
    first: NDArray[np.bool_]

    def covering(self, start: int, end: int) -> NDArray[np.intp]:
        """The pieces of the text that share a character with [start, end)."""
        touched = (self.spans[:, 0] < end) & (self.spans[:, 1] > start)
        return np.flatnonzero(touched & (self.part == TEXT))


@dataclass(frozen=True, eq=False, repr=False)
class WordPieces:
    """Ragged token ids: row i is ids[offsets[i]:offsets[i + 1]]. `types`: of each its token type; None: all 0."""

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    types: NDArray[np.int8] | None = None

    @property
    def lengths(self) -> list[int]:
        return [int(length) for length in np.diff(self.offsets)]

    def __len__(self) -> int:
        return len(self.offsets) - 1


def tokenize_records(
    records: Sequence[AnonymizedRecord], tokenizer: Tokenizer, inputs: Inputs
) -> list[TokenizedExample]:
    """The word pieces of each record, special tokens included, cut as the tokenizer says. A missing pair is empty."""
    rows = [_texts(record, inputs) for record in records]
    second = TEXT if inputs == "pair_text" else PAIR
    return [_row(encoding, second) for encoding in _encoded(rows, tokenizer)]


def pack(rows: Sequence[TokenizedExample]) -> WordPieces:
    """The rows as the model takes them."""
    offsets = np.cumsum([0, *(len(row.ids) for row in rows)], dtype=np.int64)
    if not rows:
        return WordPieces(np.zeros(0, np.int32), offsets)
    types = np.concatenate([row.types for row in rows])
    return WordPieces(np.concatenate([row.ids for row in rows]), offsets, types if types.any() else None)


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
    types = torch.zeros_like(positions)
    if pieces.types is not None:
        types = padded(torch.from_numpy(pieces.types), pieces.offsets, rows)[0].long()
    batch = {"input_ids": ids.long(), "position_ids": positions, "token_type_ids": types, "mask": mask}
    return {name: tensor.to(device) for name, tensor in batch.items()}


_Texts = tuple[str, ...]


def _texts(record: AnonymizedRecord, inputs: Inputs) -> _Texts:
    if inputs == "text":
        return (record.text,)
    pair = record.pair or ""
    return (record.text, pair) if inputs == "text_pair" else (pair, record.text)


def _encoded(rows: Sequence[_Texts], tokenizer: Tokenizer) -> Iterator[Encoding]:
    """The library's encodings, in order.

    The library reads a text to its end before it cuts. Here a long text's beginning is read first, up to white space,
    which no word piece of BERT spans; where that fills the row the rest cannot matter, else the whole text is read. Of
    a pair all is read: where it is cut follows from both lengths.
    """
    max_length = tokenizer.truncation["max_length"] if tokenizer.truncation else 0
    reach = PREFIX_CHARACTERS * max_length if isinstance(tokenizer.pre_tokenizer, BertPreTokenizer) else 0
    prefixes = [(_beginning(row[0], reach),) if len(row) == 1 else row for row in rows]
    encoded = _encode(tokenizer, prefixes)
    unfilled = [at for at, one in enumerate(encoded) if prefixes[at] != rows[at] and len(one) < max_length]
    for at, whole in zip(unfilled, _encode(tokenizer, [rows[at] for at in unfilled]), strict=True):
        encoded[at] = whole
    yield from encoded


def _encode(tokenizer: Tokenizer, rows: Sequence[_Texts]) -> list[Encoding]:
    return tokenizer.encode_batch([row[0] if len(row) == 1 else (row[0], row[1]) for row in rows])


def _beginning(text: str, reach: int) -> str:
    """`text` up to the last blank within `reach` characters; all of it where it is short or has no blank there."""
    cut = text.rfind(" ", 0, reach) if len(text) > reach > 0 else -1
    return text if cut < 1 else text[:cut]


def _row(encoding: Encoding, second: int) -> TokenizedExample:
    """The arrays of one encoding; `second` says of which part its second text is (PAIR, or TEXT behind a question)."""
    part = [SPECIAL if of is None else second if of == 1 else 1 - second for of in encoding.sequence_ids]
    words = [None, *encoding.word_ids]
    first = [word is not None and word != before for word, before in zip(words[1:], words, strict=False)]
    return TokenizedExample(
        np.asarray(encoding.ids, np.int32),
        np.asarray(encoding.type_ids, np.int8),
        np.asarray(part, np.int8),
        np.asarray(encoding.offsets, np.int32).reshape(-1, 2),
        np.asarray(first, np.bool_),
    )
