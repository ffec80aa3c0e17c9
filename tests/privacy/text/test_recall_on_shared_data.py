# SPDX-License-Identifier: Apache-2.0
"""Measured recall on text that we did not write: floors under what was measured, skipped where the data is absent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from privacy.text.anonymize import Anonymizer
from privacy.text.find.engines import Engine
from privacy.text.reading.records import TextRow
from privacy.text.report import PlantedSpan, recall_on_planted
from privacy.text.settings import TextSettings

DATA = Path(__file__).resolve().parents[3] / ".." / "shared" / "data"
SYNTH = DATA / "presidio_synth" / "test.jsonl"
NOTES = DATA / "mtsamples" / "dev.jsonl"

# Share of spans masked whole, by any tag; measured: see docs/anonymization.md.
FLOORS = {
    "PERSON": 0.97,
    "STREET_ADDRESS": 0.5,  # every character: commas between its parts may stay
    "GPE": 0.92,
    "ORGANIZATION": 0.82,
    "CREDIT_CARD": 1.0,
    "EMAIL_ADDRESS": 1.0,
    "DATE_TIME": 0.93,
    "PHONE_NUMBER": 0.9,
}


@pytest.mark.skipif(not SYNTH.exists(), reason="the shared evaluation data (presidio_synth) is not beside the checkout")
def test_recall_stays_above_its_floors(engine: Engine, settings: TextSettings) -> None:
    labelled = [json.loads(line) for line in SYNTH.read_text(encoding="utf-8").splitlines()]
    records, _ = Anonymizer(engine, settings).run(TextRow(row["id"], row["text"], None, None) for row in labelled)
    planted = {row["id"]: [PlantedSpan(s["start"], s["end"], s["type"]) for s in row["spans"]] for row in labelled}
    recall = recall_on_planted(records, planted)
    by_type = {name: found / total for name, found, total in recall.by_type}
    print("masked whole, any tag:", recall)
    assert {name: share for name, share in by_type.items() if share < FLOORS.get(name, 0.0)} == {}


@pytest.mark.slow
@pytest.mark.skipif(not NOTES.exists(), reason="the shared evaluation data (mtsamples) is not beside the checkout")
def test_real_dictated_notes_keep_nearly_all_their_words(engine: Engine, settings: TextSettings) -> None:
    notes = [json.loads(line)["text"] for line in NOTES.read_text(encoding="utf-8").splitlines()[:60]]
    _, report = Anonymizer(engine, settings).run(TextRow(str(i), text, None, None) for i, text in enumerate(notes))
    assert report.returned == 60
    assert report.words_kept_fraction > 0.97
