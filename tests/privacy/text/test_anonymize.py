# SPDX-License-Identifier: Apache-2.0
"""The run as a whole: fail closed, count by reason, order kept, the same with workers and with a cache."""

from __future__ import annotations

import dataclasses
import logging
import os
import sqlite3
import stat
import time
from pathlib import Path

import pytest

from privacy.base.errors import AnonymizationError, SettingsError
from privacy.text.anonymize import Anonymizer
from privacy.text.find import engines
from privacy.text.find.engines import Engine
from privacy.text.reading.records import AnonymizedRecord, Finding, TextRow
from privacy.text.report import PlantedSpan, commitment, recall_on_planted
from privacy.text.run.cache import SpanCache
from privacy.text.settings import TextSettings

SECRET = "Quenby Zorblatt"
NOTES = [
    f"Patient: {SECRET}. MRN 48271{i:02d}, seen 3 April 20{i:02d} for cough. Call 555-01{i:02d}. Foley catheter kept."
    for i in range(40)
]
KEY = bytes(range(32))


def rows(texts: list[str]) -> list[TextRow]:
    return [TextRow(f"r{i}", text, "label", f"p{i}") for i, text in enumerate(texts)]


class Failing:
    """An engine that does `act` on texts that hold 'bad', and finds nothing elsewhere."""

    fingerprint = "0" * 64

    def __init__(self, act) -> None:  # type: ignore[no-untyped-def]
        self.act = act

    def analyze(self, text: str) -> list[Finding]:
        return self.act(text) if "bad" in text else []  # type: ignore[no-any-return]


def _raise(text: str) -> list[Finding]:
    raise ValueError(f"no luck with {text}")


def _slow(text: str) -> list[Finding]:
    time.sleep(1.1)
    return []


@pytest.mark.parametrize(
    ("text", "act", "reason"),
    [
        ("bad", _raise, "analysis_failed"),
        ("bad", _slow, "time_limit"),
        ("bad", lambda text: [Finding(0, 99, "PERSON", 1.0, "x")], "invalid_finding"),
        ("bad", lambda text: [Finding(0, 1, "NONSENSE", 1.0, "x")], "invalid_finding"),
        ("nul \0 here", _raise, "control_characters"),
        ("bell \a here", _raise, "control_characters"),
        ("half a pair \ud800", _raise, "surrogates"),
        ("y" * 101, _raise, "over_long"),
    ],
)
def test_a_row_that_cannot_be_trusted_does_not_come_out(text, act, reason) -> None:  # type: ignore[no-untyped-def]
    settings = TextSettings(max_refused_fraction=0.5, max_characters=100, row_time_limit_seconds=1)
    records, report = Anonymizer(Failing(act), settings).run(rows(["fine", text, "well"]))
    assert [record.record_id for record in records] == ["r0", "r2"]
    assert report.refused == ((reason, 1),)
    assert (report.rows, report.returned) == (3, 2)


def test_more_refused_rows_than_allowed_give_nothing_and_no_words() -> None:
    with pytest.raises(AnonymizationError) as caught:
        Anonymizer(Failing(_raise), TextSettings()).run(rows(["bad secretword"] * 2 + ["fine"] * 98))
    assert "2 of 100" in str(caught.value)
    assert "secretword" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("stop", range(1, 7))
def test_whatever_a_run_had_finished_is_in_the_cache_when_it_is_interrupted(tmp_path: Path, stop: int) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == stop:
            raise KeyboardInterrupt

    texts, settings = ["one", "two", "half a pair \ud800", "bad", "five", "six"], TextSettings(max_refused_fraction=1)
    first, second = SpanCache(tmp_path / "spans", KEY), SpanCache(tmp_path / "spans", KEY)
    with pytest.raises(KeyboardInterrupt):
        Anonymizer(Failing(_raise), settings, first).run(rows(texts), interrupt)
    _, report = Anonymizer(Failing(_raise), settings, second).run(rows(texts))  # the first was not even closed
    assert report.from_cache == len([text for text in texts[:stop] if text in ("one", "two", "five", "six")])


