# SPDX-License-Identifier: Apache-2.0
"""collab-audit as a person or a script meets it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from privacy.audit.cli import main
from privacy.audit.keys import SigningKey

Capture = pytest.CaptureFixture[str]


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
    assert all(site["epsilon"] and site["unit"] == "patient" for site in row["sites"] if site["phase"] == "update")


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
    other = SigningKey(b"\x02" * 32).verify_key().hex()
    assert main(["verify", str(true_log), "--key", other]) == 4
    assert "another key" in capsys.readouterr().out


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
