# SPDX-License-Identifier: Apache-2.0
"""Invented names of people: of many cultures, in many forms, about a quarter of the parts borne by nobody.

A recognizer that only knew lists would miss the invented ones; that is their purpose. They come from a two-letter
Markov chain over the lists.
"""

from __future__ import annotations

from functools import cache

from privacy.text import lists
from privacy.text.invent.dice import Dice

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


def invented(dice: Dice, name: str) -> str:
    """A word of 3 to 12 letters that follows the pairs of letters in the list `name`, capitalised."""
    follow = _chain(name)
    while True:
        word = "^^"
        while word[-1] != "$" and len(word) < 16:
            word += dice.choose(follow[word[-2:]])
        word = word.strip("^$")
        if 3 <= len(word) <= 12 and word.replace("-", "").replace("'", "").isalpha():
            return word[0].upper() + word[1:]


def first(dice: Dice) -> str:
    """A first name."""
    return female(dice) if dice.chance(0.5) else male(dice)


def female(dice: Dice) -> str:
    return _drawn(dice, "female", INVENTED_FIRST)


def male(dice: Dice) -> str:
    return _drawn(dice, "male", INVENTED_FIRST)


def _drawn(dice: Dice, name: str, share_invented: float) -> str:
    if dice.chance(share_invented):
        return invented(dice, name)
    return dice.choose(lists.entries(f"{name}_english" if dice.chance(ENGLISH) else name))


def last(dice: Dice) -> str:
    """A surname, at times with a particle or of two parts."""
    name = _drawn(dice, "family", INVENTED_LAST)
    roll = dice.uniform()
    if roll < 0.03:
        return dice.choose(("O'", "Mc", "Mac", "D'", "Al-", "St. ", "Fitz")) + name
    if roll < 0.07:
        return f"{dice.choose(_PARTICLES)} {name}"
    return f"{name}-{dice.choose(lists.entries('family'))}" if roll < 0.1 else name


def initial(dice: Dice) -> str:
    return dice.choose("ABCDEFGHIJKLMNOPRSTVWYZ") + dice.choose((".", ".", "."))


def full(dice: Dice) -> str:
    """First name and surname, at times with more between and behind."""
    roll = dice.uniform()
    if roll < 0.6:
        name = f"{first(dice)} {last(dice)}"
    elif roll < 0.78:
        name = f"{first(dice)} {initial(dice)} {last(dice)}"
    elif roll < 0.84:
        name = f"{first(dice)} {dice.choose('ABCDEFGHJKLMNPRSTW')} {last(dice)}"
    elif roll < 0.92:
        name = f"{first(dice)} {first(dice)} {last(dice)}"
    else:
        name = f"{first(dice)} {last(dice)} {last(dice)}"
    return f"{name}{dice.choose((' ', ', '))}{dice.choose(_SUFFIXES)}" if dice.chance(0.03) else name


def last_first(dice: Dice) -> str:
    """'Surname, First', as forms have it."""
    between = ", " if dice.chance(0.9) else ","
    tail = dice.choose(("", "", "", f" {initial(dice)}", f" {dice.choose('ABCDEFGHJKLM')}", f" {first(dice)}"))
    return f"{last(dice)}{between}{first(dice)}{tail}"


def initials(dice: Dice) -> str:
    """'J. R. Surname' in its spellings."""
    joint = dice.choose((" ", " ", ""))
    letters = [initial(dice) for _ in range(dice.choose((1, 1, 2, 2, 3)))]
    name = joint.join(letters) + " " + last(dice)
    return name.replace(".", "") if dice.chance(0.12) else name


def nick(dice: Dice) -> str:
    """How friends call somebody."""
    return dice.choose(_NICKS) if dice.chance(0.4) else first(dice)


def person(dice: Dice) -> str:
    """A name in any form."""
    roll = dice.uniform()
    if roll < 0.5:
        return full(dice)
    if roll < 0.6:
        return initials(dice)
    if roll < 0.68:
        return last_first(dice)
    return first(dice) if roll < 0.84 else last(dice)
