# SPDX-License-Identifier: Apache-2.0
"""A copy of a log that verifies: taken while a coordinator writes, whole or absent, readable by its owner alone.

log.sqlite is copied with SQLite's backup from one moment of the log, write-ahead log included, into a file that needs
none. Nothing is judged here: a log that does not hold is copied as it is, because a copy is evidence too.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from privacy.audit.database import LogChanged, opened
from privacy.audit.stored import StoredLog, read_log
from privacy.base.errors import IntegrityError, SettingsError
from privacy.base.files import is_regular, open_regular, sync_folder

Blobs = Literal["copy", "link", "none"]

_ATTEMPTS: Final = 5
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Copied:
    """What the copy holds. `blobs` counts files; those of the folder that are no blobs were left out."""

    log: StoredLog
    blobs: int


def copy_log(folder: Path, to: Path, blobs: Blobs = "copy") -> Copied:
    """Copy the log in `folder` to the new folder `to`, with its blobs as files of their own, as links, or without.

    Raises SettingsError when there is no log or `to` is there already, IntegrityError when the log cannot be read at
    all, Unreachable when it lacks its write-ahead log. After an error `to` is not there.
    """
    if to.exists() or to.is_symlink():
        raise SettingsError(f"{to.name} is there already", next_step="name a folder that is not there yet")
    if not to.resolve().parent.is_dir():
        raise SettingsError(f"there is no folder to make {to.name} in", next_step="make it first")
    read_log(folder)
    draft = to.resolve().with_name(f".{to.name}.{secrets.token_hex(4)}")
    draft.mkdir(mode=0o700)
    try:
        _copy_file(folder / "log.vkey", draft / "log.vkey")
        _copy_database(folder / "log.sqlite", draft / "log.sqlite")
        held = 0 if blobs == "none" else _copy_blobs(folder / "blobs", draft / "blobs", link=blobs == "link")
        log = read_log(draft)
        sync_folder(draft)
        draft.rename(to)
        sync_folder(to.resolve().parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Copied(log, held)


def _copy_database(path: Path, to: Path) -> None:
    for _ in range(_ATTEMPTS):
        to.unlink(missing_ok=True)
        os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            with opened(path) as source, closing(sqlite3.connect(to)) as target:
                source.backup(target)
                target.execute("PRAGMA journal_mode=DELETE")
            return
        except LogChanged as error:
            changed = error
        except sqlite3.Error:
            raise IntegrityError("log.sqlite is damaged: it cannot be copied as a log") from None
    raise changed


def _copy_blobs(folder: Path, to: Path, *, link: bool) -> int:
    """Every regular file whose name is a digest. Whether it has it is for `verify` to say."""
    to.mkdir(mode=0o700)
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    held = [name for name in names if _DIGEST.fullmatch(name) and is_regular(folder / name)]
    for name in held:
        if not link or not _linked(folder / name, to / name):
            _copy_file(folder / name, to / name)
    sync_folder(to)
    return len(held)


def _linked(path: Path, to: Path) -> bool:
    """False where the disk has no links, or the copy lies on another."""
    try:
        os.link(path, to, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
            raise
        return False
    return True


def _copy_file(path: Path, to: Path) -> None:
    handle = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open_regular(path) as source, os.fdopen(handle, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
