# SPDX-License-Identifier: Apache-2.0
"""A blob is whole or absent, and is what its name says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from coordinator.blobs import BlobStore
from privacy.audit.blobs import BlobReader
from privacy.base.errors import ContractError, IntegrityError, StorageFailed, Unreachable
from privacy.base.identifiers import sha256


def test_what_is_stored_comes_back_under_its_digest(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "blobs")
    digest = store.put(b"payload")
    assert digest == sha256(b"payload") == store.put(b"payload")
    assert store.has(digest)
    assert BlobReader(tmp_path / "blobs").get(digest) == b"payload"
    assert store.size(digest) == 7
    assert [path.name for path in store.folder.iterdir()] == [digest]


def test_an_altered_blob_is_never_returned(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    digest = store.put(b"\0" * 64)
    for position in range(64 * 8):
        altered = bytearray(64)
        altered[position // 8] ^= 1 << position % 8
        (tmp_path / digest).write_bytes(altered)
        with pytest.raises(IntegrityError):
            store.get(digest)
    with pytest.raises(IntegrityError):
        store.open_array(digest)


def test_a_truncated_blob_is_found_and_can_be_stored_again(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    digest = store.put(b"1234")
    (tmp_path / digest).write_bytes(b"12")
    with pytest.raises(IntegrityError):
        store.get(digest)
    assert store.put(b"1234") == digest
    assert store.get(digest) == b"1234"


def test_an_update_is_opened_as_a_view_that_cannot_be_written(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    array = store.open_array(store.put(np.arange(-3, 5, dtype="<i4").tobytes()))
    assert isinstance(array, np.memmap)
    assert array.tolist() == list(range(-3, 5))
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    for odd in (b"", b"123"):
        with pytest.raises(ContractError):
            store.open_array(store.put(odd))


def test_a_blob_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    assert not store.has("a" * 64)
    for read in (store.get, store.size, store.open_array):
        with pytest.raises(Unreachable):
            read("a" * 64)


@pytest.mark.parametrize("name", ["../log.sqlite", "", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_only_a_digest_names_a_blob(tmp_path: Path, name: str) -> None:
    with pytest.raises(ContractError):
        BlobStore(tmp_path).get(name)


def test_a_leftover_of_a_crash_is_swept_away(tmp_path: Path) -> None:
    BlobStore(tmp_path)
    (tmp_path / ".partial-1").write_bytes(b"half")
    BlobStore(tmp_path)
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import resource, sys
from pathlib import Path
from coordinator.blobs import BlobStore
from privacy.base.errors import StorageFailed
store = BlobStore(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
try:
    store.put(b"x" * (2 << 20))
except StorageFailed as error:
    assert error.exit_code == 5 and "free the disk" in str(error), error
else:
    raise SystemExit("a full disk went unnoticed")
assert list(store.folder.iterdir()) == []
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(store.get(store.put(b"x" * (2 << 20)))[:1].decode())
"""


def test_a_full_disk_leaves_nothing_and_storing_goes_on_when_it_is_free(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, "x\n"), result.stderr


def test_a_failing_fsync_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = BlobStore(tmp_path)

    def failing(_handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(StorageFailed):
        store.put(b"data")
    assert list(tmp_path.iterdir()) == []
