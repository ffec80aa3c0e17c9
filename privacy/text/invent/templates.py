# SPDX-License-Identifier: Apache-2.0
r"""Templates: one a line, with slots and choices, and the texts that are made from them.

    [Patient|Pt]: {full}\tMRN {mrn}

`{slot}` is filled (privacy.text.invent.slots), `[a|b|]` is a choice of texts that may hold slots but no further
choice, `\n` and `\t` are a line break and a tab. Lines that start with # are comments; a line `@name` starts a section.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

from privacy.base.errors import ContractError
from privacy.text.invent.rng import Rng
from privacy.text.invent.slots import SLOTS

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class FilledSlot:
    """Characters [start, end) of a text are the value of `slot`."""

    start: int
    end: int
    slot: str

    @property
    def entity_type(self) -> str | None:
        return SLOTS[self.slot].entity_type

    @property
    def label(self) -> str | None:
        return SLOTS[self.slot].label


@dataclass(frozen=True, slots=True)
class FilledTemplate:
    """A text made from a template, with the values in it, in order."""

    text: str
    values: tuple[FilledSlot, ...]

    def joined(self, other: FilledTemplate, between: str) -> FilledTemplate:
        """This piece, `between`, and the other piece."""
        offset = len(self.text) + len(between)
        moved = (FilledSlot(v.start + offset, v.end + offset, v.slot) for v in other.values)
        return FilledTemplate(f"{self.text}{between}{other.text}", (*self.values, *moved))


@cache
def sections(name: str) -> dict[str, tuple[str, ...]]:
    """The templates of `templates/<name>.txt` by section; "" holds those before any section."""
    file = resources.files("privacy.text.invent") / "templates" / f"{name}.txt"
    lines_of: dict[str, list[str]] = {"": []}
    section = ""
    for line in file.read_text(encoding="utf-8").split("\n"):
        if re.fullmatch(r"@[a-z]+", line):
            section = line[1:]
            lines_of[section] = []
        elif line.strip() and not line.startswith("#"):
            lines_of[section].append(line)
    return {key: tuple(lines) for key, lines in lines_of.items()}


def make(template: str, rng: Rng) -> FilledTemplate:
    """A text from `template`. Raises ContractError for a slot that does not exist."""
    chosen = _CHOICE.sub(lambda match: rng.choose(match.group(1).split("|")), template)
    chosen = chosen.replace("\\n", "\n").replace("\\t", "\t")
    text, values, at = "", [], 0
    for match in _SLOT.finditer(chosen):
        slot = match.group(1)
        if slot not in SLOTS:
            raise ContractError(f"a template has a slot that does not exist: {slot}")
        text += chosen[at : match.start()]
        value = SLOTS[slot].invent(rng)
        values.append(FilledSlot(len(text), len(text) + len(value), slot))
        text += value
        at = match.end()
    return FilledTemplate(text + chosen[at:], tuple(values))
