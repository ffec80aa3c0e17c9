# SPDX-License-Identifier: Apache-2.0
"""Gaussian noise from a SecretSeed: AES-256-CTR keystream, 53-bit uniforms, Box-Muller in float64.

The i-th normal of a stream depends on the seed and on i alone: not on how the requests were split, nor on the number
of threads. The same numpy on the same kind of CPU replays it bit for bit; `log`, `sin` and `cos` of another CPU may
differ in the last bit. The values are floats: docs/privacy-accounting.md says what that means for the proof of the
guarantee.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from privacy.dp.keystream import KeyStream
from privacy.randomness import SecretSeed

Normals = npt.NDArray[np.float64]

_PAIRS = 1 << 13
"""Normals are made in blocks of 2 * _PAIRS: a part of the stream's definition, so a change breaks replay."""


class GaussianStream:
    """An endless sequence of independent normals. Each `fill` takes the next ones; none is given out twice."""

    def __init__(self, seed: SecretSeed) -> None:
        self._keystream = KeyStream(seed, "gaussian")
        self._left: Normals = np.empty(0)

    def fill(self, shape: int | Sequence[int], std: float) -> Normals:
        """A float64 array of `shape` from N(0, std^2)."""
        if not (np.isfinite(std) and std > 0):
            raise ValueError("the noise's standard deviation must be finite and above 0")
        size = int(np.prod(shape))
        out = np.empty(size)
        done = min(size, self._left.size)
        out[:done], self._left = self._left[:done], self._left[done:]
        while done < size:
            block = self._block()
            taken = min(size - done, block.size)
            out[done : done + taken], self._left = block[:taken], block[taken:]
            done += taken
        out *= std
        return out.reshape(shape)

    def _block(self) -> Normals:
        """2 * _PAIRS standard normals: radii from the first half of the words, angles from the second."""
        uniforms = (self._keystream.words(2 * _PAIRS) >> np.uint64(11)).view(np.int64).astype(np.float64)
        uniforms += 0.5
        uniforms *= 2.0**-53
        radius, angle = uniforms[:_PAIRS], uniforms[_PAIRS:]
        np.log(radius, out=radius)
        radius *= -2.0
        np.sqrt(radius, out=radius)
        angle *= 2.0 * np.pi
        out = np.empty(2 * _PAIRS)
        np.multiply(radius, np.cos(angle), out=out[:_PAIRS])
        np.multiply(radius, np.sin(angle), out=out[_PAIRS:])
        return out


def gaussian_integers(shape: int | Sequence[int], std: float, seed: SecretSeed) -> npt.NDArray[np.int64]:
    """N(0, std^2) rounded to integers. Added to integers it is the rounded Gaussian mechanism."""
    return np.rint(GaussianStream(seed).fill(shape, std)).astype(np.int64)


def noised_counts(counts: Sequence[int] | npt.NDArray[np.int64], std: float, seed: SecretSeed) -> list[int]:
    """`counts` plus rounded Gaussian noise; may be negative. One seed serves one release.

    std = noise_multiplier times the l2 distance that one privacy unit can move `counts`.
    """
    exact = np.asarray(counts)
    if exact.ndim != 1 or not np.issubdtype(exact.dtype, np.integer):
        raise ValueError("counts are a flat sequence of integers")
    return [int(count) for count in exact + gaussian_integers(exact.size, std, seed)]
