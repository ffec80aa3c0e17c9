# SPDX-License-Identifier: Apache-2.0
"""How a match of a regular expression can begin: its first characters, read off the parsed expression.

Everything here is a necessary condition, so that looking for matches only where it holds finds the same ones. What
characters can tell is told by symbols (`symbols`): any digit is 0, any white space is a space, letter case counts in
the first character alone, and all characters outside ASCII are one. Source: `re._parser` of Python 3.11; an expression
of which something is not known here may begin anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache, reduce
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits
from typing import Any, Final, NamedTuple

from privacy.text.reading.view import BLANK

LONGEST: Final = 4
"""Characters of a beginning."""
_MOST: Final = 600
"""Beginnings of one expression: where there would be more, shorter ones are told apart."""

_TAG, _OTHER, _INNER, WILD = "\x01", "\x02", "\x03", "\x04"
"""The blank of a tag; another character outside ASCII; a letter among those, right behind one of A-Z; the characters
that A-Z matches where letter case does not count, so that nothing is known of them."""
_LIKE_ASCII: Final = "\u0130\u0131\u017f\u212a"
_OUTSIDE: Final = re.compile(r"[^\x00-\x7f]")

_SPACES: Final = "".join(chr(code) for code in range(128) if chr(code).isspace() and code != 10)
_KNOWN: Final = (*map(chr, range(128)), BLANK)
_FIRST: Final = str.maketrans(digits + _SPACES + BLANK, "0" * len(digits) + " " * len(_SPACES) + _TAG)
_LATER: Final = _FIRST | str.maketrans(ascii_uppercase + _INNER + "\n", ascii_lowercase + _OTHER + " ")


def symbols(text: str) -> tuple[str, str]:
    """`text` in the symbols of a first character of a beginning, and in those of a later one; both as long as it."""
    if not text.isascii():
        text = _OUTSIDE.sub(_symbol, text)
    return text.translate(_FIRST), text.translate(_LATER)


def _symbol(match: re.Match[str]) -> str:
    character, at = match.group(), match.start()
    if character == BLANK:
        return _TAG
    if character in _LIKE_ASCII:
        return WILD
    return _INNER if at > 0 and character.isalnum() and match.string[at - 1] in _LETTERS else _OTHER


_EVERY: Final = frozenset(_KNOWN)
_WORD: Final = frozenset(ascii_letters + digits + "_")
_LETTERS: Final = frozenset(ascii_letters)
_DIGITS: Final = frozenset(digits)
_COUNT: Final = re.IGNORECASE | re.DOTALL | re.ASCII
"""Flags that change which characters a node matches."""
_REPEATS: Final = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)


class _Before(NamedTuple):
    """What is known of the character before a match. `edge`: it is no word character if the first one is."""

    no_letter: bool = False
    no_digit: bool = False
    edge: bool = False

    def lets_begin(self, first: str) -> bool:
        """Whether a match that begins with `first` begins a run of letters or digits, or with a sign."""
        apart = self.edge and first in _WORD
        if first in _LETTERS:
            return apart or self.no_letter
        return apart or self.no_digit if first in _DIGITS else not first.isspace() or first == "\n"

    @property
    def inner(self) -> bool:
        """Whether a match may begin with a letter outside ASCII behind one of A-Z."""
        return not (self.edge or self.no_letter)


class _Paths(NamedTuple):
    """Ways through an expression so far: those that have no character yet, those that go on, those that are over."""

    bare: frozenset[_Before] = frozenset()
    going: frozenset[str] = frozenset()
    done: frozenset[str] = frozenset()

    def with_(self, other: _Paths) -> _Paths:
        return _Paths(self.bare | other.bare, self.going | other.going, self.done | other.done)

    def __le__(self, other: object) -> bool:
        return isinstance(other, _Paths) and all(mine <= theirs for mine, theirs in zip(self, other, strict=True))


class _TooManyError(Exception):
    """More ways than are worth telling apart."""


class _AnywhereError(Exception):
    """A match may begin with a space, inside a run, or in a way that is not known here."""


def first_set(pattern: re.Pattern[str]) -> frozenset[str] | None:
    """Strings of 1 to LONGEST symbols, one of which stands where a match begins, but for matches that touch WILD there.

    A match that begins with one of A-Z begins a run of them, one that begins with a digit a run of digits, and none
    begins with white space but for a line end. None: that is not so, or not known.
    """
    return _first_set(pattern.pattern, pattern.flags)


@lru_cache(4096)
def _first_set(pattern: str, flags: int) -> frozenset[str] | None:
    parsed = _parser.parse(pattern, flags)
    if parsed.getwidth()[0] < 1:
        return None
    for longest in range(LONGEST, 0, -1):
        try:
            paths = _follow(_Paths(bare=frozenset({_Before()})), parsed, flags, longest)
        except _TooManyError:
            continue
        except _AnywhereError:
            return None
        return None if paths.bare else paths.going | paths.done
    return None


def _follow(paths: _Paths, nodes: Iterable[tuple[Any, Any]], flags: int, longest: int) -> _Paths:
    """The ways with what `nodes`, one after the other, add to them."""
    for operation, argument in nodes:
        if not paths.bare and not paths.going:
            return paths
        open_paths = _Paths(paths.bare, paths.going)
        paths = _Paths(done=paths.done).with_(_step(open_paths, operation, argument, flags, longest))
        if len(paths.going) + len(paths.done) > _MOST:
            raise _TooManyError
    return paths


def _step(paths: _Paths, operation: Any, argument: Any, flags: int, longest: int) -> _Paths:
    if operation in (_constants.LITERAL, _constants.NOT_LITERAL, _constants.IN, _constants.ANY):
        return _consume(paths, _characters(operation, argument, flags), longest)
    if operation in _REPEATS:
        least, most, nodes = argument
        return _repeat(paths, least, most, nodes, flags, longest)
    if operation is _constants.BRANCH:
        return reduce(_Paths.with_, (_follow(paths, branch, flags, longest) for branch in argument[1]))
    if operation is _constants.SUBPATTERN:
        _, more, less, nodes = argument
        return _follow(paths, nodes, (flags | more) & ~less, longest)
    if operation is _constants.ATOMIC_GROUP:
        return _follow(paths, argument, flags, longest)
    if operation in (_constants.AT, _constants.ASSERT, _constants.ASSERT_NOT):
        return paths._replace(bare=frozenset(_guarded(before, operation, argument, flags) for before in paths.bare))
    if paths.bare:
        raise _AnywhereError
    return _Paths(done=paths.going)


def _repeat(paths: _Paths, least: int, most: int, nodes: Any, flags: int, longest: int) -> _Paths:
    paths_so_far = _Paths()
    for times in range(min(int(most), least + longest) + 1):
        if times >= least:
            if paths <= paths_so_far:
                break
            paths_so_far = paths_so_far.with_(paths)
        paths = _follow(paths, nodes, flags, longest)
    return paths_so_far


def _consume(paths: _Paths, characters: _Characters, longest: int) -> _Paths:
    more = frozenset([begun + character for begun in paths.going for character in characters.later])
    if paths.bare:
        more |= _begun(paths.bare, characters)
    over = frozenset([begun for begun in more if len(begun) >= longest])
    return _Paths(going=more - over, done=over)


def _begun(bare: frozenset[_Before], characters: _Characters) -> frozenset[str]:
    """The first symbols of ways that begin with one of `characters`. Raises _AnywhereError inside a run."""
    if not all(before.lets_begin(first) for before in bare for first in characters.all):
        raise _AnywhereError
    inner = characters.other and any(before.inner for before in bare)
    return characters.first | {_INNER} if inner else characters.first


def _guarded(before: _Before, operation: Any, argument: Any, flags: int) -> _Before:
    """What is known of the character before, with what an assertion says of it."""
    if operation is _constants.AT:
        return before._replace(edge=before.edge or argument is _constants.AT_BOUNDARY)
    barred = _barred(operation, argument, flags)
    return before._replace(
        no_letter=before.no_letter or barred >= _LETTERS, no_digit=before.no_digit or barred >= _DIGITS
    )


def _barred(operation: Any, argument: Any, flags: int) -> frozenset[str]:
    """The known characters that an assertion lets not stand right before a match; none if it does not tell."""
    direction, nodes = argument
    if direction > 0 or not nodes or (operation is _constants.ASSERT_NOT and len(nodes) > 1):
        return frozenset()
    last, of_last = nodes[-1]
    if last not in (_constants.LITERAL, _constants.IN):
        return frozenset()
    named = _characters(last, of_last, flags).all
    return named if operation is _constants.ASSERT_NOT else _EVERY - named


class _Characters:
    """Known characters that a node matches, and whether it may match `other` ones; `first` and `later`: as symbols."""

    def __init__(self, matched: Iterable[str], other: bool) -> None:
        self.all, self.other = frozenset(matched), other
        more = frozenset({_OTHER}) if other else frozenset()
        self.first = frozenset(character.translate(_FIRST) for character in self.all) | more
        self.later = frozenset(character.translate(_LATER) for character in self.all) | more


_seen: dict[tuple[str, str, int], _Characters] = {}


def _characters(operation: Any, argument: Any, flags: int) -> _Characters:
    """Which of the known characters one node matches, found by trying each: there are few different nodes."""
    key = str(operation), repr(argument), flags & _COUNT
    if key not in _seen:
        _seen[key] = _Characters(_tried(operation, argument, flags), _may_be_other(operation, argument))
    return _seen[key]


def _tried(operation: Any, argument: Any, flags: int) -> Iterable[str]:
    if operation is _constants.LITERAL and argument < 128:
        character = chr(argument)
        return {character.lower(), character.upper()} if flags & re.IGNORECASE else {character}
    state = _parser.State()
    state.flags, state.str = flags, ""
    expression: re.Pattern[str] = _compiler.compile(_parser.SubPattern(state, [(operation, argument)]), flags)
    return [character for character in _KNOWN if expression.match(character)]


def _may_be_other(operation: Any, argument: Any) -> bool:
    """Whether a node may match a character outside ASCII that is neither BLANK nor like one of A-Z."""
    if operation is _constants.LITERAL:
        return bool(argument >= 128)
    if operation is not _constants.IN:
        return True
    return any(
        item >= 128 if kind is _constants.LITERAL else item[1] >= 128 if kind is _constants.RANGE else True
        for kind, item in argument
    )
