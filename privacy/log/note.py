# SPDX-License-Identifier: Apache-2.0
"""C2SP signed notes (https://c2sp.org/signed-note, v1.0.0) with Ed25519 signatures of type 0x01: a text, and who
signed it.

    <text, ending in a newline>
    <an empty line>
    — <key name> base64(key ID || signature)

Reading is strict: UTF-8 without control characters, canonical base64, no signature twice. Unknown signatures are
ignored, as the format asks (witnesses add theirs); a wrong signature by the known key refuses the whole note.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

from privacy.base.errors import IntegrityError, SettingsError
from privacy.log.keys import SigningKey, VerifyKey

ED25519: Final = b"\x01"
MAX_NOTE_CHARACTERS: Final = 1 << 16
MAX_SIGNATURES: Final = 100

_KEY_NAME = re.compile(r"[^\s+]+")
_KEY_ID = re.compile(r"[0-9a-f]{8}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_DASH: Final = "— "


def _bad(message: str) -> IntegrityError:
    return IntegrityError(f"a signed note {message}", reason="signature")


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode()


def decode_base64(text: str) -> bytes:
    """The bytes of canonical base64 text. Raises ValueError on any other text, also on stray trailing bits."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64") from error
    if encode_base64(data) != text:
        raise ValueError("not canonical base64")
    return data


@dataclass(frozen=True)
class NoteKey:
    """A public key and its name. `vkey()` is its one line in a file, such as log.vkey."""

    name: str
    key: VerifyKey

    def __post_init__(self) -> None:
        if _KEY_NAME.fullmatch(self.name) is None or _CONTROL.search(self.name):
            raise SettingsError("the name of a note's key has no spaces, no '+' and no control characters")

    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name || newline || 0x01 || public key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.key.raw()).digest()[:4]

    def vkey(self) -> str:
        """name+key ID+base64(0x01 || public key)."""
        return f"{self.name}+{self.key_id().hex()}+{encode_base64(ED25519 + self.key.raw())}"

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Raises SettingsError unless `vkey` is exactly what `vkey()` writes."""
        problem = SettingsError("this is no Ed25519 verifier key", next_step="copy the one line of log.vkey again")
        name, _, rest = vkey.partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            raw = decode_base64(encoded)
        except ValueError:
            raise problem from None
        if raw[:1] != ED25519 or len(raw) != 33 or _KEY_ID.fullmatch(key_id) is None:
            raise problem
        try:
            parsed = cls(name, VerifyKey(raw[1:]))
        except ValueError:
            raise problem from None
        if parsed.vkey() != vkey:
            raise problem
        return parsed


def sign_note(text: str, name: str, key: SigningKey) -> str:
    """`text` signed by `key` under `name`. Deterministic."""
    if not text.endswith("\n") or _CONTROL.search(text):
        raise ValueError("a note's text ends in a newline and has no control characters")
    signer = NoteKey(name, key.verify_key())
    signature = encode_base64(signer.key_id() + key.sign_raw(text.encode()))
    return f"{text}\n{_DASH}{name} {signature}\n"


def open_note(note: str, signer: NoteKey) -> str:
    """The text of `note`, signed by `signer`. Raises IntegrityError("signature") on any other note."""
    text, lines = _text_and_lines(note)
    own = [raw for name, key_id, raw in map(_signature, lines) if (name, key_id) == (signer.name, signer.key_id())]
    if len(own) != 1:
        raise _bad(f"must be signed once by {signer.name}")
    try:
        signer.key.verify_raw(text.encode(), own[0])
    except IntegrityError:
        raise _bad(f"has a wrong signature by {signer.name}") from None
    return text


def _text_and_lines(note: str) -> tuple[str, list[str]]:
    """The text, and the lines of signatures below it."""
    if len(note) > MAX_NOTE_CHARACTERS or _CONTROL.search(note):
        raise _bad("is too long or holds control characters")
    head, blank, tail = note.rpartition("\n\n")
    if not blank or not head or not tail.endswith("\n"):
        raise _bad("is a text, an empty line and signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise _bad(f"has more than {MAX_SIGNATURES} signatures")
    return head + "\n", lines


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space or _KEY_NAME.fullmatch(name) is None:
        raise _bad("has a malformed signature line")
    try:
        raw = decode_base64(encoded)
    except ValueError:
        raise _bad("has a malformed signature line") from None
    if len(raw) < 5:
        raise _bad("has a malformed signature line")
    return name, raw[:4], raw[4:]
