# SPDX-License-Identifier: Apache-2.0
"""Claims about splits: every row in exactly one site, one split from one seed, a floor kept or a clear refusal."""

from __future__ import annotations

import json
import math
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from privacy.base.errors import SettingsError
from privacy.base.identifiers import SiteId
from privacy.base.randomness import PublicSeed
from simulations.partition import (
    JsonRow,
    SitePartition,
    by_field,
    dirichlet,
    read_rows,
    site_id,
    uniform,
    write_partition,
)

SITE = TypeAdapter(SiteId)
SEED = PublicSeed.from_integer(5)
MEDQUAD = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "medquad"
labels = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=60)


def _rows(of: list[str]) -> list[JsonRow]:
    return [
        {"id": str(at), "text": f"text {at}", "label": label, "client": f"{label}_source"}
        for at, label in enumerate(of)
    ]


def _assert_every_row_is_in_one_site(rows: list[JsonRow], split: SitePartition) -> None:
    ids = [row["id"] for members in split.sites.values() for row in members]
    assert sorted(ids, key=lambda at: int(str(at))) == [row["id"] for row in rows]
    for members in split.sites.values():
        places = [int(str(row["id"])) for row in members]
        assert places == sorted(places), "the corpus's order is kept"
    assert list(split.sites) == sorted(split.sites)
    for name in split.sites:
        SITE.validate_python(name)


@settings(max_examples=60, deadline=None)
@given(of=labels, sites=st.integers(1, 12), number=st.integers(0, 2**40))
def test_a_uniform_split_keeps_every_row_once_in_sizes_that_differ_by_one(
    of: list[str], sites: int, number: int
) -> None:
    rows, seed = _rows(of), PublicSeed.from_integer(number)
    if sites > len(rows):
        with pytest.raises(SettingsError):
            uniform(rows, sites, seed)
        return
    split = uniform(rows, sites, seed)
    _assert_every_row_is_in_one_site(rows, split)
    sizes = [len(members) for members in split.sites.values()]
    assert len(sizes) == sites
    assert max(sizes) - min(sizes) <= 1
    assert uniform(rows, sites, seed) == split


@settings(max_examples=60, deadline=None)
@given(
    of=labels,
    sites=st.integers(1, 6),
    alpha=st.floats(0.01, 100),
    number=st.integers(0, 2**40),
    floor=st.integers(1, 5),
)
def test_a_dirichlet_split_keeps_every_row_once_and_the_floor_or_refuses(
    of: list[str], sites: int, alpha: float, number: int, floor: int
) -> None:
    rows, seed = _rows(of), PublicSeed.from_integer(number)
    easy = sites == 1 and len(rows) >= floor
    try:
        split = dirichlet(rows, sites, alpha, seed, minimum=floor)
    except SettingsError:
        assert not easy, "what can be split is not refused"
        return
    assert len(rows) >= sites * floor
    _assert_every_row_is_in_one_site(rows, split)
    assert len(split.sites) == sites
    assert min(len(members) for members in split.sites.values()) >= floor
    assert dirichlet(rows, sites, alpha, seed, minimum=floor) == split


@settings(max_examples=60, deadline=None)
@given(of=labels)
def test_a_split_by_field_puts_a_row_where_its_field_says(of: list[str]) -> None:
    rows = _rows(of)
    split = by_field(rows)
    _assert_every_row_is_in_one_site(rows, split)
    assert {name: {row["client"] for row in members} for name, members in split.sites.items()} == {
        f"{label}_source": {f"{label}_source"} for label in set(of)
    }


def _label_spread(split: SitePartition) -> float:
    """Mean distance (total variation) of a site's label shares from the corpus's, weighted by size."""
    total = Counter(row["label"] for members in split.sites.values() for row in members)
    size = total.total()
    spread = 0.0
    for members in split.sites.values():
        own = Counter(row["label"] for row in members)
        distance = sum(abs(own[label] / len(members) - total[label] / size) for label in total) / 2
        spread += distance * len(members) / size
    return spread


def test_a_small_alpha_skews_labels_and_a_large_one_does_not() -> None:
    rows = _rows(["a", "b", "c", "d"] * 500)
    skewed, even = dirichlet(rows, 5, 0.1, SEED, minimum=20), dirichlet(rows, 5, 1000.0, SEED, minimum=300)
    assert _label_spread(skewed) > 0.3
    assert _label_spread(even) < 0.05
    assert all(math.isclose(len(members), 400, rel_tol=0.1) for members in even.sites.values())


