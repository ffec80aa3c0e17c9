# SPDX-License-Identifier: Apache-2.0
"""One text analyzed, or refused with a reason; here or in worker processes, with the same result and in the same order.

Fail closed: whatever goes wrong becomes a reason code, and no exception of a library passes, since its message or its
traceback may hold text. A row that takes too long is ended by a timer (privacy.text.run.time_limit) or with its process
(privacy.text.run.workers). Outside the main thread there is no timer, so rows are always analyzed in a process there.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Generator, Sequence
from typing import Final

from privacy.text.find import engines
from privacy.text.find.checks import Reason, TextOutcome, check
from privacy.text.find.engines import Engine
from privacy.text.reading.records import ENTITY_TYPES, FLAG_TYPES, in_order
from privacy.text.reading.view import read
from privacy.text.run import workers
from privacy.text.run.time_limit import TimeLimitReached, available, time_limit
from privacy.text.run.workers import Keep
from privacy.text.settings import TextSettings

__all__ = ["Reason", "TextOutcome", "analyze", "analyze_all", "check"]

FEW: Final = 16
"""So few rows are done here before worker processes have loaded their engines."""


def analyze(engine: Engine, text: str, time_limit_seconds: int) -> TextOutcome:
    """The findings in `text`, in its own offsets and sorted, or the reason why there are none to trust.

    To be called in the main thread of its process. Every exception but an interrupt from outside becomes a reason.
    """
    started = time.monotonic()
    try:
        with time_limit(time_limit_seconds):
            view = read(text)
            findings = tuple(in_order({view.to_original(finding) for finding in engine.analyze(view.text)}))
    except TimeLimitReached:
        return "time_limit"
    except IndexError:
        return "invalid_finding"
    except (Exception, SystemExit):
        return "analysis_failed"
    if time.monotonic() - started > time_limit_seconds:
        return "time_limit"
    if any(finding.entity_type not in ENTITY_TYPES | FLAG_TYPES for finding in findings):
        return "invalid_finding"
    return findings


def analyze_all(
    engine: Engine, texts: Sequence[str], settings: TextSettings, keep: Keep
) -> Generator[TextOutcome, None, None]:
    """An outcome for each text, in order; by `settings.workers` processes where that is more than one.

    `keep` is called with each text and outcome as soon as that is known, so that whoever stops early loses nothing that
    was finished. Outside the main thread always by at least one process: no timer can end a row in the calling one.
    Raises AnonymizationError if a worker cannot start or has another engine than ours.
    """
    if not texts:
        return
    if available() and (settings.workers == 1 or len(texts) <= FEW):
        for text in texts:
            outcome = analyze(engine, text, settings.row_time_limit_seconds)
            keep(text, outcome)
            yield outcome
        return
    yield from workers.analyze_all(
        workers.Job(
            build=functools.partial(engines.load, settings),
            analyze=analyze,
            fingerprint=engine.fingerprint,
            row_time_limit_seconds=settings.row_time_limit_seconds,
            preload=f"privacy.text.find.engines.{settings.engine}",
        ),
        texts,
        settings.workers,
        keep,
    )
