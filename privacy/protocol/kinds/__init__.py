# SPDX-License-Identifier: Apache-2.0
"""The kinds of log entries: one file each, with the body, its law, what follows from it and what people read of it."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeGuard

from privacy.base import parts
from privacy.base.errors import SettingsError
from privacy.protocol.body import EntryBody


def names() -> list[str]:
    """All kinds, sorted."""
    return parts.names(__name__)


@lru_cache
def body_of(kind: str) -> type[EntryBody]:
    """The model of a kind's body. Raises ValueError for a kind that this code does not know: it is never skipped."""
    try:
        module = parts.load(__name__, kind)
    except SettingsError:
        raise ValueError("an entry of a kind that this version does not know") from None
    (body,) = [each for each in vars(module).values() if _is_body(each) and each.__module__ == module.__name__]
    return body


def _is_body(value: object) -> TypeGuard[type[EntryBody]]:
    return isinstance(value, type) and issubclass(value, EntryBody)
