# SPDX-License-Identifier: Apache-2.0
"""Signed notes as C2SP and Go read them, and every malformed one refused."""

from __future__ import annotations

import base64

import pytest

from privacy.base.errors import IntegrityError, SettingsError
from privacy.log.keys import SigningKey
from privacy.log.note import NoteKey, open_note, sign_note

C2SP_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SECRET = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
OTHER_SIGNATURE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)
KEY = SigningKey(b"\x07" * 32)
NAME = "collab/test"
SIGNER = NoteKey(NAME, KEY.verify_key())


def test_the_example_of_the_specification_opens() -> None:
    assert open_note(C2SP_NOTE, NoteKey.parse(C2SP_KEY)) == "This is an example message.\n"


def test_our_signature_is_byte_for_byte_that_of_go() -> None:
    assert sign_note(GO_TEXT, "PeterNeumann", SigningKey(GO_SECRET)) == f"{GO_TEXT}\n{GO_SIGNATURE}"
    assert NoteKey("PeterNeumann", SigningKey(GO_SECRET).verify_key()).vkey() == GO_KEY


def test_signatures_of_unknown_keys_are_ignored() -> None:
    for signatures in (GO_SIGNATURE + OTHER_SIGNATURE, OTHER_SIGNATURE + GO_SIGNATURE):
        assert open_note(f"{GO_TEXT}\n{signatures}", NoteKey.parse(GO_KEY)) == GO_TEXT


def test_a_verifier_key_has_one_spelling() -> None:
    assert NoteKey.parse(GO_KEY).vkey() == GO_KEY
    for start in range(len(GO_KEY)):
        mangled = GO_KEY[:start] + chr(ord(GO_KEY[start]) + 1) + GO_KEY[start + 1 :]
        for wrong in (mangled, GO_KEY[:start], GO_KEY[start + 1 :]):
            with pytest.raises(SettingsError):
                NoteKey.parse(wrong)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb", "a\x01b"])
def test_a_key_name_without_meaning_is_refused(name: str) -> None:
    with pytest.raises(SettingsError):
        NoteKey(name, KEY.verify_key())


GOOD = sign_note("text\nmore\n", NAME, KEY)
SIGNATURE = GOOD.split("\n\n")[1]
BLOB = SIGNATURE.split(" ")[2].strip()
MALFORMED = {
    "nothing": "",
    "no signature": "text\nmore\n\n",
    "no blank line": GOOD.replace("\n\n", "\n"),
    "no final newline": GOOD[:-1],
    "another text": GOOD.replace("more", "less"),
    "a longer text": "first\n" + GOOD,
    "trailing line": GOOD + "\n",
    "carriage returns": GOOD.replace("\n", "\r\n"),
    "a tab": GOOD.replace("text", "te\txt"),
    "a null": GOOD.replace("text", "te\x00xt"),
    "a hyphen for the dash": GOOD.replace("—", "-"),
    "two spaces": GOOD.replace(f"{NAME} ", f"{NAME}  "),
    "another name": GOOD.replace(NAME, "collab/tesu"),
    "signed twice": GOOD + SIGNATURE,
    "base64 without padding": GOOD.replace(BLOB, BLOB.rstrip("=")),
    "base64 with a stray bit": GOOD.replace(BLOB, BLOB[:-2] + chr(ord(BLOB[-2]) + 1) + "="),
    "a short signature": GOOD.replace(BLOB, base64.b64encode(base64.b64decode(BLOB)[:-1]).decode()),
    "an empty signature": GOOD.replace(BLOB, base64.b64encode(base64.b64decode(BLOB)[:4]).decode()),
    "a key of the same name": sign_note("text\nmore\n", NAME, SigningKey(b"\x08" * 32)),
    "a junk line beside": GOOD + "junk\n",
    "too long": sign_note("x" * 70_000 + "\n", NAME, KEY),
    "too many signatures": GOOD + OTHER_SIGNATURE * 100,
}


@pytest.mark.parametrize("fault", list(MALFORMED))
def test_a_malformed_note_is_refused(fault: str) -> None:
    assert open_note(GOOD, SIGNER) == "text\nmore\n"
    with pytest.raises(IntegrityError) as refused:
        open_note(MALFORMED[fault], SIGNER)
    assert refused.value.reason == "signature"


def test_every_flipped_bit_of_a_note_is_refused() -> None:
    raw = GOOD.encode()
    for position in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[position // 8] ^= 1 << position % 8
        try:
            note = flipped.decode()
        except UnicodeDecodeError:
            continue
        with pytest.raises(IntegrityError):
            open_note(note, SIGNER)


def test_a_text_that_could_not_be_read_back_is_not_signed() -> None:
    for text in ("no newline", "", "tab\t\n"):
        with pytest.raises(ValueError, match="newline"):
            sign_note(text, NAME, KEY)
