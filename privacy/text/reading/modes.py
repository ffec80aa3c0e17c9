# SPDX-License-Identifier: Apache-2.0
"""Which mode replaces which type of finding: the `[text.replacement]` table of a site's TOML.

Rules: a direct identifier is never kept; a type has only the modes that make sense for it; what a mode cannot do with
one finding becomes a tag, never the original; an unknown type or mode is refused with the nearest known one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from privacy.base.canonical import digest_of
from privacy.base.identifiers import Digest
from privacy.text.reading.records import ENTITY_TYPES, FLAG_TYPES

Mode = Literal["tag", "surrogate", "shift", "generalize", "keep"]
MODES: tuple[str, ...] = get_args(Mode)

VERSION = 1
"""Raised when the same settings and key would write another text."""

_NO_SURROGATE = frozenset({"AGE", "DATE_TIME", "DEMOGRAPHIC", "MONEY", "SITE_TERM"})
_SPECIAL: dict[str, tuple[Mode, ...]] = {
    "AGE": ("tag", "generalize", "keep"),
    "DATE_TIME": ("tag", "shift", "generalize"),
    "DEMOGRAPHIC": ("tag", "keep"),
    "LOCATION": ("tag", "surrogate", "generalize"),
    "MONEY": ("tag", "keep"),
    "SITE_TERM": ("tag",),
}
_INSTEAD: dict[str, Mode] = {"AGE": "generalize", "DATE_TIME": "shift"}
"""What `default = "surrogate"` means for a type that has no surrogate; for the others of them, a tag."""


def modes_of(entity_type: str) -> tuple[Mode, ...]:
    """The modes that a type may have; none for a type that only flags a document."""
    if entity_type in FLAG_TYPES:
        return ()
    return _SPECIAL.get(entity_type, ("tag", "surrogate"))


class ReplacementSettings(BaseModel):
    """The `[text.replacement]` table. Where only a word stands (`replacement = "tag"`), it is the default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    default: Literal["tag", "surrogate"] = Field(
        default="tag",
        description="What stands where a finding stood: 'tag' writes its type, such as <PERSON>; 'surrogate' an "
        "invented value under the site's key (dates are shifted then, ages generalized, site terms tagged).",
    )
    by_type: dict[str, str] = Field(
        default_factory=dict,
        description="Another mode for a type, such as DATE_TIME = 'shift', AGE = 'generalize', MONEY = 'keep': tag, "
        "surrogate, shift (dates), generalize (AGE, DATE_TIME, LOCATION), keep (AGE below 90, DEMOGRAPHIC, MONEY).",
    )

    @field_validator("by_type", mode="after")
    @classmethod
    def _known(cls, by_type: dict[str, str]) -> dict[str, str]:
        mistakes = [mistake for kind, mode in by_type.items() for mistake in _mistakes(kind, mode)]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return by_type

    def mode_of(self, entity_type: str) -> Mode:
        """How findings of this type are replaced."""
        chosen = self.by_type.get(entity_type)
        if chosen is not None:
            return next(mode for mode in modes_of(entity_type) if mode == chosen)
        if self.default == "surrogate" and "surrogate" not in modes_of(entity_type):
            return _INSTEAD.get(entity_type, "tag")
        return self.default

    @property
    def keyed(self) -> bool:
        """Whether any type needs the site's key."""
        return self.default == "surrogate" or not {"surrogate", "shift"}.isdisjoint(self.by_type.values())

    @property
    def digest(self) -> Digest:
        """Changes with anything of these settings, and with the meaning of the modes."""
        return digest_of(
            {"version": VERSION, "default": self.default, "by_type": sorted(map(list, self.by_type.items()))}
        )


def from_word(value: Any) -> Any:
    """`replacement = "tag"`, as older files have it, is a table with that default."""
    return {"default": value} if isinstance(value, str) else value


def _mistakes(entity_type: str, mode: str) -> Iterable[str]:
    known = ENTITY_TYPES - FLAG_TYPES
    if entity_type not in known:
        yield f"{entity_type} is no type of finding; the nearest one is {_nearest(entity_type.upper(), known)}"
    elif mode not in MODES:
        yield f"{entity_type} has an unknown mode; the nearest one is '{_nearest(mode.lower(), MODES)}'"
    elif mode == "keep" and "keep" not in modes_of(entity_type):
        keepable = [kind for kind in sorted(known) if "keep" in modes_of(kind)]
        yield f"{entity_type} is never kept; only {', '.join(keepable)} may be"
    elif mode not in modes_of(entity_type):
        yield f"{entity_type} cannot be replaced by '{mode}'; choose one of: {', '.join(modes_of(entity_type))}"


def _nearest(word: str, known: Iterable[str]) -> str:
    return difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.0)[0]
