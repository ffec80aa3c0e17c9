# SPDX-License-Identifier: Apache-2.0
"""Names are safe as a file name, a log entry and a message; a digest has one form."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from privacy.base.identifiers import Digest, HexBytes, RunId, SiteId, sha256, sha256_file

SITE, RUN, DIGEST, HEX = (TypeAdapter(kind) for kind in (SiteId, RunId, Digest, HexBytes))


@pytest.mark.parametrize(
    "name", ["", "A", "1a", "_a", "a-b", "a.b", "a/b", "..", "a\n", "a b", "a" * 33, "é", "a\x00", 5, None, b"a"]
)
def test_what_is_no_site_name_is_refused(name: object) -> None:
    with pytest.raises(ValidationError):
        SITE.validate_python(name)


@pytest.mark.parametrize("name", ["", "-a", "_a", "A", "a/b", "../a", "a.b", "a\n", "a" * 65, 5])
def test_what_is_no_run_name_is_refused(name: object) -> None:
    with pytest.raises(ValidationError):
        RUN.validate_python(name)


@given(st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True))
def test_a_site_name_is_a_file_name_of_its_own(name: str) -> None:
    assert SITE.validate_python(name) == name == RUN.validate_python(name)
    assert Path(name).name == name


@pytest.mark.parametrize("text", ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n"])
def test_a_digest_has_one_form(text: str) -> None:
    with pytest.raises(ValidationError):
        DIGEST.validate_python(text)


@pytest.mark.parametrize("text", ["a", "A0", "0x", "00\n", " 00"])
def test_bytes_have_one_hexadecimal_form(text: str) -> None:
    assert HEX.validate_python("") == ""
    with pytest.raises(ValidationError):
        HEX.validate_python(text)


@given(st.binary(max_size=100))
def test_a_file_has_the_digest_of_its_bytes(data: bytes) -> None:
    assert sha256(data) == hashlib.sha256(data).hexdigest() == DIGEST.validate_python(sha256(memoryview(data)))


def test_a_long_file_is_read_in_pieces(tmp_path: Path) -> None:
    data = bytes(range(256)) * 4096 * 3 + b"end"
    (tmp_path / "file").write_bytes(data)
    assert sha256_file(tmp_path / "file") == sha256(data)
