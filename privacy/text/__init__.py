# SPDX-License-Identifier: Apache-2.0
"""Row in, anonymized record out. Raw text ends in this room: what leaves it has tags where names stood.

    from privacy.text import Anonymizer, TextRow
    records, report = Anonymizer.load().run([TextRow("note-1", "Dr. Quenby Zorblatt came on 3 April 2019.")])

A product of its own inside privacy: coordinator and auditor never touch it, nor does differential privacy (contracts of
import-linter hold that). The reading order is `reading`, `settings`, `find`, `replace`, `run`, `anonymize`, `report`;
`invent` writes the notes on which `self_check` measures. Presidio and spaCy are imported in `find/engines` alone, and
only when an engine is loaded; the names below are imported when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from privacy.base.exports import exported

if TYPE_CHECKING:
    from privacy.text.anonymize import Anonymizer
    from privacy.text.reading.records import AnonymizedRecord, TextRow
    from privacy.text.report import AnonymizationReport
    from privacy.text.settings import TextSettings
else:
    __getattr__ = exported(
        __name__,
        {
            "AnonymizationReport": "privacy.text.report",
            "AnonymizedRecord": "privacy.text.reading.records",
            "Anonymizer": "privacy.text.anonymize",
            "TextRow": "privacy.text.reading.records",
            "TextSettings": "privacy.text.settings",
        },
    )

__all__ = ["AnonymizationReport", "AnonymizedRecord", "Anonymizer", "TextRow", "TextSettings"]
