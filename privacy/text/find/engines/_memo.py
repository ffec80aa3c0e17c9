# SPDX-License-Identifier: Apache-2.0
"""A bounded table of what was computed before: least recently used entries go first, and nothing of it is ever written.

Its keys are fragments of a site's text. So it lives in memory only, refuses to be pickled or copied, and holds at most
twice its capacity: entries of the older half that are asked for move to the younger one, the rest are dropped together.
"""

from __future__ import annotations

from typing import Generic, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(Generic[K, V]):
    """Values by key. Exact only for values that depend on nothing but their key."""

    __slots__ = ("_capacity", "_old", "_young")

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("a memo holds at least one entry")
        self._capacity = capacity
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value kept for `key`, or None."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: K, value: V) -> V:
        """Keep `value`, which is not None, and return it."""
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, {}
        self._young[key] = value
        return value

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a memo holds fragments of text: it is never pickled or copied")
