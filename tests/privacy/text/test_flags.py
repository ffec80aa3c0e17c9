# SPDX-License-Identifier: Apache-2.0
"""Words about biometrics and photographs stay in the text; the record is flagged and the report counts it."""

from __future__ import annotations

from pathlib import Path

from privacy.text.anonymize import Anonymizer
from privacy.text.find.engines import Engine
from privacy.text.reading.records import ENTITY_TYPES, FLAG_TYPES, TextRow
from privacy.text.run.cache import SpanCache
from privacy.text.settings import TextSettings

ROWS = [
    TextRow("1", "Fingerprints taken, photo of the face in the chart", None, None),
    TextRow("2", "A photograph was seen", None, None),
    TextRow("3", "No photophobia, then photocoagulation of the retina", None, None),
]


def test_a_flag_is_counted_and_replaces_nothing(engine: Engine, settings: TextSettings, tmp_path: Path) -> None:
    with SpanCache(tmp_path / "spans.sqlite", bytes(32)) as cache:
        for _ in range(2):
            records, report = Anonymizer(engine, settings, cache).run(ROWS)
            assert [record.text for record in records] == [row.text for row in ROWS]
            assert [record.flags for record in records] == [("BIOMETRIC", "PHOTO"), ("PHOTO",), ()]
            assert report.flagged == (("BIOMETRIC", 1), ("PHOTO", 2))
            assert report.findings == ()
    assert report.from_cache == 3


def test_a_flag_is_no_entity_type() -> None:
    assert not FLAG_TYPES & ENTITY_TYPES
