# SPDX-License-Identifier: Apache-2.0
"""Gaussian noise from a SecretSeed: AES-256-CTR keystream, Box-Muller in float64, added on a grid.

The i-th normal of a stream depends on the seed and on i alone: not on how the requests were split, nor on the number
of threads. The same numpy on the same kind of CPU replays it bit for bit; `log`, `sin` and `cos` of another CPU may
differ in the last bit.

`add` rounds both the value and its noise to multiples of one power of two before it adds them, exactly: which floats
can come out does not depend on the value, and what comes out is a function of value + real Gaussian, so no low bit
tells more than the sum (ADR 21). Sources: Mironov, CCS 2012; Jin et al., arXiv 2107.10138; Haney et al., 2112.05307.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from privacy.base.randomness import SecretSeed
from privacy.dp.keystream import KeyStream

Normals = npt.NDArray[np.float64]

_PAIRS = 1 << 13
"""Normals are made in blocks of 2 * _PAIRS: a part of the stream's definition, so a change breaks replay."""

GRID_BITS = 24
"""The grid is so many bits below the noise's standard deviation: its cells are wide beside the rounding of a float64
normal (2^-51 of it) and narrow beside the noise."""

_CHUNK = 1 << 16
_EXACT = 2.0**52
"""Integers up to here, and the sum of two of them, are exact in float64."""


def grid(std: float) -> float:
    """The power of two to whose multiples values with noise of `std` are rounded."""
    if not (math.isfinite(std) and std > 0):
        raise ValueError("the noise's standard deviation must be finite and above 0")
    return math.ldexp(1.0, math.frexp(std)[1] - 1 - GRID_BITS)


def sensitivity_of_rounding(std: float, size: int) -> float:
    """What rounding to the grid adds, at the most, to the l2 distance of two vectors of `size` values."""
    return grid(std) * math.sqrt(size)


class GaussianStream:
    """An endless sequence of independent normals. Each `fill` takes the next ones; none is given out twice."""

    def __init__(self, seed: SecretSeed) -> None:
        self._keystream = KeyStream(seed, "gaussian")
        self._left: Normals = np.empty(0)

    def fill(self, shape: int | Sequence[int], std: float) -> Normals:
        """A float64 array of `shape` from N(0, std^2)."""
        if not (math.isfinite(std) and std > 0):
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

    def add(self, values: Normals, std: float) -> None:
        """Round `values` (n,) in place to multiples of `grid(std)` and add N(0, std^2), rounded likewise: no rounding
        in the addition.

        Two vectors move apart by at most `sensitivity_of_rounding` before the noise. What is 2^52 cells or more from
        0 is cut off there, which moves no two vectors apart: an error would tell of a value without noise. Clipped
        gradients reach it from 2^27 x noise multiplier units on, no earlier. NaN, which they cannot be, counts as 0.
        """
        cell = grid(std)
        for start in range(0, len(values), _CHUNK):
            piece = values[start : start + _CHUNK]
            piece /= cell
            np.rint(piece, out=piece)
            if not np.abs(piece).max() < _EXACT:
                np.nan_to_num(piece, copy=False, nan=0.0, posinf=_EXACT, neginf=-_EXACT)
                np.clip(piece, -_EXACT, _EXACT, out=piece)
            noise = self.fill(len(piece), std / cell)
            piece += np.rint(noise, out=noise)
            piece *= cell

    def _block(self) -> Normals:
        """2 * _PAIRS standard normals: radii from the first half of the words, angles from the second.

        A radius has 63 bits, so that it reaches to 9.4 and is dense in the tail; more bits of an angle are lost.
        """
        uniforms = (self._keystream.words(2 * _PAIRS) >> np.uint64(1)).view(np.int64).astype(np.float64)
        uniforms += 0.5
        uniforms *= 2.0**-63
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
