# SPDX-License-Identifier: Apache-2.0
"""No unit moves what is summed by more than the bound, for whoever knows the seed: all tasks, all scopes, all draws."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.learning.model.pretrained import Pretrained, load_pretrained
from privacy.base import parts
from privacy.dp import training
from privacy.dp.draws import RowDraws, tags_by_place
from privacy.dp.sampling import PoissonUnits
from simulations.leakage import neighbours
from simulations.leakage.neighbours import PLANS, SCOPES, distances, worst


@pytest.fixture(scope="module")
def tiny(tiny_folder: Path) -> Pretrained:
    return load_pretrained(tiny_folder)


def test_every_task_is_tried() -> None:
    assert set(PLANS) == set(parts.names("client.learning.tasks"))


def test_one_unit_moves_no_sum_by_more_than_the_bound(tiny: Pretrained, tiny_words: tuple[str, ...]) -> None:
    found = list(distances(tiny, tiny_words, pairs=1, seed=1))
    assert len(found) == len(PLANS) * len(SCOPES)
    assert max(found, key=lambda one: one.share).share <= 1
    assert sum(one.share > 0.99 for one in found) > len(found) / 4  # pairs whose unit is clipped


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_one_unit_moves_no_sum_by_more_than_the_bound_in_many_pairs(
    tiny: Pretrained, tiny_words: tuple[str, ...], seed: int
) -> None:
    assert worst(tiny, tiny_words, pairs=10, seed=100 + seed).share <= 1


class ByPlace(RowDraws):
    """Draws that go by a row's place in the file: one unit more shifts everybody's."""

    def __init__(self, seed, units, tags) -> None:  # type: ignore[no-untyped-def]
        super().__init__(seed, units, tags_by_place(len(units)))


class CoinsByPlace(PoissonUnits):
    def __init__(self, seed, units, rate, notes=1, tags=None) -> None:  # type: ignore[no-untyped-def]
        super().__init__(seed, units, rate, notes)


@pytest.mark.parametrize(("part", "broken"), [("RowDraws", ByPlace), ("PoissonUnits", CoinsByPlace)])
def test_draws_that_go_by_place_would_be_seen(
    tiny: Pretrained, tiny_words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, part: str, broken: type
) -> None:
    """What the tests above are for."""
    monkeypatch.setattr(training, part, broken)
    monkeypatch.setattr(neighbours, "SCOPES", ("head", "full"))
    monkeypatch.setattr(neighbours, "PLANS", {name: PLANS[name] for name in ("classification", "masked_language")})
    assert worst(tiny, tiny_words, pairs=2, seed=1).share > 1.5
