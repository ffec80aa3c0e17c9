# SPDX-License-Identifier: Apache-2.0
"""Ed25519 keys (RFC 8032): a domain before every message, so that a signature for one purpose is none for another."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Final, Self, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from privacy.base.errors import IntegrityError, SettingsError
from privacy.base.identifiers import sha256

_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
_ORDER_EIGHT: Final = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_SMALL_ORDER: Final = frozenset({0, 1, _P - 1, _ORDER_EIGHT, _P - _ORDER_EIGHT})
"""The second coordinates of all eight points of small order: with such a key, one signature holds for any message."""


@lru_cache(4096)
def _check_point(raw: bytes) -> None:
    """Raises ValueError unless `raw` is the one encoding of a point of the curve that is of no small order."""
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P  # of the other coordinate
    if y >= _P or y in _SMALL_ORDER or pow(square, (_P - 1) // 2, _P) != 1:
        raise ValueError("not an Ed25519 key that anybody made")


def _framed(domain: str, message: bytes) -> bytes:
    return domain.encode() + b"\n" + message


@final
class VerifyKey:
    """An Ed25519 public key (32 bytes).

    Raises ValueError for bytes that are no canonical point of the curve, or one of small order.
    """

    def __init__(self, raw: bytes) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(raw)
        _check_point(raw)

    @classmethod
    def from_hex(cls, text: str) -> Self:
        try:
            return cls(bytes.fromhex(text))
        except ValueError as error:
            raise SettingsError("a public key is 64 hexadecimal digits") from error

    def verify(self, domain: str, message: bytes, signature: bytes) -> None:
        """Raises IntegrityError unless this key signed `message` for `domain`."""
        self.verify_raw(_framed(domain, message), signature)

    def verify_raw(self, message: bytes, signature: bytes) -> None:
        """Without a domain, for formats that bring their own (C2SP signed notes)."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature as error:
            raise IntegrityError("a signature does not hold", reason="signature") from error

    def raw(self) -> bytes:
        return self._key.public_bytes_raw()

    def hex(self) -> str:
        return self.raw().hex()

    def fingerprint(self) -> str:
        """What two people compare by telephone: the first 16 bytes of SHA-256, in groups of four digits."""
        digits = sha256(self.raw())[:32]
        return " ".join(digits[at : at + 4] for at in range(0, 32, 4))


@final
class SigningKey:
    """An Ed25519 private key. Never printed; written only to a file of mode 0600."""

    def __init__(self, raw: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(raw)

    @classmethod
    def generate(cls) -> Self:
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises SettingsError when the file is missing, is no key, or others may read it."""
        try:
            if path.stat().st_mode & 0o077:
                raise SettingsError(
                    f"others may read the key file {path.name}", next_step="chmod 600 it, and consider a new key"
                )
            return cls(bytes.fromhex(path.read_text().strip()))
        except (OSError, ValueError) as error:
            raise SettingsError(f"the key file {path.name} is missing or is no Ed25519 key") from error

    def save(self, path: Path) -> None:
        """Write once, mode 0600, never over an existing file."""
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(self._key.private_bytes_raw().hex() + "\n")
            file.flush()
            os.fsync(file.fileno())

    def sign(self, domain: str, message: bytes) -> bytes:
        """A 64-byte signature of `message` for `domain`."""
        return self._key.sign(_framed(domain, message))

    def sign_raw(self, message: bytes) -> bytes:
        """Without a domain, for formats that bring their own (C2SP signed notes)."""
        return self._key.sign(message)

    def verify_key(self) -> VerifyKey:
        return VerifyKey(self._key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return "SigningKey(hidden)"
