# SPDX-License-Identifier: Apache-2.0
"""Surrogates of persons: each part of a name has one other name within its privacy unit, whatever stands around it.

So "Maria Lopez", "Ms Lopez", "LOPEZ" and "M. Lopez" of one patient become parts of one invented name. Kept are letter
case, number of parts, initials, hyphens, possessives, titles, lower-case particles ("van der") and whether a first name
is a woman's or a man's. A surrogate is none of the names found in the unit, two names never share one, and where the
lists allow it the first three letters differ. A finding with no part to replace, or with other characters, gets a tag.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Literal

from privacy.text import lists
from privacy.text.lists import plain
from privacy.text.reading.tokens import PARTICLES
from privacy.text.replace.surrogates.keyed import UnitKey

NamePart = Literal["female", "male", "given", "family"]

TITLES = frozenset(("dr", "mr", "mrs", "ms", "miss", "mx", "prof", "professor", "doctor", "sir", "madam"))
AFTER_NAME = frozenset(
    ("md", "rn", "phd", "np", "dds", "lpn", "mph", "facs", "crna", "jr", "sr", "ii", "iii", "iv", "esq")
)
_PART = re.compile(r"[^\W\d_]+")
_WORD = re.compile(r"[^\s,]+")
_LAST_FIRST = re.compile(r"\s*[^\s,]+,\s*[^\W\d_]")
_BETWEEN = frozenset(" \t\r\n.,'-()/&\"")

_Part = tuple[re.Match[str], Literal["name", "kept"]]
"""A word of a finding, and whether it is replaced."""


class NameSurrogates:
    """The names of one privacy unit. `texts` are the words of every PERSON finding in it (folded by `view`)."""

    def __init__(self, key: UnitKey, texts: Iterable[str]) -> None:
        self._surrogates = _assigned(key, _votes(sorted(set(texts))))

    def write(self, text: str) -> str | None:
        """The surrogate of a name, in its shape; None if no part of it can be replaced."""
        parts = _parts(text)
        if parts is None or not any(kind == "name" for _, kind in parts):
            return None
        pieces: list[str] = []
        position = 0
        for match, kind in parts:
            word = match.group()
            if kind == "name":
                surrogate = self.of(word)
                if surrogate is None:
                    return None
                word = surrogate
            pieces += (text[position : match.start()], word)
            position = match.end()
        return "".join([*pieces, text[position:]])

    def of(self, word: str) -> str | None:
        """The surrogate of one part of a name in the letter case of `word`; None if the unit has no such name."""
        surrogate = self._surrogates.get(plain(word))
        if surrogate is None:
            return None
        if word.isupper() and len(word) > 1:
            return surrogate.upper()
        return surrogate.lower() if word.islower() else surrogate


def _parts(text: str) -> list[_Part] | None:
    """The words of a finding and whether each is replaced; None if there is more than words of Latin letters."""
    matches = list(_PART.finditer(text))
    gaps = _PART.sub("", text)
    if not (_BETWEEN.issuperset(gaps) and all(map(_is_latin, matches))):
        return None
    parts: list[_Part] = []
    for index, match in enumerate(matches):
        follows = index + 1 < len(matches)
        parts.append((match, "kept" if _is_kept(text, match, first=index == 0, follows=follows) else "name"))
    return parts


def _is_latin(part: re.Match[str]) -> bool:
    return part.group().isascii() or all("LATIN" in unicodedata.name(letter, "") for letter in part.group())


def _is_kept(text: str, match: re.Match[str], *, first: bool, follows: bool) -> bool:
    word, lower = match.group(), match.group().lower()
    if len(word) == 1:
        return True  # an initial, or the s of a possessive
    if word in PARTICLES:
        return any(part.group()[0].isupper() for part in _PART.finditer(text, match.end()))
    if first:
        return lower in TITLES or (follows and _are_initials(word, text))
    return lower in AFTER_NAME and not word.islower()


def _are_initials(word: str, text: str) -> bool:
    """Initials without points: "JK Lopez"."""
    return len(word) == 2 and word.isupper() and not text.isupper()


# Who is who ----------------------------------------------------------------------------------------------------------


def _votes(texts: Iterable[str]) -> dict[str, int]:
    """Each part of a name in the unit: above 0 it stood as a family name, below as a first name, 0 unknown."""
    votes: Counter[str] = Counter()
    for text in texts:
        for word, vote in _positions(text):
            votes[plain(word)] += vote
    return dict(votes)


def _positions(text: str) -> Iterator[tuple[str, int]]:
    """Each part of a name in `text` and its vote: 1 if it stands as a family name, -1 as a first name, 0 unknown."""
    parts = _parts(text) or []
    words = _words(text, parts)
    if len(words) < 2:
        votes = [int(_announces_family(parts))] * len(words)
    elif _LAST_FIRST.match(text):
        votes = [1, -1, *[0] * (len(words) - 2)]
    else:
        votes = [-1, *[0] * (len(words) - 2), 1]
    for word, vote in zip(words, votes, strict=True):
        yield from ((name, vote) for name in word)


def _words(text: str, parts: list[_Part]) -> list[list[str]]:
    """The parts to replace, together where no white space and no comma parts them: "Lopez-Diaz" is one word."""
    names = {match.start(): match.group() for match, kind in parts if kind == "name"}
    words = (
        [name for start, name in names.items() if word.start() <= start < word.end()] for word in _WORD.finditer(text)
    )
    return [word for word in words if word]


def _announces_family(parts: list[_Part]) -> bool:
    """Whether a name of one word is a family name: behind a title, or beside an initial."""
    words = [match.group() for match, _ in parts]
    titled = bool(words) and words[0].lower() in TITLES
    return titled or any(len(word) == 1 and word.isupper() for word in words)


def _role(word: str, votes: int) -> NamePart:
    female, male = word in _plain_words("female"), word in _plain_words("male")
    if votes > 0 or (votes == 0 and not (female or male)):
        return "family"
    return "given" if female == male else "female" if female else "male"


# What they become ----------------------------------------------------------------------------------------------------


def _assigned(key: UnitKey, votes: Mapping[str, int]) -> dict[str, str]:
    """A surrogate for each part, none of them a name of the unit and no two the same."""
    taken, chosen = set(votes), {}
    for word in sorted(votes):
        surrogate = _chosen(key, word, _role(word, votes[word]), taken)
        if surrogate is not None:
            chosen[word] = surrogate
            taken.add(plain(surrogate))
    return chosen


def _chosen(key: UnitKey, word: str, role: NamePart, taken: set[str]) -> str | None:
    initial = word[:1]
    for pool, like in ((_pool(role, initial), False), (_pool("family", initial), False), (_pool(role, initial), True)):
        free = _first_free(key, word, pool, taken, like=like)
        if free is not None:
            return free
    return _first_free(key, word, _everybody(role), taken, like=True)


def _first_free(key: UnitKey, word: str, pool: tuple[str, ...], taken: set[str], *, like: bool) -> str | None:
    """The keyed choice of `pool`, or the first one after it that is free; `like`: even if it begins as `word` does."""
    if not pool:
        return None
    start = key.choices("PERSON", word).below(len(pool))
    for candidate in (*pool[start:], *pool[:start]):
        normal = plain(candidate)
        if normal not in taken and (like or normal[:3] != word[:3]):
            return candidate
    return None


@cache
def _plain_words(name: str) -> frozenset[str]:
    return frozenset(plain(entry) for entry in lists.entries(name))


@cache
def _everybody(role: NamePart) -> tuple[str, ...]:
    """Names of a role that are one word of three letters or more, without accents, and no ordinary word; sorted."""
    if role == "given":
        known = _plain_words("female") | _plain_words("male")
        names: Iterable[str] = (name.capitalize() for name in lists.words("first_names") - known)
    else:
        names = lists.entries(role)
    barred = lists.no_name() | lists.words("eponyms") | PARTICLES | TITLES | AFTER_NAME
    return tuple(sorted(name for name in names if len(name) > 2 and _is_simple(name) and plain(name) not in barred))


def _is_simple(name: str) -> bool:
    return name.isascii() and name.isalpha() and name.istitle()


@cache
def _by_initial(role: NamePart) -> dict[str, tuple[str, ...]]:
    by_initial: defaultdict[str, list[str]] = defaultdict(list)
    for name in _everybody(role):
        by_initial[_base(plain(name)[:1])].append(name)
    return {initial: tuple(names) for initial, names in by_initial.items()}


def _pool(role: NamePart, initial: str) -> tuple[str, ...]:
    return _by_initial(role).get(_base(initial), ())


def _base(letter: str) -> str:
    return unicodedata.normalize("NFD", letter)[:1].lower()
