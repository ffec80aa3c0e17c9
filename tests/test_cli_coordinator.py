# SPDX-License-Identifier: Apache-2.0
"""collab-coordinator from init to status: what it prints, what it refuses, and that no secret is in any of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from client.enrolment import enroll
from client.settings.site_settings import SiteFolder
from coordinator import cli
from coordinator.folder import FederationFolder
from coordinator.journal import Journal
from coordinator.planning import run_outline
from coordinator.settings import FederationSettings
from privacy.base.canonical import canonical_bytes, digest_of
from privacy.base.randomness import PublicSeed
from privacy.commandline.settings_file import parse_toml, plain, settings_digest
from privacy.dp.pld import epsilon_pld
from privacy.log.keys import SigningKey
from privacy.protocol.enrolment import read_start_kit
from privacy.protocol.entries import ReplyRefused, RosterSite, RunClosed, RunOpened
from privacy.protocol.messages import COORDINATOR, Header, Refusal, parse, seal
from privacy.protocol.model_request import read_request
from privacy.protocol.outline import RunOutline
from privacy.update.delta import ArraySpec, ModelContract, model_bytes

COMMANDS = ["init", "task", "plan", "admit", "renew", "certificates", "revoke", "check", "run", "status"]
SITE = """
[site]
name = "{name}"
[data]
files = ["notes.csv"]
dataset = "notes"
[policy]
unit = "record"
epsilon_limit = 8.0
delta = 1e-5
size_bucket = 512
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init", "lung", "--host", "localhost", "--port", "19443"]) == 0
    return tmp_path


