# SPDX-License-Identifier: Apache-2.0
"""Templates: every one can be filled, its values stand where it says, and none of it is evaluation text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from privacy.base.errors import ContractError
from privacy.text.invent.notes import notes
from privacy.text.invent.rng import Rng
from privacy.text.invent.slots import SLOTS
from privacy.text.invent.templates import make, sections
from privacy.text.reading.records import ENTITY_TYPES

FILES = ("clinical", "general", "notes", "held_out")
DATA = Path(__file__).resolve().parents[4] / ".." / "shared" / "data"
SHINGLE = 8


def templates(name: str) -> Iterator[str]:
    for section, lines in sections(name).items():
        yield from (line.split("|", 1)[1] if section == "flagged" else line for line in lines)


@pytest.mark.parametrize("name", FILES)
def test_every_template_gives_values_where_it_says(name: str) -> None:
    rng = Rng(np.random.default_rng(7))
    for template in templates(name):
        piece = make(template, rng)
        assert "{" not in piece.text
        at = 0
        for value in piece.values:
            assert at <= value.start < value.end <= len(piece.text)
            at = value.end


def test_the_same_seed_gives_the_same_notes_and_another_seed_others() -> None:
    first, again, other = (list(notes(np.random.default_rng(seed), 5)) for seed in (1, 1, 2))
    assert first == again != other


def test_every_slot_is_used_and_its_type_is_known() -> None:
    used = {slot for name in FILES for template in templates(name) for slot in re.findall(r"\{([a-z_]+)\}", template)}
    assert used == set(SLOTS)
    types = {slot.entity_type for slot in SLOTS.values()} - {None}
    assert types - ENTITY_TYPES == {"FAX_NUMBER", "AGE_UNDER_90"}


def test_a_slot_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ContractError, match="no_such_slot"):
        make("{no_such_slot}", Rng(np.random.default_rng(1)))


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1)}


def runs_of_words() -> set[tuple[str, ...]]:
    """Runs of eight words between the slots of one template, first choice taken."""
    found: set[tuple[str, ...]] = set()
    for name in FILES:
        for template in templates(name):
            plain = re.sub(r"\[([^\[\]|]*)[^\[\]]*\]", r"\1", template).replace("\\n", "\n").replace("\\t", "\t")
            for between in re.split(r"\{[a-z_]+\}", plain):
                found |= shingles(between)
    return found


def texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from texts(item)
        case list():
            if value and all(isinstance(item, str) for item in value):
                yield " ".join(value)
            else:
                for item in value:
                    yield from texts(item)


@pytest.mark.skipif(not DATA.exists(), reason="the shared evaluation data is not beside the checkout")
@pytest.mark.parametrize("name", ["presidio_synth", "tab144", "wnut17", "ncbi_disease", "mtsamples", "mts_dialog"])
def test_no_eight_words_of_a_template_stand_in_an_evaluation_set(name: str) -> None:
    ours = runs_of_words()
    assert len(ours) > 3000
    for file in sorted((DATA / name).glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            for text in texts(json.loads(line)):
                assert not shingles(text) & ours
