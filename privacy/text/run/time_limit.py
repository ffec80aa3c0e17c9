# SPDX-License-Identifier: Apache-2.0
"""A limit on the time of a block: an interval timer whose signal ends pure Python and loops of `re` and `regex`.

Rules: only the main thread can have one, since Python runs signal handlers there alone (`available`); code in C that
asks for no signals is not ended, which is what worker processes are for (privacy.text.run.workers); a timer that
somebody else had set is set again afterwards.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeLimitReached(BaseException):
    """Raised in the middle of whatever ran. No Exception, so that a library's `except Exception` lets it through."""


def available() -> bool:
    """Whether `time_limit` works here: in the main thread, on a system that has interval timers."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeLimitReached in the block once it has run for `seconds` of wall-clock time.

    It fires at most once: code that swallows it goes on, so look at the clock afterwards too. Raises ValueError outside
    the main thread.
    """
    started = time.monotonic()
    handler_before = signal.signal(signal.SIGALRM, _raise)
    delay_before, interval_before = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler_before)
        if delay_before:
            remaining = max(delay_before - (time.monotonic() - started), 0.001)
            signal.setitimer(signal.ITIMER_REAL, remaining, interval_before)


def _raise(number: int, frame: FrameType | None) -> None:
    raise TimeLimitReached
