# SPDX-License-Identifier: Apache-2.0
"""A site's texts on their way from files to anonymized records, once a process.

Raw text lives only inside `SiteRecords._anonymize`; what is kept is anonymized. A new process finds the findings in the
span cache.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from client.data.chain import AnonymizingChain, StageProgress
from client.data.corpus import CorpusReport
from client.data.naming import split_of_site
from client.data.splits import SPLITS, Split
from client.settings.site_settings import SiteFolder
from privacy.base.identifiers import Digest, RunId
from privacy.base.randomness import SecretSeed
from privacy.dp.reservations import PinnedSplit
from privacy.text.reading.records import AnonymizedRecord, TextRow
from privacy.text.report import AnonymizationReport, commitment


@dataclass(frozen=True, repr=False)
class Anonymized:
    """All that the site keeps of its texts."""

    records: dict[Split, tuple[AnonymizedRecord, ...]]
    corpus: CorpusReport
    report: AnonymizationReport


NO_ROWS = Anonymized(
    dict.fromkeys(SPLITS, ()),
    CorpusReport(
        read=0,
        refused={},
        cut=0,
        rows=dict.fromkeys(SPLITS, 0),
        patients=dict.fromkeys(SPLITS, 0),
        most_notes=dict.fromkeys(SPLITS, 0),
        labels={},
        repeated_anywhere=0,
    ),
    AnonymizationReport(0, 0, (), (), 1.0, 1.0, 0, 0.0, "0" * 64, "0" * 64),
)
"""A site without any data."""


class SiteRecords:
    """The site's records, anonymized when they are first asked for. `site_key` keys split, cache and surrogates.

    `known`: what was read and anonymized already.
    """

    def __init__(
        self,
        folder: SiteFolder,
        site_key: SecretSeed,
        progress: StageProgress = lambda what, done, total: None,
        known: Anonymized | None = None,
    ) -> None:
        self._folder, self._settings, self._key, self._progress = folder, folder.settings, site_key, progress
        self.known = known

    def anonymized(self) -> Anonymized:
        """All of it. Raises SettingsError, AnonymizationError."""
        if self.known is None:
            self.known = self._anonymize()
        return self.known

    def _anonymize(self) -> Anonymized:
        chain = AnonymizingChain(self._folder, self._key)
        corpus = chain.corpus()
        with chain.anonymizer() as anonymizer:
            records, report = anonymizer.run(
                corpus.rows, lambda done, total: self._progress("anonymizing", done, total)
            )
        return Anonymized(_by_split(corpus.by_split, records), corpus.report, report)

    def all(self) -> list[AnonymizedRecord]:
        """Every record, of all splits."""
        records = self.anonymized().records
        return [record for split in SPLITS for record in records[split]]

    def split(self) -> PinnedSplit:
        """What fixes which unit is in which part: key and fractions, and the settings that name a unit."""
        return split_of_site(self._settings, self._key)

    def commitment(self, run_id: RunId) -> Digest:
        """Binds the anonymization report without saying its counts: salted under the site's key, anew for each run."""
        salt = self._key.derive("anonymization-salt", run_id).expose("commitment salt")
        return commitment(self.anonymized().report, salt)


def _by_split(
    rows: Mapping[Split, Sequence[TextRow]], records: Sequence[AnonymizedRecord]
) -> dict[Split, tuple[AnonymizedRecord, ...]]:
    """Give each record, in order, back to the split that its row came from; refused rows have none."""
    waiting = deque(records)
    kept: dict[Split, list[AnonymizedRecord]] = {split: [] for split in SPLITS}
    for split in SPLITS:
        for row in rows[split]:
            if waiting and (waiting[0].record_id, waiting[0].patient_id) == (row.record_id, row.patient_id):
                kept[split].append(waiting.popleft())
    assert not waiting
    return {split: tuple(of_split) for split, of_split in kept.items()}
