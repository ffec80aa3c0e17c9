# SPDX-License-Identifier: Apache-2.0
"""The AES-256-CTR keystream of a SecretSeed, read once from front to back: what noise and sampling are made of.

A stream is a fixed sequence of 64-bit words; two reads of one stream never return the same words, and the same seed
gives the same words on every machine. Two purposes get two streams by deriving two seeds, never by sharing one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from privacy.randomness import SecretSeed

Words = npt.NDArray[np.uint64]


class KeyStream:
    """Sequential uint64 words under one seed. `reader` names the purpose in the seed's own derivation."""

    def __init__(self, seed: SecretSeed, reader: str) -> None:
        key = seed.derive(reader).expose("privacy.dp.keystream")
        self._encryptor = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()

    def words(self, count: int) -> Words:
        """The next `count` words."""
        stream = self._encryptor.update(bytes(8 * count))
        return np.frombuffer(stream, dtype="<u8").astype(np.uint64, copy=False)

    def below(self, bound: int) -> int:
        """A uniform integer in [0, bound), without modulo bias: words above the largest multiple are thrown away."""
        limit = (1 << 64) - (1 << 64) % bound
        while (word := int(self.words(1)[0])) >= limit:
            pass
        return word % bound
