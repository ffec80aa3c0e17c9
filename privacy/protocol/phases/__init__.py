# SPDX-License-Identifier: Apache-2.0
"""The phases in which sites are asked: one file each, found by its name, with all that a phase is.

What its replies are called and hold, as which type of message Flower carries them, and which entry records one. Who
sends, answers, judges or logs a reply takes it from here: `PHASE` in privacy/protocol/phases/<phase>.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel

from privacy.base import parts
from privacy.base.errors import SettingsError
from privacy.base.identifiers import SiteId

if TYPE_CHECKING:
    from privacy.protocol.body import EntryBody
    from privacy.protocol.messages import Envelope

BESIDE_REPLIES: Final = frozenset({"delivery", "refusal"})
"""Kinds of messages that are of every phase: what a coordinator sends, and a site's no."""


@dataclass(frozen=True)
class PhaseDefinition:
    """One phase. `reply` is the kind of message that answers in it, `record` makes the entry of an accepted reply."""

    reply: str
    body: type[BaseModel]
    message_type: Literal["query", "train", "evaluate"]
    record: Callable[[SiteId, Envelope, Any], EntryBody]


@lru_cache
def names() -> tuple[str, ...]:
    """All phases, sorted."""
    return tuple(parts.names(__name__))


@lru_cache
def definition_of(phase: str) -> PhaseDefinition:
    """The definition of `phase`. Raises ValueError for one that this code does not know."""
    try:
        definition: PhaseDefinition = parts.load(__name__, phase).PHASE
    except SettingsError:
        raise ValueError("a phase that this version does not know") from None
    return definition


def known_phase(phase: str) -> str:
    """`phase`. Raises ValueError when there is no such one."""
    definition_of(phase)
    return phase


def known_kind(kind: str) -> str:
    """`kind` of a message. Raises ValueError when no phase has such replies."""
    if kind not in BESIDE_REPLIES and all(definition_of(phase).reply != kind for phase in names()):
        raise ValueError("a kind of message that this version does not know")
    return kind
