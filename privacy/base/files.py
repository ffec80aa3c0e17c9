# SPDX-License-Identifier: Apache-2.0
"""Files that must be whole or absent: secrets written once for their owner alone, others replaced in one step.

Rules: a secret has mode 0600 and is never written over another; nothing is half-written after a crash (fsync, then
rename). Errors name a file by its last part only: a path may say whose data it is.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import BinaryIO

from privacy.base.errors import ContractError, SettingsError


def write_secret(path: Path, data: bytes) -> None:
    """Write `data` to a new file of mode 0600. Raises SettingsError when the file is there already: keys are kept."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SettingsError(
            f"{path.name} exists and is never written over", next_step="move it away yourself if it shall be replaced"
        ) from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` at `path` in one step: a reader, or a crash, sees the old file or the new one.

    Its mode is 0644 as far as the umask allows: 0600 in our commands, whose files are for their owner alone.
    """
    _replace(path, data, 0o644 & ~_umask())


def write_private(path: Path, data: bytes) -> None:
    """As `write_whole`, readable by its owner alone (mode 0600) from its first byte on."""
    _replace(path, data, 0o600)


def _replace(path: Path, data: bytes, mode: int) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(mode)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def _umask() -> int:
    """This process's. The one way to ask without changing it for other threads is the kernel's own account."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1], 8) for line in lines if line.startswith("Umask:")), 0o022)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def private_folder(path: Path) -> None:
    """A folder of mode 0700, made if absent. Raises SettingsError when others may look into it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        raise SettingsError(f"others may look into the folder {path.name}", next_step="chmod 700 it")


def read_secret(path: Path) -> bytes:
    """The bytes of a secret file. Raises SettingsError when it is missing or others may read it."""
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsError(
                f"others may read the key file {path.name}", next_step="chmod 600 it, and consider a new key"
            )
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"the key file {path.name} cannot be read") from error


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of a file that somebody sent. Raises SettingsError when absent, ContractError beyond `limit` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise SettingsError(f"the file {path.name} cannot be read", next_step="check its name") from error
    if len(data) > limit:
        raise ContractError(f"{path.name} is longer than {limit} bytes", next_step="ask its sender for a new one")
    return data


def is_regular(path: Path) -> bool:
    """Whether a regular file stands at `path` itself: no link, pipe, device or folder, which might never end."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading. Raises OSError when there is none, or when something else stands there.

    A link is not followed and a pipe is not waited for: the check is made on what was opened.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(f"{path.name} is no regular file")
    return os.fdopen(handle, "rb")