def test_what_was_anonymized_is_not_anonymized_again(engine: Engine, settings: TextSettings) -> None:
    records, _ = Anonymizer(engine, settings).run(rows(NOTES[:1]))
    with pytest.raises(AnonymizationError):
        Anonymizer(engine, settings).run(records)  # type: ignore[arg-type]


def test_order_label_and_patient_are_kept_and_progress_is_told(engine: Engine, settings: TextSettings) -> None:
    told: list[tuple[int, int]] = []
    records, report = Anonymizer(engine, settings).run(rows(NOTES[:5]), lambda done, total: told.append((done, total)))
    assert [(r.record_id, r.label, r.patient_id) for r in records] == [(f"r{i}", "label", f"p{i}") for i in range(5)]
    assert told == [(i, 5) for i in range(1, 6)]
    assert sum(count.count for count in report.findings) == sum(len(r.findings) for r in records)
    assert all("Foley catheter" in r.text for r in records)
    assert report.words_kept_fraction < 1


def test_no_row_record_or_report_shows_text(engine: Engine, settings: TextSettings) -> None:
    records, report = Anonymizer(engine, settings).run(rows(NOTES[:1]))
    for shown in (repr(rows(NOTES)[0]), repr(records[0]), report.to_json(), repr(report)):
        assert "Zorblatt" not in shown
        assert "cough" not in shown


def test_no_log_line_holds_a_word_of_the_text(engine, settings, caplog) -> None:  # type: ignore[no-untyped-def]
    for name in ("", "presidio-analyzer", "tldextract", "spacy", "privacy", "privacy.text"):
        caplog.set_level(logging.DEBUG, logger=name or None)
    with caplog.at_level(logging.DEBUG):
        Anonymizer(engine, settings).run(rows([*NOTES[:3], "passport number 123456789 of Quenby Zorblatt"]))
    logged = caplog.text.lower()
    assert not [word for word in ("zorblatt", "quenby", "4827100", "passport", "123456789", "cough") if word in logged]


def test_two_workers_find_what_one_finds(engine: Engine, settings: TextSettings) -> None:
    one, report_one = Anonymizer(engine, settings).run(rows(NOTES))
    two, report_two = Anonymizer(engine, settings.model_copy(update={"workers": 2})).run(rows(NOTES))
    assert one == two
    assert dataclasses.replace(report_one, seconds=0.0) == dataclasses.replace(report_two, seconds=0.0)


def test_the_cache_changes_nothing_but_the_time(engine: Engine, settings: TextSettings, tmp_path: Path) -> None:
    plain, _ = Anonymizer(engine, settings).run(rows(NOTES[:6]))
    with SpanCache(tmp_path / "spans.sqlite", KEY) as cache:
        first, report_first = Anonymizer(engine, settings, cache).run(rows(NOTES[:6]))
    with SpanCache(tmp_path / "spans.sqlite", KEY) as cache:
        second, report_second = Anonymizer(engine, settings, cache).run(rows(NOTES[:6]))
    assert plain == first == second
    assert (report_first.from_cache, report_second.from_cache) == (0, 6)


def test_the_cache_is_private_and_holds_no_word(engine: Engine, settings: TextSettings, tmp_path: Path) -> None:
    path = tmp_path / "spans.sqlite"
    old = os.umask(0)
    try:
        with SpanCache(path, KEY) as cache:
            Anonymizer(engine, settings, cache).run(rows(NOTES))
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_bytes()
    assert b"PERSON" in content
    for word in (b"Zorblatt", b"Quenby", b"4827100", b"cough", b"Foley"):
        assert word not in content
    with SpanCache(path, KEY) as cache:
        cache.purge()
        assert len(cache) == 0
    assert b"PERSON" not in path.read_bytes()


