# SPDX-License-Identifier: Apache-2.0
"""Where a command puts what may hold original text or exact counts: in the site's reports, for its owner alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from privacy.base.errors import SettingsError
from privacy.base.files import private_folder, write_private

if TYPE_CHECKING:  # settings load pydantic, and `collab-client --help` would wait for them
    from client.settings.site_settings import SiteFolder


def place(folder: SiteFolder, file: Path) -> Path:
    """The path that a person means by `file`: a bare name lies in the site's reports/, any other path is as it says."""
    return folder.reports / file.name if len(file.parts) == 1 else file


def within(folder: SiteFolder, path: Path) -> bool:
    """Whether `path` lies in the site's home."""
    return path.resolve().is_relative_to(folder.home.resolve())


def shown(folder: SiteFolder, path: Path) -> str:
    """`path` as it is told: from the folder of the sites on, or its last part where it lies elsewhere."""
    return f"{folder.home.parent.name}/{path.relative_to(folder.home.parent)}" if within(folder, path) else path.name


def make_writable(folder: SiteFolder, path: Path) -> None:
    """See to the folder of `path` before any long work. Raises SettingsError when nothing can be written there."""
    try:
        _see_to_folder(folder, path)
        write_private(path.parent / f".{path.name}.try", b"")
        (path.parent / f".{path.name}.try").unlink()
    except OSError as error:
        raise SettingsError(
            f"nothing can be written into {path.parent.name}/: {error.strerror}",
            next_step="make the folder, or its rights, such that this user may write there; then try again",
        ) from None


def write(folder: SiteFolder, path: Path, data: bytes) -> None:
    """Write a private file (0600) in one step, its folder made where it is the site's.

    Raises SettingsError where others may look into the folder, OSError where the disk refuses.
    """
    _see_to_folder(folder, path)
    write_private(path, data)


def _see_to_folder(folder: SiteFolder, path: Path) -> None:
    if within(folder, path):
        folder.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_folder(path.parent)