def enrolment_file(here: Path, name: str = "hospital_a") -> str:
    (here / f"{name}.toml").write_text(SITE.format(name=name))
    enroll(SiteFolder(here / f"{name}.toml"))
    return f"{name}/enrolment.json"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_teaches_by_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert cli.main([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert "Example: collab-coordinator" in said
    assert command in said


def test_every_command_is_among_those_that_are_tested() -> None:
    assert [info.name or info.callback.__name__ for info in cli.app.registered_commands if info.callback] == COMMANDS


def test_without_a_command_the_help_is_shown_and_the_usage_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "Example: collab-coordinator init" in capsys.readouterr().out


def test_init_asks_for_a_host_and_never_writes_over_a_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init", "heart"]) == 2
    assert not (here / "heart").exists()
    assert cli.main(["init", "lung", "--host", "localhost"]) == 2
    assert "not an empty folder" in capsys.readouterr().err


def test_init_starts_from_a_settings_file_under_its_own_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "start.toml").write_text('[run]\nname = "other"\n[training]\nrounds = 7\n')
    assert cli.main(["init", "heart", "--host", "fl.example.org", "--settings", "start.toml"]) == 0
    settings = FederationFolder(here / "heart").settings
    assert (settings.run.name, settings.training.rounds) == ("heart", 7)
    assert (settings.network.host, settings.network.port) == ("0.0.0.0", 9443)
    assert cli.main(["init", "liver", "--host", "localhost", "--name", "Not A Name"]) == 2
    assert "run.name" in capsys.readouterr().err
    assert not (here / "liver").exists()


def test_print_config_reads_back_to_the_same_settings(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.main(["--print-config", "lung"]) == 0
    text = capsys.readouterr().out
    assert parse_toml(text, FederationSettings, origin="printed") == FederationFolder(here / "lung").settings
    assert text.count("#") > 30


def test_an_unknown_key_is_told_with_the_nearest_one(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml = here / "lung" / "federation.toml"
    toml.write_text(toml.read_text().replace("rounds = 4", "ronds = 4"))
    assert cli.main(["check", "lung"]) == 2
    assert "training.rounds" in capsys.readouterr().err


def test_admit_compares_fingerprints_and_writes_a_kit(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = enrolment_file(here)
    assert cli.main(["admit", "lung", file]) == 2
    assert cli.main(["admit", "lung", file, "--fingerprint", "0000"]) == 2
    assert not (here / "lung/kits/hospital_a.json").exists()
    capsys.readouterr()
    assert cli.main(["admit", "lung", file, "--yes"]) == 0
    shown = capsys.readouterr().out.splitlines()[0].split(": ")[1]
    assert read_start_kit(here / "lung/kits/hospital_a.json", now=cli.now()).address == "localhost:19443"
    assert cli.main(["admit", "lung", file, "--fingerprint", shown]) == 0


def test_what_the_commands_write_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    (tmp_path / "hospital_a.toml").write_text(SITE.format(name="hospital_a"))
    tools = Path(sys.executable).parent
    script = (
        f"umask 000; {tools}/collab-coordinator init lung --host localhost &&"
        f" {tools}/collab-client --site hospital_a --sites-folder . enroll &&"
        f" {tools}/collab-coordinator admit lung hospital_a/enrolment.json --yes &&"
        f" {tools}/collab-client --site hospital_a --sites-folder . join lung/kits/hospital_a.json --yes &&"
        f" {tools}/collab-coordinator task lung"
    )
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = [path for root in ("lung", "hospital_a") for path in [tmp_path / root, *(tmp_path / root).rglob("*")]]
    assert len(made) > 20
    open_to_others = [path.name for path in made if path.stat().st_mode & 0o077]
    assert open_to_others == []


def test_certificates_are_listed_revoked_and_given_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def listed() -> list[dict[str, str]]:
        capsys.readouterr()
        assert cli.main(["certificates", "lung", "--json"]) == 0
        return list(json.loads(capsys.readouterr().out))

    file = enrolment_file(here)
    assert listed() == []
    assert cli.main(["admit", "lung", file, "--yes"]) == 0
    (only,) = listed()
    assert (only["site"], only["role"], only["state"]) == ("hospital_a", "trainer", "ok")
    assert cli.main(["revoke", "lung", "hospital_a"]) == 0
    (gone,) = listed()
    assert gone["serial"] == only["serial"]
    assert gone["state"].startswith("revoked 2")
    assert not (here / "lung/kits/hospital_a.json").exists()
    assert cli.main(["revoke", "lung", "hospital_a"]) == 2
    assert "has no certificate" in capsys.readouterr().err
    assert cli.main(["renew", "lung"]) == 0  # renews nothing for a site that was revoked
    assert [row["state"][:7] for row in listed()] == ["revoked"]
    assert cli.main(["admit", "lung", file, "--yes"]) == 0
    back, still_gone = listed()
    assert back["state"] == "ok"
    assert back["serial"] != still_gone["serial"] == only["serial"]
    assert cli.main(["certificates", "lung"]) == 0


def test_an_enrolment_of_before_is_refused_with_what_to_do(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = here / enrolment_file(here)
    old = json.loads(path.read_text())
    old["version"] = old["keys"]["version"] = 1
    for name in ("certificate_request", "node_signature"):
        del old[name]
    del old["keys"]["tls"]
    path.write_bytes(canonical_bytes(old) + b"\n")
    capsys.readouterr()
    assert cli.main(["admit", "lung", str(path), "--yes"]) != 0
    said = capsys.readouterr().err
    assert "before sites had a TLS key" in said
    assert "collab-client enroll" in said
    assert not list((here / "lung/roster").iterdir())


def test_an_altered_enrolment_is_a_verification_that_failed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = here / enrolment_file(here)
    path.write_bytes(path.read_bytes().replace(b'"size_bucket":512', b'"size_bucket":999'))
    assert cli.main(["admit", "lung", str(path), "--yes"]) == 4
    said = capsys.readouterr().err
    assert "altered" in said
    assert "Next step:" in said


def test_a_missing_file_is_named_by_its_last_part_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["admit", "lung", str(here / "private" / "enrolment.json")]) == 2
    said = capsys.readouterr().err
    assert "enrolment.json" in said
    assert str(here) not in said


def test_task_writes_what_describe_reads(here: Path) -> None:
    assert cli.main(["task", "lung"]) == 0
    request = read_request(here / "lung/model/task.json")
    settings = FederationFolder(here / "lung").settings
    assert (request.task, request.training) == (settings.task_plan(), settings.training.plan())
    assert request.public_seed == PublicSeed.from_integer(settings.run.public_seed).hex()


def test_plan_writes_the_whole_run_for_a_sites_budget(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = FederationFolder(here / "lung")
    contract = made_for(folder.settings)
    folder.contract.write_bytes(canonical_bytes(contract))
    folder.initial_model.write_bytes(model_bytes(contract, np.zeros(contract.size, np.float32)))
    assert cli.main(["plan", "lung"]) == 0
    assert "budget --plan" in capsys.readouterr().out
    outline = parse(RunOutline, (here / "lung/model/plan.json").read_bytes().removesuffix(b"\n"))
    assert outline.planned_rounds == folder.settings.training.rounds
    epsilons = [epsilon_pld([event] * times, 1e-5) for event, times in Counter(outline.events()).items()]
    assert len(epsilons) == 2  # training and counting, each of which keeps the target of 8 and uses it
    assert all(7.9 < epsilon <= 8.001 for epsilon in epsilons)


def test_check_sees_a_recipe_that_the_open_run_was_not_opened_with(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = FederationFolder(here / "lung")
    with Journal.open(folder.root, folder.log_key(), "collab/lung", lambda: 1_900_000_000_000) as journal:
        journal.append("run-1", 0, opening(folder))
    text = folder.toml.read_text()
    folder.toml.write_text(text.replace("steps_per_round = 5", "steps_per_round = 6"))
    assert folder.toml.read_text() != text
    capsys.readouterr()
    cli.main(["check", "lung", "--json"])
    found = {item["what"]: item for item in json.loads(capsys.readouterr().out)}
    assert (found["run"]["ready"], "other settings" in found["run"]["detail"]) == (False, True)


def test_check_tells_that_a_run_can_no_longer_end(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = FederationFolder(here / "lung")
    opened = opening(folder)
    with Journal.open(folder.root, folder.log_key(), "collab/lung", lambda: 1_900_000_000_000) as journal:
        journal.append("run-1", 0, opened)
        asked = digest_of(opened)
        refusal = Refusal(plan_digest=asked, reason="budget_exceeded", seen_tree_size=1)
        message = seal(
            refusal,
            Header(
                kind="refusal",
                run_id="run-1",
                server_round=0,
                attempt=1,
                phase="hello",
                sender="hospital_a",
                context_digest=asked,
                log_vkey=journal.log_key.vkey(),
                recipient=COORDINATOR,
            ),
            SigningKey(b"\x01" * 32),
        )
        said_no = ReplyRefused(
            site="hospital_a",
            phase="hello",
            plan_digest=asked,
            by="site",
            reason="budget_exceeded",
            envelope=message.envelope,
            refusal=refusal,
        )
        journal.append("run-1", 0, said_no)
    capsys.readouterr()
    cli.main(["check", "lung", "--json"])
    found = {item["what"]: item for item in json.loads(capsys.readouterr().out)}
    assert not found["run"]["ready"]
    assert "hospital_a said no" in found["run"]["detail"]


def test_check_tells_all_that_is_not_ready_and_fails(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.main(["check", "lung", "--json"]) == 2
    ready = {item["what"]: item["ready"] for item in json.loads(capsys.readouterr().out)}
    assert ready == {
        "settings": True,
        "keys": True,
        "certificates": True,
        "roster": False,
        "model": False,
        "run": True,
        "disk": True,
    }


def test_an_expired_certificate_is_told_before_the_start_and_renewed(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    later = cli.now() + timedelta(days=400)
    monkeypatch.setattr(cli, "now", lambda: later)
    for command in ("check", "run"):
        assert cli.main([command, "lung"]) == 4
        said = capsys.readouterr().err
        assert "certificate expired" in said
        assert "collab-coordinator renew" in said
    assert cli.main(["renew", "lung"]) == 0
    assert cli.main(["check", "lung"]) == 2
    assert "certificate" not in capsys.readouterr().err


def test_a_folder_that_is_no_federation_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["check", "nowhere"], ["run", "nowhere"], ["status", "nowhere"], ["--print-config", "nowhere"]):
        assert cli.main(command) == 2
        assert "no federation" in capsys.readouterr().err


def test_a_changed_name_is_told_since_the_log_keeps_its_own(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml = here / "lung" / "federation.toml"
    toml.write_text(toml.read_text().replace('name = "lung"', 'name = "heart"'))
    assert cli.main(["check", "lung"]) == 2
    assert 'name = "lung"' in capsys.readouterr().err


def made_for(settings: FederationSettings) -> ModelContract:
    return ModelContract(
        task=settings.task_plan(),
        training=settings.training.plan(),
        pretrained_digest="d" * 64,
        tokenizer_digest="e" * 64,
        arrays=(ArraySpec(name="head.weight", shape=(2, 4)),),
    )


def test_status_tells_a_run_while_its_log_is_open(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = FederationFolder(here / "lung")
    assert cli.main(["status", "lung"]) == 0
    assert "No run was opened yet" in capsys.readouterr().out
    opened = opening(folder)
    with Journal.open(folder.root, folder.log_key(), "collab/lung", lambda: 1_900_000_000_000) as journal:
        journal.append("run-1", 0, opened)
        assert cli.main(["status", "lung", "--json"]) == 0
        (told,) = json.loads(capsys.readouterr().out)
        assert (told["state"], told["rounds_planned"], told["sites"][0]["ready"]) == ("open", 4, False)
        journal.append("run-1", 4, RunClosed(outcome="done", rounds_aggregated=4, final_model="33" * 32))
    assert cli.main(["status", "lung"]) == 0
    said = capsys.readouterr().out
    assert "done" in said
    assert "hospital_a" in said


def opening(folder: FederationFolder) -> RunOpened:
    site = RosterSite(signing_key="ab" * 32, size_bucket=8, policy_digest="cd" * 32, role="trainer")
    return RunOpened(
        settings=plain(folder.settings),
        settings_digest=settings_digest(folder.settings),
        roster={"hospital_a": site},
        contract_digest="00" * 32,
        initial_model_digest="11" * 32,
        public_seed="22" * 32,
        planned_rounds=4,
        noise_multiplier="0.9",
        evaluation_noise_multiplier="2",
        software={"python": "3.11"},
        simulated=False,
        outline=run_outline(folder.settings, made_for(folder.settings), "0.9", "2"),
    )


def test_no_secret_is_in_any_output(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = enrolment_file(here)
    for command in (
        ["admit", "lung", file, "--yes"],
        ["check", "lung"],
        ["check", "lung", "--json"],
        ["status", "lung"],
        ["task", "lung"],
        ["renew", "lung"],
        ["--print-config", "lung"],
    ):
        cli.main(command)
    seen = capsys.readouterr()
    for path in (here / "lung" / "keys").iterdir():
        assert path.read_text().strip() not in seen.out + seen.err
    assert "PRIVATE" not in seen.out + seen.err
