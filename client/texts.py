# SPDX-License-Identifier: Apache-2.0
"""A site's rows beside what becomes of them, for the eyes of the site's own people: preview, anonymize, review-sample.

Original text is in memory here and nowhere else in the client once a row was read. A row is shown exactly as it would
be trained on: same rows, same engine, same replacement. A row whose analysis fails is shown as refused, and does not
end the command, as too many of them end a training.
"""

from __future__ import annotations

import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from client.corpus import CorpusReport, Split, load_corpus
from client.settings import SiteFolder
from privacy.identifiers import Digest
from privacy.randomness import SEED_BYTES, SecretSeed
from privacy.text import engines
from privacy.text.anonymize import Anonymizer
from privacy.text.cache import SpanCache
from privacy.text.records import AnonymizedRecord, TextRow
from privacy.text.report import AnonymizationReport

Progress = Callable[[str, int, int], None]
"""What is being done, rows done, rows in all."""


@dataclass(frozen=True, slots=True, repr=False)
class Shown:
    """One row before and after. Without a `record` it was refused, for `refused`."""

    row: TextRow
    split: Split
    record: AnonymizedRecord | None
    refused: str | None


@dataclass(frozen=True, repr=False)
class SiteTexts:
    """The rows that may be used, in order, each with its split."""

    rows: tuple[tuple[Split, TextRow], ...]
    corpus: CorpusReport
    fingerprint: Digest
    replacement: str
    _anonymizer: Anonymizer

    def show(self, at: int) -> Shown:
        """Row `at`, anonymized by itself: that is what a row's text depends on."""
        split, row = self.rows[at]
        records, report = self._anonymizer.run([row])
        refused = report.refused[0][0] if report.refused else None
        return Shown(row, split, records[0] if records else None, refused)

    def anonymize(self, progress: Progress) -> tuple[list[AnonymizedRecord], AnonymizationReport]:
        """All rows at once, by as many workers as the settings say. However many are refused, there is a report."""
        rows = [row for _, row in self.rows]
        return self._anonymizer.run(rows, lambda done, total: progress("anonymizing", done, total))

    def names_of_rows(self, key: bytes) -> list[str]:
        """A keyed name for each row, in order: it follows from the row's own id and text, and tells neither."""
        seen: Counter[bytes] = Counter()
        names = []
        for _, row in self.rows:
            parts = [part.encode() for part in (row.record_id, row.patient_id or "", row.text)]
            content = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
            name = hmac.digest(key, b"collab review row v1" + content, "sha256")
            seen[name] += 1  # rows that are equal in everything are told apart by their order
            names.append(hmac.digest(key, name + seen[name].to_bytes(8, "big"), "sha256").hex()[:32])
        return names


@contextmanager
def open_texts(folder: SiteFolder, site_key: SecretSeed | None, *, workers: int | None = None) -> Iterator[SiteTexts]:
    """The site's texts and its anonymizer, with the site's span cache where it has a key.

    Without `site_key` (it has not enrolled) the split is drawn for this once and nothing is cached. Raises what reading
    and loading raise: SettingsError, AnonymizationError.
    """
    key = site_key or SecretSeed(secrets.token_bytes(SEED_BYTES))
    corpus = load_corpus(folder, key.derive("split").expose("split"))
    text = folder.settings.text
    engine = engines.load(text)
    lenient = text.model_copy(update={"max_refused_fraction": 1.0} | ({} if workers is None else {"workers": workers}))
    parts: tuple[tuple[Split, tuple[TextRow, ...]], ...] = (
        ("train", corpus.train),
        ("dev", corpus.dev),
        ("test", corpus.test),
    )
    rows = tuple((split, row) for split, held in parts for row in held)
    with nullcontext() if site_key is None else _cache(folder, site_key) as cache:
        anonymizer = Anonymizer(engine, lenient, cache)
        yield SiteTexts(rows, corpus.report, engine.fingerprint, str(text.replacement), anonymizer)


def _cache(folder: SiteFolder, site_key: SecretSeed) -> SpanCache:
    return SpanCache(folder.spans, site_key.derive("span-cache").expose("span cache"))
