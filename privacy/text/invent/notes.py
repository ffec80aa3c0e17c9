# SPDX-License-Identifier: Apache-2.0
"""Whole invented clinical notes from carriers that are never trained on: for the self-check and the benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from privacy.text.invent.dice import Dice
from privacy.text.invent.templates import Piece, make, sections

Carriers = Literal["notes", "held_out"]
FEWEST_PARTS = 6
MOST_PARTS = 12
FLAGGED = 0.1


def notes(
    generator: np.random.Generator, count: int, carriers: Carriers = "notes"
) -> Iterator[tuple[Piece, tuple[str, ...]]]:
    """`count` notes with their values, and the flags that each of them should raise (BIOMETRIC, PHOTO).

    `carriers`: "notes" are for self-checks and development, "held_out" for the benchmark of a release alone.
    """
    dice, parts = Dice(generator), sections(carriers)
    for _ in range(count):
        note = make(dice.choose(parts["header"]), dice)
        flags: set[str] = set()
        for _ in range(dice.integer(FEWEST_PARTS, MOST_PARTS)):
            part = dice.choose(parts["body"])
            if dice.chance(FLAGGED / FEWEST_PARTS):
                flag, part = dice.choose(parts["flagged"]).split("|", 1)
                flags.add(flag)
            note = note.joined(make(part, dice), dice.choose(("\n", "\n", "\n\n")))
        yield note.joined(make(dice.choose(parts["footer"]), dice), "\n\n"), tuple(sorted(flags))