def test_the_cache_forgets_the_least_recently_used(tmp_path: Path) -> None:
    finding = [Finding(0, 1, "PERSON", 0.5, "x")]
    with SpanCache(tmp_path / "c", KEY, max_rows=2) as cache:
        for text in ("aa", "bb"):
            cache.put(text, "0" * 64, finding)
        assert cache.get("aa", "0" * 64) == finding
        cache.put("cc", "0" * 64, finding)
        assert [cache.get(text, "0" * 64) is not None for text in ("aa", "bb", "cc")] == [True, False, True]
        assert len(cache) == 2


def test_the_cache_knows_nothing_under_another_key_or_engine_or_after_tampering(tmp_path: Path) -> None:
    path = tmp_path / "c"
    with SpanCache(path, KEY) as cache:
        cache.put("aa", "0" * 64, [Finding(0, 1, "PERSON", 0.5, "x")])
        assert cache.get("aa", "1" * 64) is None
    with SpanCache(path, bytes(32)) as cache:
        assert cache.get("aa", "0" * 64) is None
    with sqlite3.connect(path) as database:
        database.execute("UPDATE spans SET value = CAST(substr(value, 1, 32) AS BLOB) || CAST('[]' AS BLOB)")
    with SpanCache(path, KEY) as cache:
        assert cache.get("aa", "0" * 64) is None


def test_a_file_that_is_no_cache_is_refused_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"no database at all, but long enough to be read as one" * 20)
    with pytest.raises(SettingsError, match="delete"):
        SpanCache(tmp_path / "c", KEY)


def test_the_commitment_hides_the_counts_and_binds_them(engine: Engine, settings: TextSettings) -> None:
    _, report = Anonymizer(engine, settings).run(rows(NOTES[:2]))
    assert commitment(report, KEY) == commitment(report, KEY)
    assert commitment(report, KEY) != commitment(report, bytes(32))
    assert commitment(report, KEY) != commitment(dataclasses.replace(report, rows=3), KEY)
    with pytest.raises(ValueError, match="32 bytes"):
        commitment(report, b"short")


def test_recall_counts_only_spans_that_are_gone_whole() -> None:
    record = AnonymizedRecord(
        "a", "", None, None, (Finding(0, 5, "DATE_TIME", 1.0, "x"), Finding(5, 8, "PERSON", 1.0, "x"))
    )
    planted = {
        "a": [PlantedSpan(0, 8, "PERSON"), PlantedSpan(6, 9, "PERSON"), PlantedSpan(1, 2, "US_SSN")],
        "b": [PlantedSpan(0, 1, "PERSON")],
    }
    recall = recall_on_planted([record], planted)
    assert (recall.found, recall.planted) == (2, 3)
    assert recall.by_type == (("PERSON", 1, 2), ("US_SSN", 1, 1))


def test_the_fingerprint_covers_what_changes_findings_and_nothing_else(engine: Engine, settings: TextSettings) -> None:
    same = settings.model_copy(update={"workers": 2, "max_refused_fraction": 0.5})
    assert engines.load(same).fingerprint == engine.fingerprint
    for change in (
        {"deny_list": ("ward nine",)},
        {"score_threshold": 0.4},
        {"countries": ("US", "GB")},
        {"mrn_pattern": r"H-\d{6}"},
    ):
        assert engines.load(settings.model_copy(update=change)).fingerprint != engine.fingerprint


def test_a_sites_own_terms_and_number_format_go(settings: TextSettings) -> None:
    own = settings.model_copy(update={"deny_list": ("Rosenweg Unit", "oberon"), "mrn_pattern": r"H-\d{3}-[A-Z]{2}"})
    records, _ = Anonymizer(engines.load(own), own).run(rows(["moved to rosenweg  UNIT, then Oberon; H-123-XY filed"]))
    assert records[0].text == "moved to <SITE_TERM>, then <SITE_TERM>; <MEDICAL_RECORD_NUMBER> filed"
