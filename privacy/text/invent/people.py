# SPDX-License-Identifier: Apache-2.0
"""Invented names of people: of many cultures, in many forms, about a quarter of the parts borne by nobody.

A recognizer that only knew lists would miss the invented ones; that is their purpose. They come from a two-letter
Markov chain over the lists.
"""

from __future__ import annotations

from functools import cache

from privacy.text import lists
from privacy.text.invent.rng import Rng

INVENTED_FIRST = 0.22
INVENTED_LAST = 0.3
ENGLISH = 0.35
"""Share of listed names that are common where English is spoken; the rest is of all cultures alike."""
_SUFFIXES = ("Jr.", "Jr", "Sr.", "III", "II")
_PARTICLES = ("van", "van der", "von", "de", "de la", "del", "da", "dos", "al", "bin", "di", "la", "el", "ter")
_NICKS = (
    *("Jo", "Al", "Ed", "Bo", "Ty", "Vi", "Kit", "Dot", "Sam", "Max", "Lou", "Bex", "Gaz", "Tez", "Jaz", "Mo", "Nat"),
    *("Tash", "Shaz", "Baz", "Mick", "Bea", "Ike", "Oz", "Zee", "Dee", "Jay", "Kay", "Em", "Ro", "Gus", "Hal", "Stu"),
    *(
        "Liv",
        "Mags",
        "Pip",
        "Tam",
        "Cass",
        "Mel",
        "Di",
        "Jules",
        "Col",
        "Dev",
        "Raj",
        "Tiff",
        "Abs",
        "Fi",
        "Nell",
        "Ned",
    ),
)


@cache
def _chain(name: str) -> dict[str, str]:
    follow: dict[str, str] = {}
    for entry in lists.entries(name):
        padded = f"^^{entry.split()[-1].lower()}$"
        for at in range(len(padded) - 2):
            pair = padded[at : at + 2]
            follow[pair] = follow.get(pair, "") + padded[at + 2]
    return follow


def invented(rng: Rng, name: str) -> str:
    """A word of 3 to 12 letters that follows the pairs of letters in the list `name`, capitalised."""
    follow = _chain(name)
    while True:
        word = "^^"
        while word[-1] != "$" and len(word) < 16:
            word += rng.choose(follow[word[-2:]])
        word = word.strip("^$")
        if 3 <= len(word) <= 12 and word.replace("-", "").replace("'", "").isalpha():
            return word[0].upper() + word[1:]


def first(rng: Rng) -> str:
    """A first name."""
    return female(rng) if rng.chance(0.5) else male(rng)


def female(rng: Rng) -> str:
    return _drawn(rng, "female", INVENTED_FIRST)


def male(rng: Rng) -> str:
    return _drawn(rng, "male", INVENTED_FIRST)


def _drawn(rng: Rng, name: str, share_invented: float) -> str:
    if rng.chance(share_invented):
        return invented(rng, name)
    return rng.choose(lists.entries(f"{name}_english" if rng.chance(ENGLISH) else name))


def last(rng: Rng) -> str:
    """A surname, at times with a particle or of two parts."""
    name = _drawn(rng, "family", INVENTED_LAST)
    roll = rng.uniform()
    if roll < 0.03:
        return rng.choose(("O'", "Mc", "Mac", "D'", "Al-", "St. ", "Fitz")) + name
    if roll < 0.07:
        return f"{rng.choose(_PARTICLES)} {name}"
    return f"{name}-{rng.choose(lists.entries('family'))}" if roll < 0.1 else name


def initial(rng: Rng) -> str:
    return rng.choose("ABCDEFGHIJKLMNOPRSTVWYZ") + rng.choose((".", ".", "."))


def full(rng: Rng) -> str:
    """First name and surname, at times with more between and behind."""
    roll = rng.uniform()
    if roll < 0.6:
        name = f"{first(rng)} {last(rng)}"
    elif roll < 0.78:
        name = f"{first(rng)} {initial(rng)} {last(rng)}"
    elif roll < 0.84:
        name = f"{first(rng)} {rng.choose('ABCDEFGHJKLMNPRSTW')} {last(rng)}"
    elif roll < 0.92:
        name = f"{first(rng)} {first(rng)} {last(rng)}"
    else:
        name = f"{first(rng)} {last(rng)} {last(rng)}"
    return f"{name}{rng.choose((' ', ', '))}{rng.choose(_SUFFIXES)}" if rng.chance(0.03) else name


def last_first(rng: Rng) -> str:
    """'Surname, First', as forms have it."""
    between = ", " if rng.chance(0.9) else ","
    tail = rng.choose(("", "", "", f" {initial(rng)}", f" {rng.choose('ABCDEFGHJKLM')}", f" {first(rng)}"))
    return f"{last(rng)}{between}{first(rng)}{tail}"


def initials(rng: Rng) -> str:
    """'J. R. Surname' in its spellings."""
    joint = rng.choose((" ", " ", ""))
    letters = [initial(rng) for _ in range(rng.choose((1, 1, 2, 2, 3)))]
    name = joint.join(letters) + " " + last(rng)
    return name.replace(".", "") if rng.chance(0.12) else name


def nick(rng: Rng) -> str:
    """How friends call somebody."""
    return rng.choose(_NICKS) if rng.chance(0.4) else first(rng)


def person(rng: Rng) -> str:
    """A name in any form."""
    roll = rng.uniform()
    if roll < 0.5:
        return full(rng)
    if roll < 0.6:
        return initials(rng)
    if roll < 0.68:
        return last_first(rng)
    return first(rng) if roll < 0.84 else last(rng)
