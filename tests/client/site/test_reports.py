# SPDX-License-Identifier: Apache-2.0
"""What a site tells itself: exact, readable by its owner alone, and never a word of a note."""

from __future__ import annotations

from pathlib import Path

from client.site.reports import SiteReports
from privacy.base.errors import PlanRefused, SettingsError


def test_a_refusal_is_kept_with_its_sentence_and_next_step(tmp_path: Path) -> None:
    reports = SiteReports(tmp_path)
    reports.refused("spring", 2, "update", PlanRefused("too little noise", reason="policy", next_step="ask"))
    (event,) = reports.events("spring")
    assert (event["event"], event["round"], event["phase"]) == ("refused", 2, "update")
    assert event["why"] == "too little noise\nNext step: ask"


def test_an_unforeseen_error_is_named_by_its_class_alone(tmp_path: Path) -> None:
    reports = SiteReports(tmp_path)
    reports.refused("spring", 2, "update", ValueError("Jane Doe has a fever"))
    assert "Jane" not in (tmp_path / "spring.jsonl").read_text()
    assert reports.events("spring")[0]["why"] == "unforeseen ValueError"


def test_reports_are_their_owners_alone_one_file_a_run(tmp_path: Path) -> None:
    reports = SiteReports(tmp_path)
    for run in ("spring", "autumn"):
        reports.refused(run, 1, "hello", SettingsError("no"))
    assert reports.runs() == ["autumn", "spring"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.jsonl")} == {0o600}
    assert reports.events("winter") == []


def test_who_watches_is_told_of_each_event_and_of_steps_that_are_not_written(tmp_path: Path) -> None:
    told: list[dict[str, object]] = []
    reports = SiteReports(tmp_path, told.append)
    reports.progress("spring", 1, 3, 5, 0.5)
    reports.prepared("spring", {"rows": 12}, {"rows": 12})
    assert [event["event"] for event in told] == ["step", "prepared"]
    assert [event["event"] for event in reports.events("spring")] == ["prepared"]
