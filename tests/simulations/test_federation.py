# SPDX-License-Identifier: Apache-2.0
"""A whole small federation, end to end: the same from run to run, private on the wire, without a network."""

from __future__ import annotations

import json
import logging
import shutil
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client import Site
from client.cli import main as client_main
from coordinator.settings import AnonymizationSection
from privacy.audit.stored import read_log
from privacy.audit.verification import verify
from privacy.base.errors import SettingsError, Unreachable
from privacy.commandline import terminal
from privacy.commandline.settings_file import render, settings_digest
from privacy.protocol.entries import AuditEntry, ReplyRefused, RoundPlanned, UpdateReceived
from privacy.protocol.messages import parse
from simulations.build import Built, build
from simulations.cli import app
from simulations.federation import Federation
from simulations.scenario import Scenario


def test_a_site_that_was_enrolled_is_opened_from_its_settings_and_tells_what_it_spent(finished: Any) -> None:
    site = Site.load(finished.out / "sites" / "hospital_a.toml")
    (account,) = site.accounts()
    told = next(one for one in finished.outcome.sites if one.site == "hospital_a")
    assert float(account.epsilon_spent) == told.epsilon_spent
    assert (account.unit, account.accountant, account.runs[0].run_id) == ("patient", "prv", "small")
    assert [event.run_id for event in site.events("small")] == ["small"] * len(site.events("small"))
    assert site.events("small") != site.events("unheard-of") == []
    with pytest.raises(SettingsError, match="not enrolled"):
        Site.load(finished.out / "sites" / "holdout.toml")


class Killed(BaseException):
    """The process is gone: nothing may catch it."""


def charges(out: Path) -> dict[str, list[dict[str, Any]]]:
    """All that the sites' ledgers charged, in order; not how much of the log a site had seen then."""
    found = {}
    for path in sorted((out / "sites").glob("*/ledger.sqlite")):
        with sqlite3.connect(path) as ledger:
            rows = ledger.execute("select body from entry where kind = 'reservation' order by number")
            found[path.parent.name] = [json.loads(body) | {"seen_tree_size": None} for (body,) in rows]
    return found


def test_a_finished_simulation_tells_what_it_did_and_its_log_holds(finished: Any) -> None:
    outcome = finished.outcome
    assert outcome.rounds == outcome.log.rounds_replayed == 2
    assert outcome.log.verified
    assert {site.site for site in outcome.sites} == {"hospital_a", "hospital_b"}
    for site in outcome.sites:
        assert site.simulated
        assert site.examples > 0
        assert 0 < site.epsilon_spent <= site.epsilon_limit
        assert 0 < site.identifiers_found <= site.identifiers_planted
        assert (site.unit, site.accountant) == ("patient", "prv")
    told = json.loads(json.dumps(outcome.as_json()))
    assert {
        "final_model_sha256", "rounds", "sites", "accuracy_before", "accuracy_after", "log", "seconds",
    } <= set(told)  # fmt: skip
    assert verify(finished.out / "coordinator", expected_key=None).exit_code == 0
    assert [len(rows) for rows in charges(finished.out).values()] == [5, 5]  # three counts, two rounds, each


def test_every_update_in_the_log_says_what_its_sites_anonymizer_found_and_the_table_the_least_of_it(
    finished: Any,
) -> None:
    entries = [parse(AuditEntry, row.leaf) for row in read_log(finished.out / "coordinator").rows]
    bodies = [entry.body for entry in entries if isinstance(entry.body, UpdateReceived)]
    checks = {body.site: body.update.self_check for body in bodies}
    assert len(bodies) == 4
    assert all(body.update.self_check == checks[body.site] for body in bodies)
    assert checks["hospital_a"].engine_fingerprint == checks["hospital_b"].engine_fingerprint
    assert checks["hospital_a"].recall != checks["hospital_b"].recall
    for site in finished.outcome.sites:
        recall = checks[site.site].recall[site.least_recall_of.lower()]
        assert site.least_recall == recall.found / recall.planted
        assert all(site.least_recall <= other.found / other.planted for other in checks[site.site].recall.values())


