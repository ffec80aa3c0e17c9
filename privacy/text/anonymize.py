# SPDX-License-Identifier: Apache-2.0
"""Rows in, anonymized records and a report out. The one way from private text to text that may be trained on.

Rules: what is found in a row depends on that row alone, and what stands in its place on its privacy unit alone, never
on another one, nor on the order of rows; a row whose analysis fails is dropped and counted; too many of those and
nothing comes out. The cache holds findings only, so it serves every mode of replacement, and only saves time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from privacy.base.errors import AnonymizationError
from privacy.base.identifiers import Digest
from privacy.base.progress import RowProgress
from privacy.text.find import engines
from privacy.text.find.engines import Engine
from privacy.text.find.known_names import find_known_names
from privacy.text.reading.records import AnonymizedRecord, Finding, TextRow
from privacy.text.replace.surrogates.keyed import SurrogateKey
from privacy.text.replace.surrogates.unit import Analyzed, write_records
from privacy.text.report import AnonymizationReport, FindingCount
from privacy.text.run import analysis
from privacy.text.run.analysis import Reason, TextOutcome
from privacy.text.run.cache import SpanCache
from privacy.text.settings import TextSettings

_RowFindings = tuple[tuple[Finding, ...], tuple[Finding, ...]]
"""What was found in a row's text, and in its pair."""


