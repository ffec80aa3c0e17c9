# SPDX-License-Identifier: Apache-2.0
"""How a command says how far it is: a bar where somebody looks, a line every tenth where nobody does."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from privacy.commandline.terminal import warn

if TYPE_CHECKING:
    from client.data.chain import StageProgress


def progress_line(*, quiet: bool = False) -> StageProgress:
    """Tells every tenth of a long work on stderr: readable in a terminal and in a service's journal alike.

    Nothing if it is to be `quiet`.
    """
    if quiet:
        return lambda what, done, total: None
    tenths: dict[str, int] = {}
    mutex = threading.Lock()

    def progress(what: str, done: int, total: int) -> None:
        tenth = 10 * done // max(1, total)
        with mutex:
            if tenths.get(what) != tenth:
                tenths[what] = tenth
                warn(f"{what}: {done} of {total}")

    return progress


@contextmanager
def telling_progress() -> Iterator[StageProgress]:
    """A bar on stderr where somebody looks; every tenth as a line where nobody does."""
    if not sys.stderr.isatty():
        yield progress_line()
        return
    from rich import progress as bars
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading and loading", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
