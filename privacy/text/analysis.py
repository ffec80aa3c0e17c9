# SPDX-License-Identifier: Apache-2.0
"""One text analyzed, or refused with a reason; here or in worker processes, with the same result and in the same order.

Fail closed: whatever goes wrong becomes a reason code, and no exception of a library passes, since its message or its
traceback may hold text. The time limit is checked after the analysis: a regular expression of Presidio's stops by
itself after a minute, ours and libphonenumber's are about linear, and a worker that hangs longer ends the run.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.pool
import time
import unicodedata
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Literal

from privacy.errors import AnonymizationError
from privacy.identifiers import Digest
from privacy.text import engines
from privacy.text.engines import Engine
from privacy.text.records import ENTITY_TYPES, FLAG_TYPES, Finding
from privacy.text.settings import TextSettings
from privacy.text.view import read

Reason = Literal["over_long", "control_characters", "surrogates", "analysis_failed", "time_limit", "invalid_finding"]
"""Why a row was refused."""

Outcome = tuple[Finding, ...] | Reason

_CHUNK = 16
_STARTUP_SECONDS = 180
_ALLOWED_CONTROLS = frozenset("\t\n\r\f\v\x85")
_worker_engine: Engine | None = None


def check(text: str, settings: TextSettings) -> Reason | None:
    """Why `text` is refused before any analysis, or None."""
    if len(text) > settings.max_characters:
        return "over_long"
    if text.isascii() and text.isprintable():
        return None
    for character in set(text):
        category = unicodedata.category(character)
        if category == "Cs":
            return "surrogates"
        if category == "Cc" and character not in _ALLOWED_CONTROLS:
            return "control_characters"
    return None


def analyze(engine: Engine, text: str, time_limit_seconds: int) -> Outcome:
    """The findings in `text`, in its own offsets and sorted, or the reason why there are none to trust."""
    started = time.monotonic()
    try:
        view = read(text)
        findings = tuple(sorted({view.to_original(finding) for finding in engine.analyze(view.text)}))
    except IndexError:
        return "invalid_finding"
    except Exception:
        return "analysis_failed"
    if time.monotonic() - started > time_limit_seconds:
        return "time_limit"
    if any(finding.entity_type not in ENTITY_TYPES | FLAG_TYPES for finding in findings):
        return "invalid_finding"
    return findings


def analyze_all(engine: Engine, texts: Sequence[str], settings: TextSettings) -> Iterator[Outcome]:
    """An outcome for each text, in order; by `settings.workers` processes where that is more than one.

    Raises AnonymizationError if a worker hangs, dies or has another engine than ours.
    """
    if settings.workers == 1 or len(texts) <= _CHUNK:
        return (analyze(engine, text, settings.row_time_limit_seconds) for text in texts)
    return _in_workers(engine.fingerprint, texts, settings)


def _start_worker(settings: TextSettings) -> None:
    global _worker_engine
    _worker_engine = engines.load(settings)


def _analyze_chunk(texts: list[str], time_limit_seconds: int) -> tuple[Digest, list[Outcome]]:
    if _worker_engine is None:
        raise AnonymizationError("a worker has no engine", next_step="report this: it is a bug")
    return _worker_engine.fingerprint, [analyze(_worker_engine, text, time_limit_seconds) for text in texts]


def _in_workers(fingerprint: Digest, texts: Sequence[str], settings: TextSettings) -> Iterator[Outcome]:
    # A fork server, not a fork: the caller may have threads. It imports the engine once for all workers.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"privacy.text.engines.{settings.engine}"])
    limit = _STARTUP_SECONDS + _CHUNK * settings.row_time_limit_seconds
    chunks = [list(texts[i : i + _CHUNK]) for i in range(0, len(texts), _CHUNK)]
    with context.Pool(min(settings.workers, len(chunks)), _start_worker, (settings,)) as pool:
        waiting = deque(chunks)
        running: deque[multiprocessing.pool.AsyncResult[tuple[Digest, list[Outcome]]]] = deque()
        while waiting or running:
            while waiting and len(running) < 4 * settings.workers:
                running.append(pool.apply_async(_analyze_chunk, (waiting.popleft(), settings.row_time_limit_seconds)))
            try:
                theirs, outcomes = running.popleft().get(timeout=limit)
            except multiprocessing.TimeoutError:
                raise AnonymizationError(
                    "a worker did not answer in time; nothing was returned", next_step="try again with workers = 1"
                ) from None
            if theirs != fingerprint:
                raise AnonymizationError(
                    "a worker runs another engine than this process",
                    next_step="restart: an update may have run meanwhile",
                )
            yield from outcomes