def test_a_floor_that_no_anonymizer_reaches_stops_the_run_before_anything_is_charged(
    small: Scenario, tmp_path: Path
) -> None:
    federation = small.federation.model_copy(
        update={
            "anonymization": AnonymizationSection(self_check_notes=3, min_recall={"person": 1.0}),
            "rounds": small.federation.rounds.model_copy(update={"evaluate": False}),
        }
    )
    built = build(small.model_copy(update={"federation": federation}), tmp_path / "out", None, fresh=False)
    logged: list[AuditEntry] = []
    with pytest.raises(Unreachable, match="0 of at least 2 training sites"):
        Federation(built).rounds(logged.append)
    refused = [entry.body for entry in logged if isinstance(entry.body, ReplyRefused)]
    assert [(body.site, body.by, body.reason) for body in refused] == [
        ("hospital_a", "site", "recall_below_floor"),
        ("hospital_b", "site", "recall_below_floor"),
    ]
    assert [len(rows) for rows in charges(tmp_path / "out").values()] == [0, 0]
    assert verify(tmp_path / "out" / "coordinator", expected_key=None).findings == ()


def test_a_second_run_from_scratch_and_without_a_network_gives_the_same_model_and_logs_no_text(
    small: Scenario,
    finished: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the scenario alone, anonymization and training included: other folders, another time of day."""

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("something reached for the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refused)
    for name in ("getaddrinfo", "create_connection", "gethostbyname"):
        monkeypatch.setattr(socket, name, refused)
    with caplog.at_level(logging.DEBUG):
        again = Federation(build(small, tmp_path / "again", None, fresh=False)).rounds()
    assert again.final_model == finished.outcome.final_model_sha256
    assert not [text for text in _private_strings(tmp_path / "again") if text in caplog.text]


@pytest.mark.slow
def test_another_seed_gives_another_model(small: Scenario, finished: Any, tmp_path: Path) -> None:
    other = small.model_copy(update={"seed": 2})
    assert settings_digest(other) != settings_digest(small)
    closed = Federation(build(other, tmp_path / "other", None, fresh=False)).rounds()
    assert closed.final_model != finished.outcome.final_model_sha256


@pytest.mark.parametrize("at", [13, *(pytest.param(at, marks=pytest.mark.slow) for at in (0, 2, 8, 9, 16, 22))])
def test_an_interrupted_simulation_goes_on_to_the_same_model_and_no_site_pays_twice(
    copy_of: Callable[..., Built], built_small: Path, finished: Any, at: int, small: Scenario
) -> None:
    built = copy_of(built_small)

    def die(entry: AuditEntry) -> None:
        if entry.index == at:
            raise Killed

    with pytest.raises(Killed):
        Federation(built).rounds(die)
    before = charges(built.out)
    closed = Federation(build(small, built.out, None, fresh=False)).rounds()
    assert closed.final_model == finished.outcome.final_model_sha256
    after = charges(built.out)
    assert all(after[site][: len(rows)] == rows for site, rows in before.items())
    assert after == charges(finished.out)
    assert verify(built.federation.root, expected_key=None).exit_code == 0


@pytest.mark.slow
def test_a_site_that_dies_in_training_has_paid_and_what_is_left_of_its_budget_ends_the_run(
    copy_of: Callable[..., Built], built_small: Path, small: Scenario
) -> None:
    """The plan takes the whole budget, so that one attempt too many leaves too little for the last round."""
    built = copy_of(built_small)
    federation = Federation(built)

    def dying(*_: Any) -> None:
        raise Killed

    federation.sites["hospital_b"].pipeline.train = dying  # type: ignore[method-assign]
    with pytest.raises(Killed):
        federation.rounds()
    with pytest.raises(Unreachable, match="1 of at least 2 updates"):
        Federation(build(small, built.out, None, fresh=False)).rounds()
    closed = Federation(build(small, built.out, None, fresh=False)).rounds()
    assert (closed.outcome, closed.rounds_aggregated) == ("done", 1)
    assert verify(built.federation.root, expected_key=None).exit_code == 0
    trained = [row["server_round"] for row in charges(built.out)["hospital_b"] if row["purpose"] == "train"]
    assert trained == [1, 1]  # the attempt that died stays charged, round 2 was refused before any training


def test_each_round_of_each_site_replays_to_the_digest_in_the_log(
    copy_of: Callable[..., Built], finished: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the command, on a simulated site's folder that was copied out, model files and all."""
    out = copy_of(finished.out).out
    before = charges(out)
    entries = [parse(AuditEntry, row.leaf) for row in read_log(out / "coordinator").rows]
    bodies = [(entry.server_round, entry.body) for entry in entries if isinstance(entry.body, UpdateReceived)]
    assert len(bodies) == 4
    for number, body in bodies:
        at = ["--site", body.site, "--sites-folder", str(out / "sites")]
        assert client_main([*at, "replay", "--run", "small", "--round", str(number), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["again"] == told["sent"] == body.update.payload_digest
        assert (told["verdict"], told["attempt"], told["attempts"]) == ("same", 1, 1)
    assert charges(out) == before
    assert client_main([*at, "replay", "--run", "small", "--round", "3"]) == 2
    assert "CANNOT COMPARE round 3 of small" in capsys.readouterr().out


@pytest.mark.slow  # of the loop alone: tests/privacy/dp/test_units.py
def test_several_notes_of_a_patient_a_step_are_a_setting_and_cost_the_same_epsilon(
    small: Scenario, tmp_path: Path
) -> None:
    """Every patient is drawn in every step; each brings one note, or up to three."""
    sizes, epsilons = {}, {}
    for notes in (1, 3):
        federation = small.federation.model_copy(
            update={
                "task": small.federation.task.model_copy(update={"max_tokens": 8}),
                "privacy": small.federation.privacy.model_copy(
                    update={"notes_per_patient": notes, "clipping": "bookkeeping"}
                ),
                "training": small.federation.training.model_copy(update={"rounds": 1, "sample_rate": 1.0}),
                "rounds": small.federation.rounds.model_copy(update={"evaluate": False}),
            }
        )
        out = tmp_path / str(notes)
        built = build(small.model_copy(update={"federation": federation}), out, None, fresh=False)
        Federation(built).rounds()
        assert verify(built.federation.root, expected_key=None).exit_code == 0
        bodies = [parse(AuditEntry, row.leaf).body for row in read_log(built.federation.root).rows]
        plans = [body.plan for body in bodies if isinstance(body, RoundPlanned)]
        assert [plan.privacy.notes_per_unit for plan in plans if plan.privacy] == [notes]
        updates = [body.update for body in bodies if isinstance(body, UpdateReceived)]
        epsilons[notes] = {update.spent.epsilon for update in updates if update.spent}
        sizes[notes] = _batch_sizes(out)
    assert len(sizes[1]) == 4  # two sites, two steps: their patients
    assert all(few < many <= 3 * few for few, many in zip(sizes[1], sizes[3], strict=True))
    assert epsilons[1] == epsilons[3]


def _batch_sizes(out: Path) -> list[int]:
    """Rows of each step at each site, from the reports that stay there."""
    lines = [
        line
        for path in sorted((out / "sites").glob("hospital_*/reports/small.jsonl"))
        for line in path.read_text().splitlines()
    ]
    trained = [event for event in map(json.loads, lines) if event["event"] == "trained"]
    return [step["batch_size"] for event in trained for step in event["steps"]]


# -- what crosses the border -------------------------------------------------------------------------------------------


def _notes(out: Path) -> list[dict[str, str]]:
    files = sorted((out / "sites").glob("hospital_*/data/notes.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def _planted(out: Path) -> set[str]:
    """The text of every planted identifier that is long enough to mean something."""
    texts = {note["record_id"]: note["text"] for note in _notes(out)}
    found = set()
    for path in sorted((out / "sites").glob("hospital_*/data/planted.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            found |= {texts[row["record_id"]][span["start"] : span["end"]] for span in row["spans"]}
    return {text for text in found if len(text) >= 5}


def _private_strings(out: Path) -> set[str]:
    """Planted identifiers, names of patients and records, every run of four words of a note, and paths."""
    found = _planted(out)
    for note in _notes(out):
        words = note["text"].split()
        found |= {" ".join(words[at : at + 4]) for at in range(len(words) - 3)}
        found |= {note["patient_id"], note["record_id"]}
    return found | {str(out), "notes.jsonl"}


def test_no_text_no_identifier_and_no_path_crosses_a_border(finished: Any) -> None:
    secret = _private_strings(finished.out)
    assert len(secret) > 2000
    crossed = b"\n".join(data for _, _, data in finished.crossed)
    assert len(finished.crossed) > 20
    assert not [text for text in secret if text.encode() in crossed]


def test_no_exact_count_crosses_a_border(finished: Any) -> None:
    """What leaves a site are fields of the message models; none of them is an exact figure of its data."""
    allowed = {
        "site_hello": {
            "context_digest", "policy_digest", "size_bucket", "role", "software", "device", "threads",
            "deterministic", "simulated", "environment_digest", "seen_tree_size",
        },
        "site_update": {
            "plan_digest", "payload_digest", "payload_bytes", "num_steps", "encoding", "spent",
            "secret_seed_commitment", "environment_digest", "anonymization_commitment", "self_check", "mechanism_check",
            "seen_tree_size",
        },
        "site_metrics": {
            "plan_digest", "correct", "incorrect", "right", "actual", "predicted", "noise_std", "spent",
            "seen_tree_size",
        },
    }  # fmt: skip
    kinds, statements = set(), set()
    for _, way, data in finished.crossed:
        if way == "in":
            continue
        decoder = json.JSONDecoder()
        text = data.decode("latin-1")
        envelope, end = decoder.raw_decode(text)
        body, _ = decoder.raw_decode(text, end)
        kinds.add(envelope["kind"])
        assert set(body) == allowed[envelope["kind"]]
        if "self_check" in body:  # counts of invented values; that no text is read for them: test_site_self_check.py
            assert set(body["self_check"]) == {"notes", "recall", "engine_fingerprint"}
        if "mechanism_check" in body:  # it follows from the plan alone, so it is the same at every site
            statements.add(json.dumps(body["mechanism_check"]))
        if envelope["kind"] == "site_metrics":
            assert float(body["noise_std"]) > 0.5  # of two counts, of which a unit moves one by 1
    assert kinds == set(allowed)
    assert len(statements) == 1


def test_the_counts_that_leave_are_not_the_counts_that_were_made(finished: Any) -> None:
    reports = [
        json.loads(line)
        for path in (finished.out / "sites").glob("hospital_*/reports/small.jsonl")
        for line in path.read_text().splitlines()
    ]
    exact = {event["examples"] for event in reports if event["event"] == "evaluated"}
    assert exact
    sent = []
    for _, way, data in finished.crossed:
        decoder = json.JSONDecoder()
        text = data.decode("latin-1")
        envelope, end = decoder.raw_decode(text)
        if way == "out" and envelope["kind"] == "site_metrics":
            sent.append(decoder.raw_decode(text, end)[0])
    assert len(sent) == 6
    pairs = {(body["correct"], body["incorrect"]) for body in sent}
    assert len(pairs) > 2  # two dev splits, six noised pairs
    assert not {correct + wrong for correct, wrong in pairs} <= exact
    assert all(body["right"] == body["actual"] == body["predicted"] == [] for body in sent)  # nobody asked by class


def test_the_coordinators_folder_holds_nothing_private(finished: Any) -> None:
    secret = _planted(finished.out)
    files = [path for path in (finished.out / "coordinator").rglob("*") if path.is_file()]
    data = b"\n".join(path.read_bytes() for path in files)
    assert not [text for text in secret if text.encode() in data]


def test_the_site_alone_can_read_what_it_keeps(finished: Any) -> None:
    for home in (finished.out / "sites").iterdir():
        if home.is_dir() and home.name.startswith("hospital"):
            assert home.stat().st_mode & 0o077 == 0
            for path in [*home.glob("reports/*"), home / "ledger.sqlite", home / "state.sqlite", home / "spans.sqlite"]:
                assert path.stat().st_mode & 0o077 == 0, path.name


# -- again ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_copy_of_the_finished_folder_tells_nothing_new(copy_of: Callable[..., Built], finished: Any) -> None:
    built = copy_of(finished.out)
    before = charges(built.out)
    assert Federation(built).run().final_model_sha256 == finished.outcome.final_model_sha256
    assert charges(built.out) == before
    shutil.rmtree(built.out)


def test_a_run_prints_one_json_object_and_the_same_command_again_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], small: Scenario, finished: Any, tmp_path: Path
) -> None:
    """The finished folder is given again: what was done is not done twice, and the outcome is the same."""
    file = tmp_path / "small.toml"
    file.write_text(render(small))
    monkeypatch.setattr("sys.argv", ["collab-sim", "run", str(file), "--out", str(finished.out), "--json"])
    assert terminal.run(app, "collab-sim") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["final_model_sha256"] == finished.outcome.final_model_sha256
    assert told["log"] == {"entries": finished.outcome.log.entries, "verified": True, "rounds_replayed": 2}
    wanted = {"site", "examples", "identifiers_planted", "identifiers_found", "loss", "accuracy", "epsilon_spent",
              "epsilon_limit", "unit"}  # fmt: skip
    assert all(wanted <= set(site) for site in told["sites"])
    assert json.loads((finished.out / "results.json").read_text())["rounds"] == 2
