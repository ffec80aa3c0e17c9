# SPDX-License-Identifier: Apache-2.0
"""Masked-language modelling: which word pieces are hidden, and behind what (Devlin et al., arXiv 1810.04805).

Of a row's word pieces a fixed share is hidden: four of five behind [MASK], one of ten behind any piece, one of ten
stays. In training a site's SecretSeed draws, for each row by its own name (privacy.dp.draws); otherwise a row's own
word pieces do: what is hidden of a row depends on no other row either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from client.learning.model.tokenization import WordPieces
from privacy.base.errors import ContractError
from privacy.base.identifiers import sha256
from privacy.dp.draws import BatchDraws, current

IGNORED = -100
"""A target that has no part in a loss."""


@dataclass(frozen=True)
class Masking:
    """How the rows of a model are hidden. `special` are ids that never are."""

    rate: float
    mask_id: int
    vocabulary: int
    special: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer, rate: float) -> Masking:
        """The masking of a tokenizer's pieces. Raises ContractError if it has no [MASK]."""
        mask_id = tokenizer.token_to_id("[MASK]")
        if mask_id is None:
            raise ContractError("the tokenizer has no [MASK]: it cannot hide word pieces")
        special_ids = [tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]", "[PAD]")]
        return cls(rate, mask_id, tokenizer.get_vocab_size(), tuple(i for i in special_ids if i is not None))

    def hide(self, batch: dict[str, Tensor], draws: Tensor) -> dict[str, Tensor]:
        """`batch` with pieces hidden, "hidden_at" (B, P) and "hidden_ids" (B, P), IGNORED where a row hides fewer.

        `draws` are uniform numbers (3, B, T): which pieces, behind what, and behind which other piece.
        """
        ids = batch["input_ids"]
        may = batch["mask"] & ~torch.isin(ids, ids.new_tensor(self.special))
        counts = (may.sum(1) * self.rate).round().clamp(min=1).minimum(may.sum(1)).long()
        width = max(1, int(counts.max()))
        at = draws[0].masked_fill(~may, 2.0).argsort(dim=1, stable=True)[:, :width]
        chosen = torch.arange(width, device=ids.device) < counts[:, None]
        true = ids.gather(1, at)
        how, other = draws[1].gather(1, at), (draws[2].gather(1, at) * self.vocabulary).long()
        behind = torch.where(how < 0.8, self.mask_id, torch.where(how < 0.9, other, true))
        hidden = ids.scatter(1, at, torch.where(chosen, behind, true))
        return {**batch, "input_ids": hidden, "hidden_at": at, "hidden_ids": true.masked_fill(~chosen, IGNORED)}


def fresh_draws(batch: dict[str, Tensor]) -> Tensor:
    """From the training step's draws of each row: 24 bits a number, the same in any batch and on any device."""
    ids = batch["input_ids"]
    words = current().words(BatchDraws.HIDING, 3 * ids.shape[1]).reshape(*ids.shape, 3)
    return torch.from_numpy((words >> 8).astype(np.float32) * np.float32(2**-24)).movedim(2, 0).to(ids.device)


def fixed_draws(pieces: WordPieces, rows: Sequence[int], batch: dict[str, Tensor]) -> Tensor:
    """From each row's own word pieces: the same in every batch."""
    ids = batch["input_ids"]
    draws = torch.full((3, *ids.shape), 0.5)
    for index, row in enumerate(rows):
        own = pieces.ids[int(pieces.offsets[row]) : int(pieces.offsets[row + 1])]
        generator = torch.Generator().manual_seed(int(sha256(own.astype("<i4").tobytes())[:15], 16))
        draws[:, index, : len(own)] = torch.rand((3, len(own)), generator=generator)
    return draws.to(ids.device)


def unhidden(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """`batch` as it is, for a model that also has a masked-language head."""
    return {**batch, "hidden_at": torch.zeros_like(batch["input_ids"][:, :1])}
