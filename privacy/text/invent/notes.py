# SPDX-License-Identifier: Apache-2.0
"""Whole invented clinical notes from templates that are never trained on: for the self-check and the benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from privacy.text.invent.rng import Rng
from privacy.text.invent.templates import FilledTemplate, make, sections

TemplateSet = Literal["notes", "held_out"]
FEWEST_PARTS = 6
MOST_PARTS = 12
FLAGGED = 0.1


InventedNote = tuple[FilledTemplate, tuple[str, ...]]
"""A note with its values, and the flags that it should raise (BIOMETRIC, PHOTO)."""


def notes(generator: np.random.Generator, count: int, templates: TemplateSet = "notes") -> Iterator[InventedNote]:
    """`count` invented notes.

    `templates`: "notes" are for self-checks and development, "held_out" for the benchmark of a release alone.
    """
    rng, parts = Rng(generator), sections(templates)
    for _ in range(count):
        note = make(rng.choose(parts["header"]), rng)
        flags: set[str] = set()
        for _ in range(rng.integer(FEWEST_PARTS, MOST_PARTS)):
            part = rng.choose(parts["body"])
            if rng.chance(FLAGGED / FEWEST_PARTS):
                flag, part = rng.choose(parts["flagged"]).split("|", 1)
                flags.add(flag)
            note = note.joined(make(part, rng), rng.choose(("\n", "\n", "\n\n")))
        yield note.joined(make(rng.choose(parts["footer"]), rng), "\n\n"), tuple(sorted(flags))
