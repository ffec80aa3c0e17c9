# SPDX-License-Identifier: Apache-2.0
"""Choices that only the site's key can repeat: HMAC-SHA256 as a pseudo-random function over the privacy unit.

Rules: the key of a unit comes from the site's key and the unit's id, so that no unit's choices depend on another's; a
value gives the same choice each time within its unit; nothing is stored. Without the key neither the choice nor the
value behind it can be computed.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Literal

KEY_BYTES = 32


def _framed(*parts: str) -> bytes:
    """The parts with their lengths: ("ab", "c") is not ("a", "bc")."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(8, "big") + part for part in encoded)


class Choices:
    """An endless keyed sequence of choices."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._drawn = 0

    def below(self, bound: int) -> int:
        """The next number in 0 .. bound - 1, uniform up to 2^-200."""
        drawn = hmac.digest(self._seed, self._drawn.to_bytes(8, "big"), "sha256")
        self._drawn += 1
        return int.from_bytes(drawn, "big") % bound


@dataclass(frozen=True, repr=False)
class UnitKey:
    """The key of one privacy unit's surrogates."""

    value: bytes

    def choices(self, entity_type: str, value: str) -> Choices:
        """What `value`, in its normal form, is replaced by is chosen here: each time the same sequence."""
        return Choices(hmac.digest(self.value, _framed(entity_type, value), "sha256"))


@dataclass(frozen=True, repr=False)
class SurrogateKey:
    """`key` is 32 bytes from the site's SecretSeed; `unit` says within what surrogates are consistent.

    Raises ValueError for a key of another length.
    """

    key: bytes = field(repr=False)
    unit: Literal["record", "patient"]

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise ValueError("a surrogate key is 32 bytes")

    def of_patient(self, patient_id: str) -> UnitKey:
        """The key for all rows of one patient."""
        return self._of("patient", patient_id)

    def of_record(self, record_id: str) -> UnitKey:
        """The key for one row."""
        return self._of("record", record_id)

    def _of(self, kind: str, unit_id: str) -> UnitKey:
        message = b"collab surrogates v1\n" + _framed(kind, unit_id)
        return UnitKey(hmac.digest(self.key, message, "sha256"))
