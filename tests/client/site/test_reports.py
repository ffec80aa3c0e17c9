# SPDX-License-Identifier: Apache-2.0
"""What a site tells itself: exact, readable by its owner alone, and never a word of a note."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

from client.settings.site_settings import SiteSettings
from client.site.events import KINDS, Event, OtherEvent, PreparedEvent, RefusedEvent, StepEvent, read_event
from client.site.reports import SiteReports
from privacy.base.errors import PlanRefused, SettingsError
from privacy.dp.params import PrivacySpent

LINES = """
{"at": 1.5, "run_id": "spring", "event": "prepared", "corpus": {"read": 12, "refused": {"empty": 1}, "cut": 0, \
"most_notes": {"train": 3, "dev": 1, "test": 0}}, "anonymization": {"rows": 11, "refused": [["time_limit", 1]]}}
{"at": 1.5, "run_id": "spring", "event": "left_out", "unknown_labels": 2, "warnings": ["a", "b"]}
{"at": 1.5, "run_id": "spring", "event": "answered_without_data", "round": 1, "phase": "update", "why": "no"}
{"at": 1.5, "run_id": "spring", "event": "caught_up", "round": 1, "seen_tree_size": 7}
{"at": 1.5, "run_id": "spring", "event": "not_taken", "round": 3, "answered": 2}
{"at": 1.5, "run_id": "spring", "event": "sent", "round": 1, "phase": "update", "bytes": 4096}
{"at": 1.5, "run_id": "spring", "event": "took_longer", "round": 1, "seconds": 3.1, "wanted": 3.0}
{"at": 1.5, "run_id": "spring", "event": "self_check", "notes": 60, "recall": {"person": {"planted": 4, "found": 3}}, \
"engine_fingerprint": "ab"}
{"at": 1.5, "run_id": "spring", "event": "mechanism_check", "passed": true, "noise_multiplier": "1.1", \
"sample_rate": "0.1", "noise": {"draws": 9, "sigma_error": 0.01, "worst_stream_error": 0.2, "mean_z": 0.1, "ks": 0.3, \
"tails": [1, 0, 0, 0], "worst_correlation": 0.02, "broken": []}, "sampling": {"units": 5, "steps": 6, "rate": 0.1, \
"rate_z": 0.0, "batch_size_z": 0.1, "unit_count_z": 0.2, "repeat_z": 0.3, "broken": ["rate"]}}
{"at": 1.5, "run_id": "spring", "event": "trained", "round": 1, "examples": 30, "left_out": 2, "ran_away": false, \
"loss": 0.5, "learning_rate": "0.1", "head_learning_rate": null, "steps": [{"step": 0, "batch_size": 3, \
"mean_loss": null, "norm_quantiles": [0.0, 1.5], "seconds": 0.1, "left_out": 0}], "bytes_sent": 4096, \
"epsilon_of_run": "1.25", "delta": "0.00001", "unit": "patient", "accountant": "prv", "epsilon_limit": 8.0}
{"at": 1.5, "run_id": "spring", "event": "trained", "round": 1, "examples": 0, "left_out": 0, "ran_away": true, \
"loss": null, "learning_rate": "0.1", "head_learning_rate": "0.2", "steps": [], "bytes_sent": 4096, \
"epsilon_of_run": null, "private": false}
{"at": 1.5, "run_id": "spring", "event": "evaluated", "round": 2, "examples": 9, "accuracy": null, \
"epsilon_of_run": null, "private": false}
{"at": 1.5, "run_id": "spring", "event": "refused", "round": 1, "phase": "hello", "why": "too much"}
""".replace("\\\n", "")
"""One line or more of each kind, as they have been written since the reports began to hold it."""


EARLIER = {
    "prepared, before the most notes of a patient were counted (a409846 to 48074e5)": (
        '{"at": 1.5, "run_id": "spring", "event": "prepared", "corpus": {"read": 12, "refused": {"empty": 1}, '
        '"cut": 0, "rows": {"train": 9, "dev": 2, "test": 0}, "patients": {"train": 4, "dev": 1, "test": 0}, '
        '"labels": {"yes": 11}, "repeated_anywhere": 0}, "anonymization": {"rows": 11, "refused": []}}',
        "read 12 rows and anonymized them; nothing of it left this building",
    ),
    "trained, before rows were left out and numbers could run away (a409846 to cd8e46d)": (
        '{"at": 1.5, "run_id": "spring", "event": "trained", "round": 1, "examples": 30, "loss": 0.5, '
        '"learning_rate": "0.1", "head_learning_rate": null, "steps": [{"step": 0, "batch_size": 3, "mean_loss": 0.5, '
        '"norm_quantiles": [0.0, 1.5], "seconds": 0.1}], "bytes_sent": 4096, "epsilon_of_run": "1.25", '
        '"delta": "0.00001", "unit": "patient", "accountant": "prv", "epsilon_limit": 8.0}',
        "round 1: trained on 30 examples, loss 0.5000; 4,096 bytes of update are ready, "
        "noised and signed; epsilon 1.25 spent in this run (unit: patient)",
    ),
    "trained without noise, of an empty draw (a409846 to cd8e46d)": (
        '{"at": 1.5, "run_id": "spring", "event": "trained", "round": 1, "examples": 0, "loss": null, '
        '"learning_rate": "0.1", "head_learning_rate": "0.2", "steps": [], "bytes_sent": 4096, '
        '"epsilon_of_run": null, "private": false}',
        "round 1: trained on 0 examples; 4,096 bytes of update are ready, signed, WITHOUT noise",
    ),
    "evaluated (a409846)": (
        '{"at": 1.5, "run_id": "spring", "event": "evaluated", "round": 2, "examples": 9, "accuracy": 0.5, '
        '"epsilon_of_run": "1.25", "delta": "0.00001", "unit": "record", "accountant": "rdp", "epsilon_limit": 8.0}',
        "round 2: counted 9 examples; the counts are ready, "
        "noised and signed; epsilon 1.25 spent in this run (unit: record)",
    ),
    "refused (a409846)": (
        '{"at": 1.5, "run_id": "spring", "event": "refused", "round": 1, "phase": "update", "why": "too little noise"}',
        "round 1: REFUSED (update); only a reason code leaves this building. Here is why:\ntoo little noise",
    ),
    "self_check (6579076)": (
        '{"at": 1.5, "run_id": "spring", "event": "self_check", "notes": 60, "recall": {"person": {"planted": 4, '
        '"found": 3}, "date": {"planted": 2, "found": 2}}, "engine_fingerprint": "ab"}',
        "self-check: 60 invented notes, recall DATE 1.00, PERSON 0.75",
    ),
    "mechanism_check (cb31a15)": (
        '{"at": 1.5, "run_id": "spring", "event": "mechanism_check", "passed": false, "noise_multiplier": "1.1", '
        '"sample_rate": "0.1", "noise": {"draws": 90000, "sigma_error": 0.01, "worst_stream_error": 0.2, '
        '"mean_z": 0.1, "ks": 0.3, "tails": [1, 0, 0, 0], "worst_correlation": 0.02, "broken": ["sigma"]}, '
        '"sampling": {"units": 5, "steps": 6, "rate": 0.1, "rate_z": 0.0, "batch_size_z": 0.1, "unit_count_z": 0.2, '
        '"repeat_z": 0.3, "broken": []}}',
        "mechanism check FAILED: sigma off by +1.0e-02 over 90,000 draws, streams correlate by 2.0e-02 at most; "
        "no data was read for it",
    ),
}
"""Lines as earlier commits wrote them (the first that did; until which one), and the sentence that they have had since.

