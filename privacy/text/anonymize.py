# SPDX-License-Identifier: Apache-2.0
"""Rows in, anonymized records and a report out. The one way from private text to text that may be trained on.

Rules: what happens to a row depends on that row alone, never on another one, nor on the order or the number of rows; a
row whose analysis fails is dropped and counted; too many of those and nothing comes out. The cache only saves time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from privacy.errors import AnonymizationError
from privacy.text import analysis
from privacy.text.analysis import Outcome, Reason
from privacy.text.cache import SpanCache
from privacy.text.engines import Engine
from privacy.text.records import AnonymizedRecord, TextRow
from privacy.text.replacement import replace
from privacy.text.report import AnonymizationReport, FindingCount
from privacy.text.settings import TextSettings

Progress = Callable[[int, int], None]
"""Called with the number of rows done and of all rows."""


class Anonymizer:
    """Anonymizes rows with `engine` under `settings`. `engine` must be the one that `settings` build."""

    def __init__(self, engine: Engine, settings: TextSettings, cache: SpanCache | None = None) -> None:
        self._engine = engine
        self._settings = settings
        self._cache = cache

    def run(
        self, rows: Iterable[TextRow], progress: Progress | None = None
    ) -> tuple[list[AnonymizedRecord], AnonymizationReport]:
        """The anonymized rows, in order and without the refused ones, and the report.

        Raises AnonymizationError if more than `max_refused_fraction` of the rows were refused, if a worker fails, or if
        a row has been anonymized already: its offsets would be those of tags.
        """
        started = time.monotonic()
        given = list(rows)
        if not all(isinstance(row, TextRow) for row in given):
            raise AnonymizationError("only a TextRow can be anonymized", next_step="pass the original rows, once")
        outcomes, from_cache = self._outcomes(given, progress)
        records = [
            _record(row, outcome) for row, outcome in zip(given, outcomes, strict=True) if isinstance(outcome, tuple)
        ]
        refused = Counter(outcome for outcome in outcomes if isinstance(outcome, str))
        self._check_refused(sum(refused.values()), len(given), refused)
        originals = [row for row, outcome in zip(given, outcomes, strict=True) if isinstance(outcome, tuple)]
        report = _report(originals, records, refused, from_cache, time.monotonic() - started, self._engine.fingerprint)
        return records, report

    def _outcomes(self, rows: Sequence[TextRow], progress: Progress | None) -> tuple[list[Outcome], int]:
        known = [self._known(row.text) for row in rows]
        from_cache = sum(isinstance(outcome, tuple) for outcome in known)
        texts = [row.text for row, outcome in zip(rows, known, strict=True) if outcome is None]
        fresh = analysis.analyze_all(self._engine, texts, self._settings)
        outcomes: list[Outcome] = []
        for row, outcome in zip(rows, known, strict=True):
            outcomes.append(self._keep(row.text, next(fresh)) if outcome is None else outcome)
            if progress is not None:
                progress(len(outcomes), len(rows))
        if self._cache is not None:
            self._cache.commit()
        return outcomes, from_cache

    def _keep(self, text: str, outcome: Outcome) -> Outcome:
        if self._cache is not None and isinstance(outcome, tuple):
            self._cache.put(text, self._engine.fingerprint, list(outcome))
        return outcome

    def _known(self, text: str) -> Outcome | None:
        """What is known without analysis: a reason to refuse, or the cache's findings."""
        reason = analysis.check(text, self._settings)
        if reason is not None or self._cache is None:
            return reason
        findings = self._cache.get(text, self._engine.fingerprint)
        return None if findings is None else tuple(findings)

    def _check_refused(self, refused: int, rows: int, reasons: Counter[Reason]) -> None:
        if refused <= self._settings.max_refused_fraction * rows:
            return
        listed = ", ".join(f"{reason}: {count}" for reason, count in sorted(reasons.items()))
        raise AnonymizationError(
            f"{refused} of {rows} rows could not be anonymized ({listed}), more than the "
            f"{self._settings.max_refused_fraction:.2%} that the settings allow; nothing was returned",
            next_step="mend or remove these rows, or raise max_refused_fraction knowingly",
        )


def _record(row: TextRow, findings: Outcome) -> AnonymizedRecord:
    if isinstance(findings, str):
        raise AnonymizationError("a refused row has no record", next_step="report this: it is a bug")
    text, replaced = replace(row.text, findings)
    return AnonymizedRecord(row.record_id, text, row.label, row.patient_id, replaced)


def _report(
    originals: Sequence[TextRow],
    records: Sequence[AnonymizedRecord],
    refused: Counter[Reason],
    from_cache: int,
    seconds: float,
    fingerprint: str,
) -> AnonymizationReport:
    counts = Counter((f.entity_type, f.recognizer) for record in records for f in record.findings)
    characters = sum(len(row.text) for row in originals)
    removed = sum(f.end - f.start for record in records for f in record.findings)
    words = sum(len(row.text.split()) for row in originals)
    kept_words = sum(_kept_words(row.text, record) for row, record in zip(originals, records, strict=True))
    return AnonymizationReport(
        rows=len(originals) + sum(refused.values()),
        returned=len(records),
        refused=tuple(sorted(refused.items())),
        findings=tuple(FindingCount(kind, by, count) for (kind, by), count in sorted(counts.items())),
        characters_kept_fraction=round(1 - removed / characters, 6) if characters else 1.0,
        words_kept_fraction=round(kept_words / words, 6) if words else 1.0,
        from_cache=from_cache,
        seconds=round(seconds, 3),
        engine_fingerprint=fingerprint,
    )


def _kept_words(text: str, record: AnonymizedRecord) -> int:
    """Words of the original that no finding touches."""
    letters = list(text)
    for finding in record.findings:
        letters[finding.start : finding.end] = "\0" * (finding.end - finding.start)
    return sum("\0" not in word for word in "".join(letters).split())