class Anonymizer:
    """Anonymizes rows with `engine` under `settings`. `engine` must be the one that `settings` build: see `load`.

    `cache` keeps what was found for later runs. `key` drives surrogates and shifts; it may be missing if no mode of
    `settings.replacement` needs it.
    """

    def __init__(
        self,
        engine: Engine,
        settings: TextSettings,
        cache: SpanCache | None = None,
        key: SurrogateKey | None = None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._cache = cache
        self._key = key

    @classmethod
    def load(
        cls, settings: TextSettings | None = None, *, cache: SpanCache | None = None, key: SurrogateKey | None = None
    ) -> Anonymizer:
        """With the engine that `settings` name (without: the default ones). It takes seconds, and touches no network.

        Raises AnonymizationError if the engine would send text to a service, SettingsError if a part is not there.
        """
        settings = settings or TextSettings()
        return cls(engines.load(settings), settings, cache, key)

    @property
    def engine_fingerprint(self) -> Digest:
        """Names all that finds: it changes with anything that may change a finding."""
        return self._engine.fingerprint

    def run(
        self, rows: Iterable[TextRow], progress: RowProgress | None = None
    ) -> tuple[list[AnonymizedRecord], AnonymizationReport]:
        """The anonymized rows, in order and without the refused ones, and the report.

        All rows of a patient go into one call if their surrogates are to agree. Raises AnonymizationError if more than
        `max_refused_fraction` of the rows were refused, if a worker fails, if the replacement needs a key and has none,
        or if a row has been anonymized already: its offsets would be those of tags.
        """
        started = time.monotonic()
        given = list(rows)
        if not all(isinstance(row, TextRow) for row in given):
            raise AnonymizationError("only a TextRow can be anonymized", next_step="pass the original rows, once")
        outcomes, from_cache = self._outcomes(given, progress)
        # Known names come after the cache: they belong to the row, and its text alone does not tell them.
        analyzed = [
            Analyzed(row, _with_names(row, row.text, outcome[0]), _with_names(row, row.pair or "", outcome[1]))
            for row, outcome in zip(given, outcomes, strict=True)
            if isinstance(outcome, tuple)
        ]
        refused = Counter(outcome for outcome in outcomes if isinstance(outcome, str))
        self._check_refused(sum(refused.values()), len(given), refused)
        records = write_records(self._settings, self._key, analyzed)
        result = _RunResult([one.row for one in analyzed], records, refused, from_cache, time.monotonic() - started)
        return records, _report(result, self._engine.fingerprint, self._settings.replacement.digest)

    def _outcomes(
        self, rows: Sequence[TextRow], progress: RowProgress | None
    ) -> tuple[list[_RowFindings | Reason], int]:
        """What was found in each row's text and pair, or why the row is refused; and how many rows the cache knew.

        What was found is in the cache whatever ends this: an interrupt costs only what was not finished.
        """
        known = [[self._known(text) for text in _texts(row)] for row in rows]
        from_cache = sum(all(isinstance(one, tuple) for one in of_row) for of_row in known)
        unknown = _unknown(rows, known)
        outcomes: list[_RowFindings | Reason] = []
        try:
            with closing(analysis.analyze_all(self._engine, unknown, self._settings, self._keep)) as fresh:
                for of_row in known:
                    outcomes.append(_of_row([next(fresh) if one is None else one for one in of_row]))
                    if progress is not None:
                        progress(len(outcomes), len(rows))
        finally:
            if self._cache is not None:
                self._cache.commit()
        return outcomes, from_cache

    def _keep(self, text: str, outcome: TextOutcome) -> None:
        if self._cache is not None and isinstance(outcome, tuple):
            self._cache.put(text, self._engine.fingerprint, list(outcome))

    def _known(self, text: str) -> TextOutcome | None:
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


def _texts(row: TextRow) -> tuple[str, ...]:
    return (row.text,) if row.pair is None else (row.text, row.pair)


def _unknown(rows: Sequence[TextRow], known: Sequence[Sequence[TextOutcome | None]]) -> list[str]:
    """The texts that are still to be analyzed."""
    outcomes = [one for of_row in known for one in of_row]
    texts = [text for row in rows for text in _texts(row)]
    return [text for text, one in zip(texts, outcomes, strict=True) if one is None]


def _of_row(outcomes: Sequence[TextOutcome]) -> _RowFindings | Reason:
    """The findings of a row's text and of its pair; a row is refused with either."""
    for outcome in outcomes:
        if isinstance(outcome, str):
            return outcome
    of_texts = [outcome for outcome in outcomes if isinstance(outcome, tuple)]
    return of_texts[0], of_texts[1] if len(of_texts) > 1 else ()


def _with_names(row: TextRow, text: str, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return (*findings, *find_known_names(text, row.known_names))


@dataclass(frozen=True, repr=False)
class _RunResult:
    """What a report counts."""

    originals: Sequence[TextRow]
    records: Sequence[AnonymizedRecord]
    refused: Counter[Reason]
    from_cache: int
    seconds: float


def _report(run: _RunResult, fingerprint: Digest, replacement: Digest) -> AnonymizationReport:
    findings = [f for record in run.records for f in (*record.findings, *record.pair_findings)]
    counts = Counter((f.entity_type, f.recognizer) for f in findings)
    characters_kept, words_kept = _kept_fractions(run.originals, run.records)
    return AnonymizationReport(
        rows=len(run.originals) + sum(run.refused.values()),
        returned=len(run.records),
        refused=tuple(sorted(run.refused.items())),
        findings=tuple(FindingCount(kind, by, count) for (kind, by), count in sorted(counts.items())),
        characters_kept_fraction=characters_kept,
        words_kept_fraction=words_kept,
        from_cache=run.from_cache,
        seconds=round(run.seconds, 3),
        engine_fingerprint=fingerprint,
        replacement_digest=replacement,
        flagged=tuple(sorted(Counter(flag for record in run.records for flag in record.flags).items())),
    )


def _kept_fractions(originals: Sequence[TextRow], records: Sequence[AnonymizedRecord]) -> tuple[float, float]:
    """Which share of the characters, and of the words, no finding touches; 1 where there are none."""
    texts = _with_findings(originals, records)
    characters = sum(len(text) for text, _ in texts)
    removed = sum(finding.end - finding.start for _, findings in texts for finding in findings)
    words = sum(len(text.split()) for text, _ in texts)
    kept_words = sum(_kept_words(text, findings) for text, findings in texts)
    return (
        round(1 - removed / characters, 6) if characters else 1.0,
        round(kept_words / words, 6) if words else 1.0,
    )


def _with_findings(
    originals: Sequence[TextRow], records: Sequence[AnonymizedRecord]
) -> list[tuple[str, tuple[Finding, ...]]]:
    """Each original text, pairs among them, and what was replaced in it."""
    return [
        (text, findings)
        for row, record in zip(originals, records, strict=True)
        for text, findings in ((row.text, record.findings), (row.pair or "", record.pair_findings))
    ]


def _kept_words(text: str, findings: Sequence[Finding]) -> int:
    """Words of the original that no finding touches."""
    letters = list(text)
    for finding in findings:
        letters[finding.start : finding.end] = "\0" * (finding.end - finding.start)
    return sum("\0" not in word for word in "".join(letters).split())
