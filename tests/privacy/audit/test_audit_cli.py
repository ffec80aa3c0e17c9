# SPDX-License-Identifier: Apache-2.0
"""collab-audit as a person or a script meets it."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from privacy.audit.cli import main
from privacy.log.keys import SigningKey
from privacy.log.note import NoteKey

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _a_wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """How tables fold is tested in test_cli_terminal.py."""
    monkeypatch.setenv("COLUMNS", "200")


def test_verify_says_what_was_checked(true_log: Path, capsys: Capture) -> None:
    assert main(["verify", str(true_log)]) == 0
    printed = capsys.readouterr().out
    assert "log collab/woods: 28 entries, 29 checkpoints" in printed
    assert "taken from the folder" in printed
    assert "run spring (simulated): 2 of 2 rounds aggregated, closed" in printed
    assert "9 claimed epsilons computed again, 8 blobs hashed" in printed
    assert printed.endswith("verified: everything holds\n")


def test_replay_says_how_many_rounds_are_equal(true_log: Path, capsys: Capture) -> None:
    assert main(["replay", str(true_log)]) == 0
    assert "2 of 2 rounds replayed bit for bit, 4 updates within their clip norm" in capsys.readouterr().out


def test_show_prints_rounds_and_sites_with_epsilon_unit_and_accountant(true_log: Path, capsys: Capture) -> None:
    assert main(["show", str(true_log), "--round", "1"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "refused by site: policy" in printed
    assert "unit patient (prv)" in printed.replace("unit\n", "unit ")
    assert main(["show", str(true_log)]) == 0
    assert "aggregated" in capsys.readouterr().out


def test_show_tells_what_was_done_and_not_digests_alone(true_log: Path, capsys: Capture) -> None:
    assert main(["show", str(true_log)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for told in ("public seed", "noise_multiplier", "learning_rate", "optimizer", "threads"):
        assert told in printed, told


def test_every_command_prints_one_json_value(true_log: Path, capsys: Capture) -> None:
    for command in ("verify", "replay"):
        assert main([command, str(true_log), "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert (report["exit_code"], report["findings"], report["incomplete"]) == (0, [], [])
    assert main(["show", str(true_log), "--json", "--round", "2"]) == 0
    (run,) = json.loads(capsys.readouterr().out)
    (row,) = run["rounds"]
    assert (row["server_round"], row["outcome"], row["included"], row["total_weight"]) == (2, "aggregated", 2, 5)
    assert {site["site"] for site in row["sites"]} == {"alder", "birch", "cedar"}
    spent = [site["spent"] for site in row["sites"] if site["phase"] == "update"]
    assert all(of["epsilon"] > 0 and of["unit"] == "patient" for of in spent)


@pytest.mark.parametrize("form", ["line", "hex", "file"])
def test_the_key_can_be_given_in_every_form(true_log: Path, tmp_path: Path, capsys: Capture, form: str) -> None:
    line = (true_log / "log.vkey").read_text()
    (tmp_path / "kept.vkey").write_text(line)
    key = {
        "line": line.strip(),
        "hex": SigningKey(b"\x01" * 32).verify_key().hex(),
        "file": str(tmp_path / "kept.vkey"),
    }
    assert main(["verify", str(true_log), "--key", key[form]]) == 0
    assert "(as given)" in capsys.readouterr().out
    (true_log / "log.vkey").unlink()
    assert main(["verify", str(true_log), "--key", key[form]]) == 0
    assert "(as given)" in capsys.readouterr().out


def test_a_wrong_key_is_named_beside_the_one_that_was_found(true_log: Path, capsys: Capture) -> None:
    other, own = SigningKey(b"\x02" * 32).verify_key(), SigningKey(b"\x01" * 32).verify_key()
    assert main(["verify", str(true_log), "--key", other.hex()]) == 4
    printed = capsys.readouterr().out
    assert f"key {own.fingerprint()} (found: NOT the one that was given)" in printed
    assert f"key {other.fingerprint()} (given)" in printed
    assert "(as given)" not in printed
    assert f"another key than the one given: found {own.fingerprint()}, given {other.fingerprint()}" in printed
    assert main(["verify", str(true_log), "--key", other.hex(), "--json"]) == 4
    report = json.loads(capsys.readouterr().out)
    assert (report["key_fingerprint"], report["key_expected"]) == (own.fingerprint(), other.fingerprint())
    assert not report["key_pinned"]


def test_a_key_line_of_another_log_is_found_even_when_the_key_is_the_same(true_log: Path, capsys: Capture) -> None:
    line = NoteKey("collab/fields", SigningKey(b"\x01" * 32).verify_key()).vkey()
    assert main(["verify", str(true_log), "--key", line]) == 4
    assert "this is the log of collab/woods, the key given is of collab/fields" in capsys.readouterr().out


def test_a_log_without_its_key_file_is_held_against_the_key_that_was_given(true_log: Path, capsys: Capture) -> None:
    (true_log / "log.vkey").unlink()
    assert main(["verify", str(true_log), "--key", SigningKey(b"\x02" * 32).verify_key().hex()]) == 4
    assert "must be signed once by collab/woods" in capsys.readouterr().out
    assert main(["verify", str(true_log)]) == 2
    assert "holds no log.vkey" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "{log}", "--key", "missing.vkey"], "there is no file missing.vkey"),
        (["verify", "{log}", "--seen", "missing.note"], "missing.note cannot be read"),
        (["verify", "{log}nosuch"], "there is no folder"),
        (["replay", "{log}nosuch"], "there is no folder"),
        (["show", "{log}nosuch"], "there is no folder"),
        (["copy", "{log}nosuch", "{log}copy"], "there is no folder"),
        (["show", "{log}", "--run", "autumn"], "the log holds no run of that name"),
        (["show", "{log}", "--round", "9"], "the log holds no round 9"),
    ],
)
def test_what_is_not_there_is_named(true_log: Path, capsys: Capture, arguments: list[str], said: str) -> None:
    assert main([argument.format(log=true_log) for argument in arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_checkpoint_that_holds_is_mentioned(true_log: Path, tmp_path: Path, capsys: Capture) -> None:
    kept = tmp_path / "kept.note"
    with closing(sqlite3.connect(true_log / "log.sqlite")) as database:
        kept.write_text(database.execute("SELECT note FROM checkpoints WHERE size = 20").fetchone()[0])
    assert main(["verify", str(true_log), "--seen", str(kept)]) == 0
    assert "1 checkpoint kept elsewhere: continued by this log" in capsys.readouterr().out
    assert main(["verify", str(true_log), "--seen", str(kept), "--seen", str(kept), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seen_held"] == 2


def test_one_is_one_and_two_are_two(build_log: Callable[..., Path], tmp_path: Path, capsys: Capture) -> None:
    folder = build_log(tmp_path / "log", lambda place, value: None if "run_closed" in place else value)
    main(["verify", str(folder)])
    assert "but 1 thing is missing" in capsys.readouterr().out
    next((folder / "blobs").iterdir()).unlink()
    main(["verify", str(folder)])
    assert "but 2 things are missing" in capsys.readouterr().out
    (folder / "blobs" / sorted(path.name for path in (folder / "blobs").iterdir())[0]).write_bytes(b"x")
    main(["verify", str(folder)])
    assert "not verified: 1 finding;" in capsys.readouterr().out


def test_one_run_of_several_is_shown_alone(true_log: Path, capsys: Capture) -> None:
    assert main(["show", str(true_log), "--run", "spring", "--json"]) == 0
    assert [run["run_id"] for run in json.loads(capsys.readouterr().out)] == ["spring"]


def test_a_wrong_log_ends_with_4_and_says_where(true_log: Path, capsys: Capture) -> None:
    with closing(sqlite3.connect(true_log / "log.sqlite")) as database, database:
        database.execute("DELETE FROM entries WHERE position = 10")
    assert main(["verify", str(true_log)]) == 4
    printed = capsys.readouterr().out
    assert "WRONG       entry 10: this entry is missing" in printed
    assert "not verified" in printed


def test_a_damaged_log_ends_with_4(true_log: Path, capsys: Capture) -> None:
    (true_log / "log.sqlite").write_bytes(b"not a database at all" * 400)
    for command in ("verify", "replay", "show"):
        assert main([command, str(true_log)]) == 4
        assert "log.sqlite is damaged" in capsys.readouterr().err


def test_an_incomplete_log_ends_with_5(build_log: Callable[..., Path], tmp_path: Path, capsys: Capture) -> None:
    folder = build_log(tmp_path / "log", lambda place, value: None if "run_closed" in place else value)
    assert main(["verify", str(folder)]) == 5
    assert "INCOMPLETE  entry 0: run spring is not closed" in capsys.readouterr().out


def test_a_cut_log_is_found_with_a_kept_checkpoint(true_log: Path, tmp_path: Path, capsys: Capture) -> None:
    kept = tmp_path / "kept.note"
    with closing(sqlite3.connect(true_log / "log.sqlite")) as database, database:
        (note,) = database.execute("SELECT note FROM checkpoints WHERE size = 28").fetchone()
        kept.write_text(note)
        database.execute("DELETE FROM entries WHERE position >= 20")
        database.execute("DELETE FROM checkpoints WHERE size > 20")
    assert main(["verify", str(true_log)]) == 5
    assert main(["verify", str(true_log), "--seen", str(kept)]) == 4
    assert "the log was cut here: somebody saw 28 signed entries" in capsys.readouterr().out
    kept.write_text(note.split("\n\n")[0] + "\n")
    assert main(["verify", str(true_log), "--seen", str(kept)]) == 4
    kept.write_text(kept.read_text().replace("collab/woods", "collab/fields"))
    assert main(["verify", str(true_log), "--seen", str(kept)]) == 4
    assert "of another log" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify"],
        ["verify", "no/such/folder"],
        ["replay", "no/such/folder"],
        ["show", "no/such/folder"],
        ["verify", "{log}", "--key", "nonsense"],
        ["verify", "{log}", "--seen", "no/such/file"],
        ["show", "{log}", "--round", "77"],
        ["show", "{log}", "--round", "-1"],
        ["prove", "{log}"],
    ],
)
def test_wrong_usage_ends_with_2_and_a_next_step(true_log: Path, capsys: Capture, arguments: list[str]) -> None:
    assert main([argument.format(log=true_log) for argument in arguments]) == 2
    assert "Error" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["verify", "replay", "show"])
def test_help_teaches(capsys: Capture, command: str) -> None:
    assert main([command, "--help"]) == 0
    printed = capsys.readouterr().out
    assert "Example: collab-audit" in " ".join(printed.split())
    assert "DIR" in printed


def numbers_in_text(value: object, where: str = "") -> list[str]:
    """Places of strings that look like numbers, or like sentences, where a value was promised."""
    if isinstance(value, dict):
        named = {name: item for name, item in value.items() if name != "software"}  # a version may be "0"
        return [place for name, item in named.items() for place in numbers_in_text(item, f"{where}.{name}")]
    if isinstance(value, list):
        return [place for item in value for place in numbers_in_text(item, where)]
    looks = isinstance(value, str) and (re.fullmatch(r"-?[0-9.]{1,40}", value) or len(value.split()) > 2)
    return [where] if looks else []


def test_json_of_show_holds_values_and_no_sentences(true_log: Path, capsys: Capture) -> None:
    assert main(["show", str(true_log), "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert numbers_in_text(run) == []
    assert run["recipe"]["settings"]["run"] == {"name": "spring", "clip_norm": 0.5}
    assert (run["recipe"]["noise_multiplier"], run["recipe"]["evaluation_noise_multiplier"]) == (1.1, 4.5)
    assert run["self_checks"]["alder"]["recall"]["person"] == {"planted": 290, "found": 281}
    assert run["mechanism_checks"]["birch"]["sigma_tolerance"] == 0.001
    assert run["sites"]["cedar"]["deterministic"] is True
    assert run["opened_at"] == "2023-11-14T22:13:20.000+00:00" < run["closed_at"]
    first = run["rounds"][1]
    assert first["began_at"] < first["ended_at"]
    assert first["plan"]["privacy"]["target_delta"] == 0.00001
    assert 0 < first["accuracy"] < 1
    assert 0 < first["accuracy_std"] < 1
    assert 0 < first["macro_f1_std"] < 1
    assert first["counts"]["labels"] == ["heart", "lung", "skin"]
    counted = [site for site in first["sites"] if site["phase"] == "evaluate" and site["outcome"] == "received"]
    assert [sum(of) for of in zip(*(site["actual"] for site in counted), strict=True)] == first["counts"]["actual"]
    assert {site["noise_std"] > 0 for site in counted if site["site"] != "cedar"} == {True}
    updated = next(site for site in first["sites"] if site["phase"] == "update")
    assert updated["spent"]["epsilon"] > 0
    assert {event["noise_multiplier"] for event in updated["spent"]["events"]} == {1.1, 4.5}
    refused = next(site for site in first["sites"] if site["outcome"] == "refused")
    assert (refused["by"], refused["reason"]) == ("site", "policy")


def test_every_figure_that_people_read_has_its_noise(true_log: Path, capsys: Capture) -> None:
    assert main(["show", str(true_log)]) == 0
    printed = capsys.readouterr().out
    table = printed[printed.index("rounds of spring") :].split("plan of round")[0]
    assert "one standard deviation" in table
    assert table.count("0.") == 2 * table.count("+/- 0.") == 2 * 6


def test_a_plan_is_told_once_and_then_where_it_differs(true_log: Path, capsys: Capture) -> None:
    assert main(["show", str(true_log)]) == 0
    printed = capsys.readouterr().out
    assert "plan of round 2, where it differs" in printed
    assert printed.count("target epsilon 8") == 1
