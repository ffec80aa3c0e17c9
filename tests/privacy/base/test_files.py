# SPDX-License-Identifier: Apache-2.0
"""A file is whole or absent, a secret is written once, and an error names no folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from privacy.base.errors import ContractError, SettingsError
from privacy.base.files import private_folder, read_bounded, read_secret, write_secret, write_whole


def test_a_secret_is_written_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "site.key"
    write_secret(path, b"one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(SettingsError, match="never written over"):
        write_secret(path, b"two")
    assert read_secret(path) == b"one"


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "site.key"
    write_secret(path, b"one")
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="others may read"):
        read_secret(path)


def test_a_replacement_that_fails_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kit.json"
    write_whole(path, b"old")

    def full_disk(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_into_which_others_look_is_refused(tmp_path: Path) -> None:
    private_folder(tmp_path / "keys")
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    (tmp_path / "keys").chmod(0o750)
    with pytest.raises(SettingsError, match="others may look"):
        private_folder(tmp_path / "keys")


def test_a_file_that_was_sent_is_read_to_its_limit_and_named_without_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "enrolment.json"
    path.write_bytes(b"x" * 10)
    assert read_bounded(path, 10) == b"x" * 10
    with pytest.raises(ContractError, match="longer than 9 bytes"):
        read_bounded(path, 9)
    with pytest.raises(SettingsError) as caught:
        read_bounded(tmp_path / "absent.json", 9)
    assert str(tmp_path) not in str(caught.value)
