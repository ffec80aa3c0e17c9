# SPDX-License-Identifier: Apache-2.0
"""A logical batch as physical batches, and what becomes of a unit that has no gradient to speak of.

A unit whose gradient holds NaN or infinity, or is longer than `clipping.LARGEST`, contributes zero to the step: as a
function of that unit alone, whatever stands in its batch, and without an error (ADR 23). Nothing of it is masked out
(0 x NaN is NaN): it is measured by itself, and the rest of its batch runs again without it. In company half of LARGEST
counts, so that what is close is decided alone. Where all gradients are ordinary, all of this is one comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from privacy.dp.clipping import LARGEST, beyond

Accumulate = Callable[[Sequence[int], Sequence[int], float], tuple[Tensor, Tensor]]
"""(rows, rows of each unit, largest) -> (losses, norms): privacy.dp.clipping.Clipper's, on these rows."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What was seen of one physical batch: losses of its rows, norms of its units, or one unit that adds nothing."""

    losses: tuple[Tensor, ...] = ()
    norms: tuple[Tensor, ...] = ()
    left_out: int = 0
    """Units that contribute zero."""

    def __add__(self, other: Measured) -> Measured:
        return Measured(self.losses + other.losses, self.norms + other.norms, self.left_out + other.left_out)


def physical(drawn: Sequence[Sequence[int]], lengths: Sequence[int], size: int) -> list[list[Sequence[int]]]:
    """The logical batch as groups of units of at most `size` rows together: the clipped sum ignores the order.

    A unit's rows stay together. Units of like size and length share a batch, so that little is padded.
    """
    ordered = sorted(drawn, key=lambda unit: (len(unit), max(lengths[row] for row in unit), min(unit)))
    parts: list[list[Sequence[int]]] = []
    rows = 0
    for unit in ordered:
        if not parts or rows + len(unit) > size:
            parts.append([])
            rows = 0
        parts[-1].append(unit)
        rows += len(unit)
    return parts


def clipped(accumulate: Accumulate, units: Sequence[Sequence[int]]) -> Measured:
    """Add the clipped gradients of `units`, which share a physical batch, but for those that contribute zero."""
    losses, norms = _run(accumulate, units, LARGEST / 2)
    over = beyond(norms, LARGEST / 2)
    if not over:
        return Measured((losses,), (norms,))
    measured = Measured()
    for at in over:
        measured += _alone(accumulate, units[at])
    rest = [unit for at, unit in enumerate(units) if at not in over]
    return measured + clipped(accumulate, rest) if rest else measured


def _alone(accumulate: Accumulate, unit: Sequence[int]) -> Measured:
    """One unit in a physical batch of its own."""
    losses, norms = _run(accumulate, [unit], LARGEST)
    return Measured(left_out=1) if beyond(norms, LARGEST) else Measured((losses,), (norms,))


def _run(accumulate: Accumulate, units: Sequence[Sequence[int]], largest: float) -> tuple[Tensor, Tensor]:
    return accumulate([row for unit in units for row in unit], [len(unit) for unit in units], largest)
