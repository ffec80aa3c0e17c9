# SPDX-License-Identifier: Apache-2.0
"""What the commands that look at texts share: the site's texts with its key, a console, a pager."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from privacy.base.errors import SettingsError
from privacy.commandline import terminal

if TYPE_CHECKING:
    from rich.console import Console

    from client.data.corpus_view import CorpusView
    from client.settings.site_settings import SiteFolder
    from privacy.base.randomness import SecretSeed

KEEP_HERE: Final = (
    "This is ORIGINAL TEXT of the site. Keep it here: do not send it, copy it or leave it open, and delete every file "
    "of it when you have looked."
)


def warn(sentence: str) -> None:
    """A warning on stderr: results on stdout stay clean."""
    terminal.warn(f"WARNING: {sentence}")


@contextmanager
def texts_of(folder: SiteFolder) -> Iterator[CorpusView]:
    """The site's texts; before it has keys, with a one-time key and without a cache."""
    from client import enrolment
    from client.data.corpus_view import open_texts

    with open_texts(folder, enrolment.site_key_if_any(folder)) as texts:
        yield texts


@contextmanager
def keyed_texts_of(folder: SiteFolder, *, workers: int | None = None) -> Iterator[tuple[CorpusView, SecretSeed]]:
    """The site's texts with its key, which cache and samples need. Raises SettingsError before it has one."""
    from client import enrolment
    from client.data.corpus_view import open_texts

    key = enrolment.site_key_if_any(folder)
    if key is None:
        raise SettingsError(
            f"{folder.name} has no keys yet, under which results are kept so that the command can go on later",
            next_step=f"collab-client --site {folder.name} enroll (nothing leaves by it)",
        )
    with open_texts(folder, key, workers=workers) as texts:
        yield texts, key


def console_of_stdout() -> Console:
    """Colours and the terminal's width where there is one; neither where output goes to a file or a pipe."""
    from rich.console import Console

    return Console(width=terminal.width(), highlight=False)


@contextmanager
def paged(console: Console) -> Iterator[None]:
    """Show what is printed page by page where somebody reads. The pager keeps no history and starts no programs."""
    if not (console.is_terminal and sys.stdin.isatty()):
        yield
        return
    os.environ |= {"LESSHISTFILE": "-", "LESSSECURE": "1", "LESS": os.environ.get("LESS", "-RFX")}
    with console.pager(styles=True):
        yield