No line of this list may be changed: a site's reports are kept for years.
"""


def kinds_on_disk() -> set[str]:
    return {json.loads(line)["event"] for line in LINES.strip().splitlines()}


@pytest.mark.parametrize("line", LINES.strip().splitlines(), ids=lambda line: json.loads(line)["event"])
def test_a_line_that_was_written_is_read_and_would_be_written_again_byte_for_byte(line: str) -> None:
    event = read_event(json.loads(line))
    assert not isinstance(event, OtherEvent)
    assert event.model_extra == {}
    assert json.dumps(event.as_json()) == line
    assert event.sentence != event.kind


def test_every_kind_of_event_stands_among_those_lines() -> None:
    assert {model.kind for model in get_args(Event)} == set(KINDS)
    assert set(KINDS) - {StepEvent.kind, OtherEvent.kind} == kinds_on_disk()


@pytest.mark.parametrize(("line", "sentence"), EARLIER.values(), ids=EARLIER)
def test_a_line_of_an_earlier_version_keeps_its_sentence_and_its_bytes(line: str, sentence: str) -> None:
    event = read_event(json.loads(line))
    assert event.sentence == sentence
    assert json.dumps(event.as_json()) == line


def test_a_report_of_an_earlier_version_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "spring.jsonl").write_text("".join(f"{line}\n" for line, _ in EARLIER.values()))
    events = SiteReports(tmp_path).events("spring")
    assert [event.kind for event in events] == [name.split(",")[0].split(" ")[0] for name in EARLIER]
    assert {type(event) for event in events}.isdisjoint({OtherEvent})
    prepared = events[0]
    assert isinstance(prepared, PreparedEvent)
    assert prepared.most_notes == {}


def test_what_other_versions_wrote_is_kept_as_it_is(tmp_path: Path) -> None:
    gone = {"at": 1.5, "run_id": "spring", "event": "rested", "hours": 8}
    more = {"at": 1.5, "run_id": "spring", "event": "caught_up", "round": 1, "seen_tree_size": 7, "by": "proof"}
    (tmp_path / "spring.jsonl").write_text(json.dumps(gone) + "\n" + json.dumps(more) + "\n")
    events = SiteReports(tmp_path).events("spring")
    assert [event.as_json() for event in events] == [gone, more]
    assert events[0].sentence == "rested"


@dataclass(frozen=True)
class Plan:
    """What a report takes of an evaluation's plan."""

    run_id: str = "spring"
    server_round: int = 2


