# SPDX-License-Identifier: Apache-2.0
"""Patterns and recognizers that a site writes for its own numbers: cheap to match on any text, or refused at once.

A pattern is checked on its parsed form, by a list of what is allowed: what is not on it is refused, whatever it means.
Rules: no repetition without a bound, no repeated group, no look-around, no back-reference, no flag; at least three
characters match; the number of ways to match at one place is bounded, so that the cost on any text is too.
"""

from __future__ import annotations

import difflib
import re
import re._parser as parser  # type: ignore[import-not-found]  # typeshed leaves it out
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from privacy.text.reading.records import ENTITY_TYPES

_MAX_WAYS = 2_000
_MAX_REPEAT = 64
_MIN_WIDTH = 3
_ONE_CHARACTER = frozenset({"LITERAL", "NOT_LITERAL", "IN", "ANY"})
_REFUSED = {
    "ASSERT": "look-around is refused",
    "ASSERT_NOT": "look-around is refused",
    "GROUPREF": "a back-reference is refused",
    "GROUPREF_EXISTS": "a conditional group is refused",
}


def _check_site_pattern(pattern: str) -> str:
    """`pattern`, if its cost on any text is bounded. Allowed: literals, classes, `.`, anchors, alternation, groups
    without flags or names, and `?`, `{n}`, `{m,n}` after one character or class.
    """
    try:
        compiled = re.compile(pattern)
        tree: Any = parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError("not a valid regular expression") from error
    if compiled.groupindex or compiled.flags != re.UNICODE:
        raise ValueError("flags and named groups are refused")
    if _ways(tree) > _MAX_WAYS:
        raise ValueError("too many variable repetitions and alternatives: the pattern could be slow on some texts")
    if tree.getwidth()[0] < _MIN_WIDTH:
        raise ValueError("the pattern must not match fewer than three characters")
    return pattern


def _ways(tree: Sequence[Any]) -> int:
    """In how many ways the parsed pattern can match at one place, at most. Raises ValueError for what is refused."""
    ways = 1
    for operation, argument in tree:
        ways *= _ways_of(str(operation), argument)
    return ways


def _ways_of(operation: str, argument: Any) -> int:
    if operation in _ONE_CHARACTER or operation == "AT":
        return 1
    if operation == "BRANCH":
        return sum(_ways(branch) for branch in argument[1])
    if operation == "SUBPATTERN" and not argument[1] and not argument[2]:
        return _ways(argument[3])
    if operation in ("MAX_REPEAT", "MIN_REPEAT"):
        return _ways_of_repeat(*argument)
    raise ValueError(_REFUSED.get(operation, "flags, atomic groups and possessive repetition are refused"))


def _ways_of_repeat(low: int, high: int, body: Sequence[Any]) -> int:
    if high > _MAX_REPEAT:
        raise ValueError(f"unbounded repetition is refused: write {{m,n}}, with n at most {_MAX_REPEAT}")
    if len(body) != 1 or str(body[0][0]) not in _ONE_CHARACTER:
        raise ValueError("a repeated group is refused: repeat a character or a class")
    return int(high) - int(low) + 1


SitePattern = Annotated[str, Field(min_length=3, max_length=200), AfterValidator(_check_site_pattern)]
"""A regular expression of a site's own number format, cheap to match on any text."""


def _check_entity_type(name: str) -> str:
    if name in ENTITY_TYPES:
        return name
    near = difflib.get_close_matches(name.upper(), sorted(ENTITY_TYPES), n=3, cutoff=0.0)
    raise ValueError(f"there is no such entity type; the nearest ones are {', '.join(near)}")


class SiteRecognizer(BaseModel):
    """One `[[text.recognizers]]` table of a site's TOML: what else is an identifier there, and how it looks."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,31}$",
        description="name of the recognizer in the site's own reports, of a-z, 0-9 and _ (1 to 32 characters)",
    )
    entity_type: Annotated[str, Field(max_length=64), AfterValidator(_check_entity_type)] = Field(
        description="type of what it finds, as its tag says: one of the types in privacy/text/reading/records.py"
    )
    patterns: tuple[SitePattern, ...] = Field(
        min_length=1,
        max_length=16,
        repr=False,
        description="regular expressions, 1 to 16 of 3 to 200 characters, letter case counts; bounded repetition only; "
        "what they match must not touch further letters or digits",
    )
    context: tuple[Annotated[str, Field(min_length=2, max_length=50)], ...] = Field(
        default=(),
        max_length=32,
        repr=False,
        description="words of which one must stand in the 60 characters before a match, in any letter case "
        "(0 to 32 of 2 to 50 characters); none: a match alone counts",
    )
    score: float = Field(
        default=0.9, ge=0.5, le=1.0, description="score of its findings (no unit, 0.5 to 1): the highest names a tag"
    )
