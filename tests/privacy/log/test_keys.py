# SPDX-License-Identifier: Apache-2.0
"""A signature holds for one key, one message and one domain; a private key is its owner's alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.base.errors import IntegrityError, SettingsError
from privacy.log.keys import SigningKey, VerifyKey

KEY = SigningKey(b"\x05" * 32)


@given(st.binary(max_size=40), st.binary(max_size=40), st.sampled_from(["a/v1", "b/v1"]))
def test_a_signature_holds_for_its_message_and_domain_alone(message: bytes, other: bytes, domain: str) -> None:
    signature = KEY.sign("a/v1", message)
    assert signature == KEY.sign("a/v1", message)
    if (other, domain) == (message, "a/v1"):
        KEY.verify_key().verify(domain, other, signature)
    else:
        with pytest.raises(IntegrityError) as refused:
            KEY.verify_key().verify(domain, other, signature)
        assert refused.value.reason == "signature"


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65), b"\xff" * 64])
def test_what_is_no_signature_is_refused_not_crashed_on(signature: bytes) -> None:
    with pytest.raises(IntegrityError):
        KEY.verify_key().verify("a/v1", b"message", signature)


def test_a_domain_ends_where_the_message_begins() -> None:
    with pytest.raises(IntegrityError):
        KEY.verify_key().verify("a", b"\nb", KEY.sign("a\n", b"b")[:-1] + b"\x00")
    assert KEY.sign("a", b"b") != KEY.sign("ab", b"")


def test_a_key_file_is_written_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    KEY.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.load(path).verify_key().hex() == KEY.verify_key().hex()
    with pytest.raises(FileExistsError):
        SigningKey.generate().save(path)
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="others may read"):
        SigningKey.load(path)


@pytest.mark.parametrize("content", ["", "00", "zz" * 32, "00" * 33])
def test_a_damaged_key_file_is_named_and_not_shown(tmp_path: Path, content: str) -> None:
    path = tmp_path / "signing.key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(SettingsError, match=r"signing\.key") as refused:
        SigningKey.load(path)
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize("text", ["", "00", "zz" * 32])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        VerifyKey.from_hex(text)


def test_a_private_key_is_not_shown_and_a_fingerprint_is_for_the_telephone() -> None:
    assert repr(KEY) == f"{KEY}" == "SigningKey(hidden)"
    groups = KEY.verify_key().fingerprint().split(" ")
    assert [len(group) for group in groups] == [4] * 8