@dataclass(frozen=True)
class Counts:
    """What a report takes of counts."""

    actual: tuple[int, ...] = (4, 5)
    accuracy: float | None = 0.5


SETTINGS = SiteSettings.model_validate(
    {
        "site": {"name": "clinic"},
        "data": {"files": (Path("notes.jsonl"),), "dataset": "notes"},
        "policy": {"unit": "record", "epsilon_limit": 8.0, "delta": 1e-5, "size_bucket": 32},
    }
)


def test_what_was_charged_stands_at_the_end_of_a_line(tmp_path: Path) -> None:
    reports, plan, counts = SiteReports(tmp_path), Plan(), Counts()
    spent = PrivacySpent(epsilon="0.5", delta="0.00001", unit="record", accountant="prv", events=())
    for cost in (spent, None):
        reports.evaluated(plan, counts, cost, SETTINGS)  # type: ignore[arg-type]
    private, plain = ((tmp_path / "spring.jsonl").read_text()).splitlines()
    cost_of_it = (
        '"epsilon_of_run": "0.5", "delta": "0.00001", "unit": "record", "accountant": "prv", "epsilon_limit": 8.0}'
    )
    assert private.endswith(f'"event": "evaluated", "round": 2, "examples": 9, "accuracy": 0.5, {cost_of_it}')
    assert plain.endswith('"accuracy": 0.5, "epsilon_of_run": null, "private": false}')


def test_a_refusal_is_kept_with_its_sentence_and_next_step(tmp_path: Path) -> None:
    reports = SiteReports(tmp_path)
    reports.refused("spring", 2, "update", PlanRefused("too little noise", reason="policy", next_step="ask"))
    (event,) = reports.events("spring")
    assert isinstance(event, RefusedEvent)
    assert (event.round, event.phase) == (2, "update")
    assert event.why == "too little noise\nNext step: ask"


def test_an_unforeseen_error_is_named_by_its_class_alone(tmp_path: Path) -> None:
    reports = SiteReports(tmp_path)
    reports.refused("spring", 2, "update", ValueError("Jane Doe has a fever"))
    assert "Jane" not in (tmp_path / "spring.jsonl").read_text()
    assert reports.events("spring")[0].as_json()["why"] == "unforeseen ValueError"


def test_reports_are_their_owners_alone_one_file_a_run(tmp_path: Path) -> None:
    reports = SiteReports(tmp_path)
    for run in ("spring", "autumn"):
        reports.refused(run, 1, "hello", SettingsError("no"))
    assert reports.runs() == ["autumn", "spring"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.jsonl")} == {0o600}
    assert reports.events("winter") == []


def test_who_watches_is_told_of_each_event_and_of_steps_that_are_not_written(tmp_path: Path) -> None:
    told: list[Event] = []
    reports = SiteReports(tmp_path, told.append)
    reports.progress("spring", 1, 3, 5, 0.5)
    reports.prepared("spring", {"rows": 12}, {"rows": 12})
    assert [event.kind for event in told] == ["step", "prepared"]
    assert [event.kind for event in reports.events("spring")] == ["prepared"]
