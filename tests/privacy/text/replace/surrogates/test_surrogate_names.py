# SPDX-License-Identifier: Apache-2.0
"""Surrogates of persons: one person, one name within a patient; shape, initials and gender cue stay, no name does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from privacy.text import lists
from privacy.text.lists import plain
from privacy.text.replace.surrogates.keyed import SurrogateKey
from privacy.text.replace.surrogates.names import NameSurrogates

UNHURRIED = limits(deadline=None)  # the first use of a list reads it
SITE = SurrogateKey(bytes(range(32)), "patient")
FEMALE, MALE, FAMILY = (frozenset(map(plain, lists.entries(name))) for name in ("female", "male", "family"))
NAMES = st.builds(
    "{} {}".format, st.sampled_from(lists.entries("female")[::50]), st.sampled_from(lists.entries("family")[::50])
)


def names(*texts: str, patient: str = "p1", site: SurrogateKey = SITE) -> NameSurrogates:
    return NameSurrogates(site.of_patient(patient), texts)


def written(unit: NameSurrogates, text: str) -> str:
    surrogate = unit.write(text)
    assert surrogate is not None
    return surrogate


def test_every_mention_of_a_person_becomes_a_part_of_one_invented_name() -> None:
    mentions = ("Maria Lopez", "Ms Lopez", "LOPEZ", "M. Lopez", "Maria", "Lopez, Maria", "Lopez's", "maria lopez")
    unit = names(*mentions)
    first, last = written(unit, "Maria Lopez").split()
    assert [written(unit, mention) for mention in mentions] == [
        f"{first} {last}", f"Ms {last}", last.upper(), f"M. {last}", first, f"{last}, {first}", f"{last}'s",
        f"{first} {last}".lower(),
    ]  # fmt: skip
    assert (first[0], last[0]) == ("M", "L")
    assert {first.lower(), last.lower()}.isdisjoint({"maria", "lopez"})


@pytest.mark.parametrize(("name", "cue"), [("Katherine", FEMALE), ("Matthew", MALE)])
def test_a_womans_name_becomes_a_womans_and_a_mans_a_mans(name: str, cue: frozenset[str]) -> None:
    for patient in range(20):
        first = written(names(f"{name} Oldham", patient=str(patient)), f"{name} Oldham").split()[0]
        assert plain(first) in cue


def test_another_patient_and_another_site_have_other_surrogates() -> None:
    chosen = {written(names("Maria Lopez", patient=f"p{i}"), "Maria Lopez") for i in range(20)}
    assert len(chosen) >= 19
    other = SurrogateKey(bytes(32), "patient")
    assert written(names("Maria Lopez", site=other), "Maria Lopez") != written(names("Maria Lopez"), "Maria Lopez")
    assert written(names("Maria Lopez"), "Maria Lopez") == written(names("Maria Lopez"), "Maria Lopez")


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("Anne-Marie O'Brien-Smith", r"A[a-z]+-M[a-z]+ O'B[a-z]+-S[a-z]+"),
        ("Dr. Oldham, MD", r"Dr\. O[a-z]+, MD"),
        ("Pieter van der Meer", r"P[a-z]+ van der M[a-z]+"),
        ("JK Oldham", r"JK O[a-z]+"),
        ("J. R. Oldham Jr.", r"J\. R\. O[a-z]+ Jr\."),
        ("OLDHAM, MATTHEW", r"O[A-Z]+, M[A-Z]+"),
        ("Ben Oldham", r"(?!Ben )B[a-z]+ O[a-z]+"),
        ("ben oldham", r"(?!ben )b[a-z]+ o[a-z]+"),
        ("Müller", r"M[a-z]+"),
    ],
)
def test_the_shape_of_a_name_is_kept(text: str, shape: str) -> None:
    assert re.fullmatch(shape, written(names(text), text))


@pytest.mark.parametrize("text", ["J.K.", "M", "Dr.", "李娜", "Ольга", "R2 D2", "Lo\u0301pez \U0001f600", "..."])
def test_what_has_no_part_to_replace_or_other_characters_is_left_to_a_tag(text: str) -> None:
    assert names(text).write(text) is None


@UNHURRIED
@given(st.lists(NAMES, min_size=1, max_size=12, unique=True))
def test_no_surrogate_is_a_name_of_the_unit_and_no_two_names_share_one(found: list[str]) -> None:
    unit = names(*found)
    originals = {plain(part) for name in found for part in re.findall(r"[^\W\d_]+", name) if len(part) > 1}
    surrogates = {part: unit.of(part) for part in originals}
    chosen = [plain(surrogate) for surrogate in surrogates.values() if surrogate is not None]
    assert originals.isdisjoint(chosen)
    assert len(set(chosen)) == len(chosen)


@UNHURRIED
@given(
    st.lists(NAMES, min_size=1, max_size=6, unique=True).flatmap(lambda f: st.tuples(st.just(f), st.permutations(f)))
)
def test_the_order_in_which_names_are_found_changes_nothing(orders: tuple[list[str], list[str]]) -> None:
    one, two = (names(*found) for found in orders)
    assert [one.write(name) for name in orders[0]] == [two.write(name) for name in orders[0]]
