# SPDX-License-Identifier: Apache-2.0
"""The site that a command is for: `--site NAME`, on either side of the command, and its folder once it is opened."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import typer

from privacy.base.errors import SettingsError

if TYPE_CHECKING:  # settings load pydantic and all that they check, and `--help` would wait for them
    from client.settings.site_settings import SiteFolder

_OF_THE_SITE: Final = ("--site", "--sites-folder")


def site_of(context: typer.Context) -> SiteFolder:
    """The site that stands before the command. Raises SettingsError."""
    return cast("Callable[[], SiteFolder]", context.obj)()


def open_site(site: str, sites_folder: Path) -> SiteFolder:
    """The site's folder, its settings read. Raises SettingsError."""
    from client.settings.site_settings import SiteFolder

    if not site:
        raise SettingsError("which site?", next_step="add --site NAME")
    if re.fullmatch(r"[a-z][a-z0-9_]{0,31}", site) is None:
        raise SettingsError("a site's name has lower-case letters, digits and underscores, at most 32")
    return SiteFolder(sites_folder / f"{site}.toml")


def site_first(arguments: Sequence[str]) -> list[str]:
    """The options that name the site, moved before the command: they may stand on either side of it."""
    first, rest, words = list[str](), list[str](), iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _OF_THE_SITE:
            first += [word, *([value] if (value := next(words, None)) is not None else [])]
        else:
            (first if word.startswith(tuple(f"{name}=" for name in _OF_THE_SITE)) else rest).append(word)
    return first + rest
