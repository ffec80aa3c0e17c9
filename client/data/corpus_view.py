# SPDX-License-Identifier: Apache-2.0
"""A site's rows beside what becomes of them, for the eyes of the site's own people: preview, anonymize, review-sample.

Original text is in memory here and nowhere else in the client once a row was read. A row is shown exactly as it would
be trained on: same rows, same engine, same replacement. A row whose analysis fails is shown as refused, and does not
end the command, as too many of them end a training.
"""

from __future__ import annotations

import hmac
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from client.data.chain import AnonymizingChain, StageProgress
from client.data.corpus import CorpusReport, nothing_left
from client.data.splits import Split
from client.settings.site_settings import SiteFolder
from privacy.base.identifiers import Digest
from privacy.base.randomness import SecretSeed
from privacy.dp.params import Unit
from privacy.text.anonymize import Anonymizer
from privacy.text.reading.records import AnonymizedRecord, Finding, TextRow
from privacy.text.report import AnonymizationReport
from privacy.text.settings import TextSettings


@dataclass(frozen=True, slots=True, repr=False)
class RowPreview:
    """One row before and after. Without a `record` it was refused, for `refused`."""

    row: TextRow
    split: Split
    record: AnonymizedRecord | None
    refused: str | None

    def parts(self) -> list[RowPreview]:
        """The row, and behind it its second text as a row of its own, if it has one."""
        if self.row.pair is None or self.record is None or self.record.pair is None:
            return [self]
        record_id, patient = f"{self.row.record_id}, second text", self.row.patient_id
        before = TextRow(record_id, self.row.pair, None, patient, self.row.known_names)
        after = AnonymizedRecord(record_id, self.record.pair, None, patient, self.record.pair_findings)
        return [self, RowPreview(before, self.split, after, self.refused)]


@dataclass(frozen=True, repr=False)
class CorpusView:
    """The rows that may be used, in order, each with its split."""

    rows: tuple[tuple[Split, TextRow], ...]
    corpus: CorpusReport
    fingerprint: Digest
    replacement: str
    unit: Unit
    _anonymizer: Anonymizer

    def show(self, at: int) -> RowPreview:
        """Row `at`, anonymized with all rows of its privacy unit: what stands for a finding depends on them alone."""
        split, row = self.rows[at]
        alone, report = self._anonymizer.run([row])
        if not alone:
            return RowPreview(row, split, None, report.refused[0][0])
        together = [other for other in self._unit_of(at) if other == at or self._is_used(other)]
        records, _ = self._anonymizer.run([self.rows[other][1] for other in together])
        return RowPreview(row, split, records[together.index(at)], None)

    def findings(self, at: int) -> tuple[Finding, ...] | None:
        """What was found in row `at`, which depends on that row alone; None if it was refused."""
        records, _ = self._anonymizer.run([self.rows[at][1]])
        return records[0].findings if records else None

    def _unit_of(self, at: int) -> list[int]:
        patient = self.rows[at][1].patient_id
        if self.unit == "record" or patient is None:
            return [at]
        return self._by_patient[patient]

    @cached_property
    def _by_patient(self) -> dict[str | None, list[int]]:
        rows_of: dict[str | None, list[int]] = defaultdict(list)
        for at, (_, row) in enumerate(self.rows):
            rows_of[row.patient_id].append(at)
        return rows_of

    def _is_used(self, at: int) -> bool:
        return self.findings(at) is not None

    def anonymize(self, progress: StageProgress) -> tuple[list[AnonymizedRecord], AnonymizationReport]:
        """All rows at once, by as many workers as the settings say. However many are refused, there is a report."""
        rows = [row for _, row in self.rows]
        return self._anonymizer.run(rows, lambda done, total: progress("anonymizing", done, total))

    def names_of_rows(self, key: bytes) -> list[str]:
        """A keyed name for each row, in order: it follows from the row's own id and text, and tells neither."""
        repeats: Counter[bytes] = Counter()
        names = []
        for _, row in self.rows:
            parts = [part.encode() for part in (row.record_id, row.patient_id or "", row.text)]
            content = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
            name = hmac.digest(key, b"collab review row v1" + content, "sha256")
            repeats[name] += 1  # rows that are equal in everything are told apart by their order
            names.append(hmac.digest(key, name + repeats[name].to_bytes(8, "big"), "sha256").hex()[:32])
        return names


@contextmanager
def open_texts(folder: SiteFolder, site_key: SecretSeed | None, *, workers: int | None = None) -> Iterator[CorpusView]:
    """The site's texts and its anonymizer, with the site's span cache where it has a key.

    Without `site_key` (it has not enrolled) the split is drawn for this once and nothing is cached. Raises what reading
    and loading raise: SettingsError, AnonymizationError; and SettingsError where no row is left.
    """
    chain = AnonymizingChain(folder, site_key)
    corpus = chain.corpus()
    if not corpus.rows:
        raise nothing_left(corpus.report)
    rows = tuple((split, row) for split, held in corpus.by_split.items() for row in held)
    text, unit = folder.settings.text, folder.settings.policy.unit
    with chain.anonymizer(workers=workers) as anonymizer:
        yield CorpusView(rows, corpus.report, anonymizer.engine_fingerprint, modes(text), unit, anonymizer)


def modes(settings: TextSettings) -> str:
    """The replacement in a few words: the default, and each type that has another mode."""
    others = (f"{kind} {mode}" for kind, mode in sorted(settings.replacement.by_type.items()))
    return ", ".join([settings.replacement.default, *others])
