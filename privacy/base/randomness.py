# SPDX-License-Identifier: Apache-2.0
"""PublicSeed and SecretSeed: two types that cannot be mixed.

A PublicSeed may be logged; it drives cohort, initialization and evaluation order. A SecretSeed never leaves a site and
alone drives noise, sampling of examples, shuffling and training dropout: publishing any of these breaks the advertised
epsilon.
Derivation is HKDF-SHA256 (RFC 5869) with a purpose as info, so that no two purposes share a stream. What a secret is
for stands in one list, `Purpose`: a stream that two uses share is found by reading it (ADR 39).
"""

from __future__ import annotations

import secrets
from typing import Final, Literal, NoReturn, Self, final

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from privacy.base.canonical import digest_of
from privacy.base.identifiers import Digest

SEED_BYTES: Final = 32

Purpose = Literal[
    # from a site's key
    "split",  # which unit is in train, dev and test
    "units",  # the table of where each unit is
    "span-cache",
    "surrogates",
    "dev-note",
    "review-sample",  # of a number of the draw
    "review-rows",
    "anonymization-salt",  # of a run
    "attempt-records",
    "simulated-nonce",  # of a plan's digest and an attempt
    "self-check",  # of a run and its opening
    "mechanism-check",  # of a run and its opening
    # from a mechanism check's own secret
    "noise-test",
    "sampling-test",
    "site",  # of a number: the key of a site that does not exist
    # from an attempt's secret
    "noise",
    "poisson",
    "dropout",
    "counts",
    # inside one of these: what drives a cipher (privacy.dp.keystream)
    "gaussian",
    "membership",
    "choice",
    "rows",
]
"""What a secret stream is for. Released: another word is another stream, and an old round would not replay."""


def _hkdf(key: bytes, salt: bytes, info: str) -> bytes:
    return HKDF(hashes.SHA256(), SEED_BYTES, salt, info.encode()).derive(key)


def _sized(value: bytes) -> bytes:
    if len(value) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes")
    return bytes(value)


@final
class PublicSeed:
    """32 bytes that anybody may know."""

    __slots__ = ("value",)

    def __init__(self, value: bytes) -> None:
        self.value: Final = _sized(value)

    @classmethod
    def from_hex(cls, text: str) -> Self:
        return cls(bytes.fromhex(text))

    @classmethod
    def from_integer(cls, number: int) -> Self:
        """The public seed that a small number in a settings file stands for."""
        return cls(_hkdf(number.to_bytes(16, "big"), b"collab/public-seed/v1", "integer"))

    @classmethod
    def fresh(cls) -> Self:
        return cls(secrets.token_bytes(SEED_BYTES))

    def hex(self) -> str:
        return self.value.hex()

    def derive(self, purpose: str) -> PublicSeed:
        """Another public seed, independent of this one and of every other purpose."""
        return PublicSeed(_hkdf(self.value, b"collab/public/v1", purpose))

    def numpy_generator(self) -> np.random.Generator:
        """A numpy Philox generator: the same numbers on every machine with the same numpy."""
        return np.random.Generator(np.random.Philox(key=int.from_bytes(self.value[:16], "big")))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicSeed) and other.value == self.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"PublicSeed({self.hex()})"


@final
class SecretSeed:
    """32 bytes that never leave a site: not printed, not pickled, not compared, not encoded."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value: Final = _sized(value)

    @classmethod
    def for_attempt(cls, site_key: SecretSeed, nonce: bytes, plan_digest: Digest) -> SecretSeed:
        """The root of one attempt's secret streams: the site's key, a fresh 32-byte nonce, and the plan it answers."""
        return cls(_hkdf(site_key._value, _sized(nonce), f"collab/attempt/v1|{plan_digest}"))

    def derive(self, purpose: Purpose, of: str = "") -> SecretSeed:
        """The secret stream of one purpose; with `of`, that of one run, draw or plan among those that share it.

        No purpose has a "/" in it, so that no two of these are one.
        """
        return SecretSeed(_hkdf(self._value, b"collab/secret/v1", f"{purpose}/{of}" if of else purpose))

    def commit(self, context: str) -> Digest:
        """What may be logged: a hash that binds this seed to `context`. 256 secret bits hide without a salt."""
        committed = _hkdf(self._value, b"collab/seed-commitment/v1", context)
        return digest_of({"commitment": committed.hex()})

    def expose(self, reader: str) -> bytes:
        """The bytes, for a cipher inside this site. `reader` names who asks, so that a search finds every use."""
        if not reader:
            raise ValueError("say who reads the secret")
        return self._value

    def __repr__(self) -> str:
        return "SecretSeed(hidden)"

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("secret seeds are not compared; compare commitments")

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret seed is never pickled")
