# SPDX-License-Identifier: Apache-2.0
"""AES-256 under a SecretSeed: a keystream that is read once from front to back, for noise, and blocks at any place.

A stream is a fixed sequence of 64-bit words; two reads of one stream never return the same words, and the same seed
gives the same words on every machine. Two purposes get two streams by deriving two seeds, never by sharing one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from privacy.base.randomness import Purpose, SecretSeed

Words = npt.NDArray[np.uint64]


class BlockKey:
    """AES-256 as a permutation of 16-byte blocks, many at a time: distinct blocks become independent, uniform ones."""

    def __init__(self, seed: SecretSeed, purpose: Purpose) -> None:
        key = seed.derive(purpose).expose("privacy.dp.keystream")
        self._encryptor = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()

    def encrypt(self, blocks: Words) -> Words:
        """Blocks of two words, (n, 2), each encrypted by itself."""
        encrypted = self._encryptor.update(np.ascontiguousarray(blocks, dtype="<u8").tobytes())
        return np.frombuffer(encrypted, dtype="<u8").astype(np.uint64, copy=False).reshape(-1, 2)


class KeyStream:
    """Sequential uint64 words under one seed. `purpose` is that of the seed's own derivation."""

    def __init__(self, seed: SecretSeed, purpose: Purpose) -> None:
        key = seed.derive(purpose).expose("privacy.dp.keystream")
        self._encryptor = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()

    def words(self, count: int) -> Words:
        """The next `count` words."""
        stream = self._encryptor.update(bytes(8 * count))
        return np.frombuffer(stream, dtype="<u8").astype(np.uint64, copy=False)
