# SPDX-License-Identifier: Apache-2.0
"""collab-client from enroll to report: what it prints, what it refuses, and that no secret is in any of it."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from client import cli
from client.enrolment import enroll, stored_kit
from client.settings.site_settings import SiteFolder, SiteSettings
from client.site.events import read_event
from client.site.state import SiteState
from coordinator import cli as coordinator
from privacy.base.identifiers import sha256
from privacy.base.randomness import PublicSeed
from privacy.commandline.settings_file import parse_toml
from privacy.dp.ledger import Charge, Ledger, Release
from privacy.dp.params import PrivacyEvent
from privacy.protocol.checkpoint import Checkpoint
from privacy.protocol.messages import parse
from privacy.update.delta import ModelContract, model_vector

COMMANDS = [
    "enroll",
    "join",
    "describe",
    "check",
    "report",
    "seen",
    "replay",
    "ledger",
    "withdraw",
    "budget",
    "decline",
    "preview",
]
COMMANDS += ["anonymize", "review-sample", "search"]
SITE = """
[site]
name = "hospital_a"
[text]
names = "none"
[data]
files = ["../notes.jsonl"]
dataset = "notes"
[policy]
unit = "record"
epsilon_limit = 8.0
delta = 1e-5
size_bucket = 32
"""
AT_SITE = ["--site", "hospital_a"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one site and a federation; the notes are invented."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites/hospital_a.toml").write_text(SITE)
    notes = [{"text": f"Invented note number {at}: stable, home today.", "label": "no"} for at in range(30)]
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
    assert coordinator.main(["init", "lung", "--host", "localhost", "--port", "19443"]) == 0
    return tmp_path


def site(here: Path) -> SiteFolder:
    return SiteFolder(here / "sites/hospital_a.toml")


def joined(here: Path) -> None:
    assert cli.main([*AT_SITE, "enroll"]) == 0
    assert coordinator.main(["admit", "lung", "sites/hospital_a/enrolment.json", "--yes"]) == 0
    assert cli.main([*AT_SITE, "join", "lung/kits/hospital_a.json", "--yes"]) == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_teaches_by_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert cli.main([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert "Example: collab-client" in said
    assert command in said


def test_every_command_is_among_those_that_are_tested() -> None:
    assert [info.name or info.callback.__name__ for info in cli.app.registered_commands if info.callback] == COMMANDS


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check"], "which site?"),
        (["--site", "../lung", "check"], "lower-case letters"),
        (["--site", "nowhere", "check"], "no settings file nowhere.toml"),
        (["--site", "hospital_a"], "has not enrolled"),
        (["--site", "hospital_a", "join", "nowhere.json"], "nowhere.json cannot be read"),
        (["--site", "hospital_a", "join"], "KIT"),
        (["--site", "hospital_a", "dance"], "dance"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage_is_told_with_a_next_step(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli.main(arguments) == 2
    assert said in capsys.readouterr().err


def test_print_config_reads_back_to_the_same_settings(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.main([*AT_SITE, "--print-config"]) == 0
    assert parse_toml(capsys.readouterr().out, SiteSettings, origin="printed") == site(here).settings


def test_enroll_join_and_join_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    joined(here)
    assert stored_kit(site(here), now=datetime.now(UTC)).federation == "lung"
    assert cli.main([*AT_SITE, "enroll"]) == 0
    assert "Kept the keys" in capsys.readouterr().out
    assert cli.main([*AT_SITE, "join", "lung/kits/hospital_a.json", "--yes"]) == 0


def test_join_compares_fingerprints_before_anything_is_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*AT_SITE, "enroll"]) == 0
    assert coordinator.main(["admit", "lung", "sites/hospital_a/enrolment.json", "--yes"]) == 0
    kit = "lung/kits/hospital_a.json"
    assert cli.main([*AT_SITE, "join", kit]) == 2
    assert cli.main([*AT_SITE, "join", kit, "--fingerprint", "1234"]) == 2
    assert not site(here).kit.exists()
    shown = [line for line in capsys.readouterr().out.splitlines() if "coordinator at" in line][-1]
    assert cli.main([*AT_SITE, "join", kit, "--fingerprint", shown.rpartition(": ")[2]]) == 0


def test_an_altered_kit_is_a_verification_that_failed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    joined(here)
    kit = here / "lung/kits/hospital_a.json"
    kit.write_bytes(kit.read_bytes().replace(b"localhost:19443", b"elsewhere:19443"))
    assert cli.main([*AT_SITE, "join", str(kit), "--yes"]) == 4
    assert "altered" in capsys.readouterr().err


def test_a_simulated_site_is_refused_until_it_enrolls(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    joined(here)
    copied = here / "copied"
    copied.mkdir()
    (copied / "hospital_a.toml").write_text(SITE)
    enroll(SiteFolder(copied / "hospital_a.toml"), simulation=PublicSeed.from_integer(3))
    at_copy = [*AT_SITE, "--sites-folder", "copied"]
    assert cli.main([*at_copy, "join", "lung/kits/hospital_a.json", "--yes"]) == 3
    assert "known seed" in capsys.readouterr().err
    assert cli.main([*at_copy, "enroll"]) == 0
    assert "was simulated" in capsys.readouterr().out


def test_one_process_works_for_a_site(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    joined(here)
    with (site(here).home / "work.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cli.main(AT_SITE) == 2
    assert "another collab-client works for hospital_a" in capsys.readouterr().err


def test_check_reads_and_anonymizes_and_nothing_leaves(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.main([*AT_SITE, "check", "--json"]) == 0
    before = json.loads(capsys.readouterr().out)
    assert before["corpus"]["read"] == 30
    assert before["policy"]["size_bucket"] == 32
    assert before["self-check"]["invented notes"] == 60
    assert before["self-check"]["PERSON"].endswith("floor 0.9, BELOW the floor")
    assert "anonymization" not in before
    assert cli.main([*AT_SITE, "enroll"]) == 0
    assert cli.main([*AT_SITE, "check"]) == 0
    said = capsys.readouterr().out
    assert "Anonymization" in said
    assert "Invented note" not in said


def test_check_doubts_a_delta_and_a_size_bucket_that_do_not_fit_the_data(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*AT_SITE, "check", "--json"]) == 0
    assert "think again" not in capsys.readouterr().out
    (here / "sites/hospital_a.toml").write_text(
        SITE.replace("delta = 1e-5", "delta = 0.09").replace("size_bucket = 32", "size_bucket = 4096")
    )
    assert cli.main([*AT_SITE, "check", "--json"]) == 0
    doubts = json.loads(capsys.readouterr().out.splitlines()[-1])["think again"]
    assert "30 records" in doubts["policy.delta"]
    assert "4096 is far from the 30 records" in doubts["policy.size_bucket"]


def test_a_missing_column_is_told_before_the_site_connects(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml = here / "sites/hospital_a.toml"
    (here / "notes.csv").write_text("text,label\nan invented note,no\n")
    changed = SITE.replace("notes.jsonl", "notes.csv")
    toml.write_text(changed.replace("[policy]", 'label_column = "diagnosis"\n[policy]'))
    assert cli.main([*AT_SITE, "check"]) == 2
    assert "notes.csv has no column diagnosis" in capsys.readouterr().err


def test_ledger_shows_spent_and_left(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.main([*AT_SITE, "ledger"]) == 0
    assert "Nothing was spent yet" in capsys.readouterr().out
    folder = site(here)
    enroll(folder)
    event = PrivacyEvent(noise_multiplier="2", sample_rate="0.1", steps=5, partition="train")
    Ledger(folder.ledger).reserve(
        "notes",
        "record",
        Charge("run-1", (event,), "8", "0.00001", planned=(event,)),
        Release("hospital_a", 1, "train", "ab" * 32, b"n" * 32),
    )
    assert cli.main([*AT_SITE, "ledger", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (account,) = told["accounts"]
    assert not told["simulated"]
    assert (account["dataset"], account["unit"], account["releases"], account["unsettled"]) == ("notes", "record", 1, 1)
    assert 0 < float(account["epsilon_spent"]) < 8
    assert float(account["epsilon_left"]) == pytest.approx(8 - float(account["epsilon_spent"]))
    assert cli.main([*AT_SITE, "ledger"]) == 0
    assert account["epsilon_spent"] in capsys.readouterr().out


def test_report_tells_rounds_in_sentences_and_in_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.main([*AT_SITE, "report"]) == 0
    assert "no report yet" in capsys.readouterr().out
    folder = site(here)
    folder.create()
    trained = {"event": "trained", "round": 2, "examples": 30, "loss": 0.5, "bytes_sent": 4096}
    events = [
        trained | {"at": 1.9e9, "run_id": "run-1", "epsilon_of_run": "1.25", "unit": "record"},
        {"at": 1.9e9, "run_id": "run-1", "event": "refused", "round": 3, "phase": "update", "why": "too much"},
    ]
    (folder.reports / "run-1.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    assert cli.main([*AT_SITE, "report"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "round 2: trained on 30 examples" in said
    assert "4,096 bytes of update are ready, noised and signed; epsilon 1.25 spent in this run" in said
    assert "REFUSED" in said
    assert cli.main([*AT_SITE, "report", "--json", "--run", "run-1"]) == 0
    assert json.loads(capsys.readouterr().out) == {"run-1": events}


def test_what_left_without_noise_is_told_as_such() -> None:
    private = {"at": 1.9e9, "run_id": "run-1", "event": "evaluated", "round": 1, "examples": 9, "epsilon_of_run": "0.5"}
    private |= {"unit": "patient"}
    assert "noised and signed; epsilon 0.5 spent in this run (unit: patient)" in read_event(private).sentence
    assert "WITHOUT noise" in read_event(private | {"epsilon_of_run": None}).sentence


def test_describe_writes_a_model_that_its_contract_fits_and_check_accepts(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert coordinator.main(["task", "lung"]) == 0
    assert cli.main(["describe", "--task", "lung/model/task.json"]) == 0
    contract = parse(ModelContract, (here / "lung/model/model.json").read_bytes())
    assert model_vector(contract, (here / "lung/model/initial.safetensors").read_bytes()).size == contract.size
    capsys.readouterr()
    coordinator.main(["check", "lung", "--json"])
    assert {item["what"]: item["ready"] for item in json.loads(capsys.readouterr().out)}["model"]
    assert cli.main(["describe", "--task", "lung/federation.toml"]) == 4


def test_a_site_shows_the_checkpoint_it_saw_as_an_auditor_takes_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joined(here)
    assert cli.main([*AT_SITE, "seen"]) == 5
    assert not site(here).state.exists()
    root = sha256(b"root")
    SiteState(site(here).state).remember_seen(Checkpoint("collab/lung", 7, root))
    capsys.readouterr()
    assert cli.main([*AT_SITE, "seen"]) == 0
    assert Checkpoint.parse(capsys.readouterr().out) == Checkpoint("collab/lung", 7, root)


def test_no_secret_is_in_any_output(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    joined(here)
    for command in (["enroll"], ["ledger"], ["ledger", "--json"], ["report"], ["--print-config"]):
        cli.main([*AT_SITE, *command])
    seen = capsys.readouterr()
    for name in ("signing.key", "site.key"):
        assert (site(here).keys / name).read_text().strip() not in seen.out + seen.err
    assert "PRIVATE" not in seen.out + seen.err


def test_the_command_line_imports_nothing_heavy_before_it_works() -> None:
    libraries = ("torch", "flwr", "transformers", "opacus", "presidio_analyzer", "numpy", "pydantic", "cryptography")
    heavy = f"[name for name in {libraries} if name in sys.modules]"
    program = f"import sys; import client.cli; print({heavy})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_working_site_leaves_cleanly(here: Path, number: signal.Signals) -> None:
    joined(here)
    program = "import sys; from client.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", program, *AT_SITE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while "waiting" not in (line := process.stdout.readline()):
        assert line
    time.sleep(0.5)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert "nothing is half-written" in err