def test_another_seed_gives_another_split_and_the_recipe_names_it() -> None:
    rows = _rows(["a", "b"] * 40)
    other = PublicSeed.from_integer(6)
    assert uniform(rows, 4, SEED).sites != uniform(rows, 4, other).sites
    assert dirichlet(rows, 4, 0.5, SEED).sites != dirichlet(rows, 4, 0.5, other).sites
    assert dirichlet(rows, 4, 0.5, SEED).recipe == {"rule": "dirichlet", "seed": SEED.hex(), "alpha": "0.5"}
    assert uniform(rows, 4, SEED).recipe == {"rule": "uniform", "seed": SEED.hex()}
    assert by_field(rows, "client").recipe == {"rule": "by_field:client"}


@settings(max_examples=200, deadline=None)
@given(value=st.text(min_size=1, max_size=80))
def test_any_field_value_becomes_a_valid_site_id_or_is_refused(value: str) -> None:
    try:
        name = site_id(value)
    except SettingsError:
        assert not any(c.isascii() and c.isalnum() for c in value.lower())
        return
    assert SITE.validate_python(name) == name == site_id(name)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("MPlus_Health_Topics", "mplus_health_topics"),
        ("4_MPlus_Health_Topics_QA", "mplus_health_topics_qa"),
        ("12", "site_12"),
        ("St. Mary's / North", "st_mary_s_north"),
    ],
)
def test_a_field_value_is_recognizable_in_its_site_id(value: str, name: str) -> None:
    assert site_id(value) == name


TWELVE = _rows(["a", "b", "c"] * 4)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: by_field(TWELVE, "ward"),
        lambda: by_field([*TWELVE, {"id": "13", "label": "a", "client": 7}]),
        lambda: by_field([{"client": "North"}, {"client": "north!"}]),
        lambda: by_field(TWELVE, minimum=5),
        lambda: by_field([]),
        lambda: uniform(TWELVE, 0, SEED),
        lambda: uniform(TWELVE, 5, SEED, minimum=3),
        lambda: uniform(TWELVE, 3, SEED, minimum=0),
        lambda: uniform([], 1, SEED),
        lambda: dirichlet(TWELVE, 3, 0.0, SEED),
        lambda: dirichlet(TWELVE, 3, float("nan"), SEED),
        lambda: dirichlet(TWELVE, 4, 0.01, SEED, minimum=3),
        lambda: dirichlet([{"id": "1"}], 1, 1.0, SEED),
    ],
)
def test_a_split_that_cannot_be_is_refused_with_a_next_step(wrong: Callable[[], object]) -> None:
    with pytest.raises(SettingsError) as caught:
        wrong()
    assert caught.value.next_step


@pytest.mark.parametrize("split", [lambda rows: uniform(rows, 2, SEED), lambda rows: dirichlet(rows, 2, 1.0, SEED)])
def test_a_random_split_never_tears_a_patient_apart(split: Callable[[list[JsonRow]], SitePartition]) -> None:
    rows = [{**row, "patient_id": "p1"} for row in TWELVE]
    with pytest.raises(SettingsError, match="patient"):
        split(rows)


def test_a_written_split_reads_back_and_is_private(tmp_path: Path) -> None:
    split = uniform(TWELVE, 3, SEED)
    write_partition(tmp_path / "sites", split)
    for name, members in split.sites.items():
        file = tmp_path / "sites" / name / "rows.jsonl"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert tuple(read_rows(file)) == members
    assert json.loads((tmp_path / "sites" / "partition.jsonl").read_text()) == split.recipe


@pytest.mark.parametrize("content", ["{}\n[1]\n", "{}\n{broken\n", "\xff"])
def test_a_file_that_is_no_jsonl_is_refused_by_name_and_without_its_text(tmp_path: Path, content: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"rows\.jsonl") as caught:
        read_rows(file)
    assert "broken" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_the_nine_sources_of_medquad_become_nine_sites() -> None:
    if not MEDQUAD.is_dir():
        pytest.skip("the shared MedQuAD folder is not beside the checkout")
    rows = read_rows(MEDQUAD / "dev.jsonl")
    split = by_field(rows)
    assert len(split.sites) == 9
    assert sum(len(members) for members in split.sites.values()) == len(rows)
    for name in split.sites:
        SITE.validate_python(name)
    assert max(map(len, split.sites.values())) > 10 * min(map(len, split.sites.values()))
