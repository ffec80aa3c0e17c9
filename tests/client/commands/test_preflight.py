# SPDX-License-Identifier: Apache-2.0
"""`collab-client check` says first what is to be mended, lists refused rows by line, and rehearses a task."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from client import cli
from client.commands import rehearsal
from client.learning.model import device
from client.review import refused_rows
from client.settings.site_settings import SiteFolder
from privacy.base.canonical import canonical_bytes
from privacy.base.randomness import PublicSeed
from privacy.dp.ledger import Charge, Ledger, Release
from privacy.dp.params import PrivacyEvent, PrivacyParams
from privacy.protocol.anonymization_check import AnonymizationPlan
from privacy.protocol.model_request import ModelRequest, read_request, write_request
from privacy.protocol.outline import RunOutline
from privacy.protocol.plans import EncodingPlan, TaskPlan, TrainingPlan

MakeSite = Callable[..., SiteFolder]
AT_SITE = ["--site", "hospital_a"]
RULES = '[text]\nnames = "none"\n[policy.min_recall]\n'
NO_FLOORS = RULES + "".join(
    f"{name} = 0.0\n"
    for name in (
        *("account_number", "age", "date_time", "device_id", "email_address", "fax_number", "health_plan_id"),
        *("id_number", "ip_address", "license_number", "location", "medical_record_number", "organization", "person"),
        *("phone_number", "url", "us_ssn", "vehicle_id"),
    )
)
CARDIOLOGY = ("cardiology", "neurology")

pytestmark = pytest.mark.usefixtures("one_self_check", "packaged_model_read_once")


def notes(labels: Sequence[str | None]) -> list[dict[str, Any]]:
    return [{"id": f"r{at}", "text": f"invented note {at}", "label": label} for at, label in enumerate(labels)]


def checked(capsys: pytest.CaptureFixture[str], *options: str, code: int = 0) -> dict[str, dict[str, Any]]:
    capsys.readouterr()
    assert cli.main([*AT_SITE, "check", "--json", *options]) == code
    found: dict[str, dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def listed(folder: SiteFolder) -> list[dict[str, str]]:
    path = folder.reports / "refused-rows.csv"
    assert path.stat().st_mode & 0o777 == 0o600
    return list(csv.DictReader(path.read_text().splitlines()))


def request(
    tmp_path: Path,
    training_plan: Callable[..., TrainingPlan],
    labels: Sequence[str] = CARDIOLOGY,
    name: str = "classification",
    **changes: Any,
) -> str:
    task = TaskPlan(name=name, labels=tuple(labels), max_tokens=24)
    seed, scope = PublicSeed.from_integer(0).hex(), changes.pop("scope", "head")
    made = ModelRequest(task=task, training=training_plan(scope), public_seed=seed, **changes)
    (tmp_path / "model").mkdir(exist_ok=True)
    write_request(tmp_path / "model/task.json", made)
    return str(tmp_path / "model/task.json")


# -- what is to be mended ---------------------------------------------------------------------------------------------


def test_refused_rows_are_listed_by_line_and_said_first_when_they_are_many(
    make_site: MakeSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_site([], NO_FLOORS)
    lines = [json.dumps(row).encode() for row in notes(["a"] * 20)]
    broken = {3: b'{"id": "x", "text": "caf\xe9", "label": "a"}', 7: b"{", 9: b'{"id": "y", "text": " ", "label": "a"}'}
    (tmp_path / "notes.jsonl").write_bytes(b"\n".join(broken.get(at, line) for at, line in enumerate(lines, 1)))
    found = checked(capsys)
    assert next(iter(found)) == "to mend"
    assert found["to mend"]["refused rows"].startswith("3 of 20, listed by line in sites/hospital_a/reports/refused")
    assert "set data.encoding (all of notes.jsonl is text in cp1252;" in found["to mend"]["undecodable 1"]
    assert set(found["to mend"]) == {"refused rows", "undecodable 1", "malformed 1", "empty 1"}
    assert [(row["file"], row["place"], row["reason"]) for row in listed(folder)] == [
        ("notes.jsonl", "line 3", "undecodable"),
        ("notes.jsonl", "line 7", "malformed"),
        ("notes.jsonl", "line 9", "empty"),
    ]
    assert found["files"] == {"notes.jsonl": "jsonl, utf-8: 20 rows"}
    (tmp_path / "notes.jsonl").write_bytes(b"\n".join(lines))
    assert "to mend" not in checked(capsys)
    assert not (folder.reports / "refused-rows.csv").exists()


def test_few_refused_rows_are_listed_and_not_shouted(make_site: MakeSite, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_site(notes(["a"] * 99 + [None]), NO_FLOORS)
    found = checked(capsys)
    assert "to mend" not in found
    assert found["corpus"]["refused rows, by line"] == "1 in sites/hospital_a/reports/refused-rows.csv"
    assert [row["place"] for row in listed(folder)] == ["line 100"]


def test_the_list_is_bounded_and_the_counts_are_whole(
    make_site: MakeSite, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused_rows, "LISTED", 5)
    folder = make_site(notes([None] * 30 + ["a"] * 30), NO_FLOORS)
    assert checked(capsys)["to mend"]["refused rows"].startswith("30 of 60")
    assert [row["place"] for row in listed(folder)][-2:] == ["line 5", "and 25 more"]


def test_every_reason_for_a_refusal_says_what_to_set() -> None:
    from typing import get_args

    from client.data.treatment import RowRefusal

    assert set(get_args(RowRefusal)) == set(refused_rows.ADVICE)


def test_a_patient_under_two_forms_of_one_number_is_said_first(
    make_site: MakeSite, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_site(
        [row | {"who": f"{at % 4}{'.0' * (at < 2)}"} for at, row in enumerate(notes(["a"] * 8))], NO_FLOORS
    )
    folder.toml.write_text(folder.toml.read_text().replace('"id"\n', '"id"\npatient_column = "who"\n'))
    assert checked(capsys)["to mend"]["patient ids"].startswith("2 occur both as a number and with .0 behind it")


@pytest.mark.parametrize("rows", [[], [None] * 8])
def test_nothing_left_and_a_column_that_no_row_has_are_said_first(
    make_site: MakeSite, capsys: pytest.CaptureFixture[str], rows: list[None]
) -> None:
    make_site(notes(rows), NO_FLOORS)
    found = checked(capsys, code=3)["to mend"]
    assert found["no row is left"].startswith(f"of {len(rows)} rows that were read none")
    assert ("notes.jsonl: label" in found) == bool(rows)
    if rows:
        assert "which data.label_column names" in found["notes.jsonl: label"]


def test_rows_that_the_anonymizer_refuses_are_said_first(
    make_site: MakeSite, capsys: pytest.CaptureFixture[str]
) -> None:
    make_site(
        [*notes(["a"] * 20), {"id": "long", "text": "word " * 900, "label": "a"}],
        NO_FLOORS.replace("[text]", "[text]\nmax_characters = 4000"),
    )
    assert cli.main([*AT_SITE, "enroll"]) == 0
    told = checked(capsys)["to mend"]["rows not anonymized"]
    assert told.startswith("1 of 21 would be left out (")
    assert "text.max_characters" in told


# -- a task -----------------------------------------------------------------------------------------------------------


def test_labels_that_the_task_does_not_have_are_told_with_what_is_near(
    make_site: MakeSite, tmp_path: Path, capsys: pytest.CaptureFixture[str], training_plan: Callable[..., TrainingPlan]
) -> None:
    labels = ["cardiology"] * 200 + ["Cardiology ", "nan", "NaN", "Cardiolgy", "surgery"]
    make_site(notes(labels), NO_FLOORS)
    found = checked(capsys, "--task", request(tmp_path, training_plan))
    told = found["left out by the task"]
    assert told["label 'Cardiology'"] == "1 times: the task has 'cardiology': write it the same way"
    assert told["label 'nan'"].startswith("1 times: this is how programs write a missing value")
    assert told["label 'NaN'"].startswith("1 times: this is how programs write a missing value")
    assert told["label 'Cardiolgy'"] == "1 times: the nearest label of the task is 'cardiology'"
    assert told["label 'surgery'"] == "1 times: no label of the task is near"
    assert sum(int(value.split()[0]) for name, value in told.items() if name.endswith("unknown")) == 5
    assert found["task"]["labels that no row here has"] == "1: 'neurology'"
    assert "to mend" not in found


def test_splits_that_are_empty_or_small_are_doubted(
    make_site: MakeSite, tmp_path: Path, capsys: pytest.CaptureFixture[str], training_plan: Callable[..., TrainingPlan]
) -> None:
    changed = "test_fraction = 0.0\ndev_fraction = 0.0\n"
    folder = make_site(notes(["cardiology"] * 9), NO_FLOORS)
    folder.toml.write_text(
        folder.toml.read_text().replace('record_column = "id"\n', f'record_column = "id"\n{changed}')
    )
    doubts = checked(capsys, "--task", request(tmp_path, training_plan))["think again"]
    assert doubts["train split"].startswith("9 usable units: a round on it costs epsilon and teaches next to nothing")
    assert doubts["dev split"].startswith("0 usable units: an evaluation costs epsilon and counts nothing")
    assert "data.dev_fraction" in doubts["dev split"]


@pytest.mark.parametrize(
    ("changes", "what", "told"),
    [
        ({"name": "regression", "labels": ()}, "policy", "the task regression is not among classification"),
        ({"name": "nosuch"}, "model", "there is no 'nosuch'"),
        ({"unit": "patient"}, "unit", "the task protects a patient, policy.unit is record"),
        ({"labels": ("one",)}, "model", "needs at least 2 labels"),
    ],
)
def test_what_a_run_would_be_refused_for_is_said_first_and_exits_3(
    make_site: MakeSite,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    training_plan: Callable[..., TrainingPlan],
    changes: dict[str, Any],
    what: str,
    told: str,
) -> None:
    make_site(notes(["cardiology"] * 30), NO_FLOORS)
    found = checked(capsys, "--task", request(tmp_path, training_plan, **changes), code=3)
    assert told in found["to mend"][f"a run would be refused: {what}"]


def test_a_missing_device_a_floor_and_a_spent_budget_are_found_here_and_not_at_the_hello(
    make_site: MakeSite,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    training_plan: Callable[..., TrainingPlan],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = make_site(notes(["cardiology"] * 30), RULES + "person = 0.9\n")
    folder.toml.write_text(folder.toml.read_text() + '[compute]\ndevice = "cuda"\n')
    monkeypatch.setattr(device.torch.cuda, "is_available", lambda: False)
    task = request(tmp_path, training_plan)
    found = checked(capsys, "--task", task, code=3)
    assert found["task"]["epsilon left"] == "8 of 8"
    assert "compute.device is cuda" in found["to mend"]["a run would be refused: device"]
    assert "below a floor" in found["to mend"]["a run would be refused: self-check"]
    folder.create()
    Ledger(folder.ledger).reserve(
        "notes",
        "record",
        Charge(
            "run-1",
            (PrivacyEvent(noise_multiplier="2", sample_rate="0.1", steps=5, partition="train"),),
            "8",
            "0.00001",
        ),
        Release("hospital_a", 1, "train", "ab" * 32, b"n" * 32),
    )
    found = checked(capsys, "--task", task, code=3)
    assert found["task"]["epsilon left"].endswith("spent)")
    assert not found["task"]["epsilon left"].startswith("8 of")
    Ledger(folder.ledger).withdraw("notes")
    assert "withdrawn" in checked(capsys, "--task", task, code=3)["to mend"]["a run would be refused: budget"]


def test_a_whole_run_that_lies_beside_the_task_is_held_against_policy_and_budget(
    make_site: MakeSite, tmp_path: Path, capsys: pytest.CaptureFixture[str], training_plan: Callable[..., TrainingPlan]
) -> None:
    make_site(notes(["cardiology"] * 30), NO_FLOORS)
    task = request(tmp_path, training_plan)

    def write(noise: str, rounds: int) -> None:
        private = PrivacyParams(
            sample_rate="0.1",
            noise_multiplier=noise,
            max_grad_norm="1",
            target_epsilon="8",
            target_delta="0.00001",
            num_steps=10,
            unit="record",
        )
        outline = RunOutline(
            planned_rounds=rounds,
            min_sites=1,
            task=read_request(Path(task)).task,
            pretrained_digest="d" * 64,
            tokenizer_digest="e" * 64,
            training=training_plan("head"),
            unit="record",
            sample_rate="0.1",
            num_steps=10,
            privacy=private,
            update_clip_norm="0.5",
            encoding=EncodingPlan(dtype="int32", scale_log2=20),
            aggregation="weighted_sum",
            anonymization=AnonymizationPlan(self_check_notes=30, min_recall={}),
            server_momentum=None,
            evaluate_every=1,
            figures="accuracy",
            evaluation_noise_multiplier="20",
            target_delta="0.00001",
        )
        (tmp_path / "model/plan.json").write_bytes(canonical_bytes(outline) + b"\n")

    write("4", 2)
    assert checked(capsys, "--task", task)["task"]["the whole run"].startswith("2 rounds, 3 evaluations: epsilon ")
    write("1", 50)
    told = checked(capsys, "--task", task, code=3)["to mend"]
    assert told["a run would be refused: budget"].startswith("the whole run would bring epsilon to ")
    write("0.01", 1)
    told = checked(capsys, "--task", task, code=3)["to mend"]
    assert "noise_multiplier is 0.01" in told["a run would be refused: plan"]


def test_a_model_that_is_not_here_or_was_made_for_another_task_is_told(
    make_site: MakeSite, tmp_path: Path, capsys: pytest.CaptureFixture[str], training_plan: Callable[..., TrainingPlan]
) -> None:
    make_site(notes(["cardiology"] * 30), NO_FLOORS)
    task = request(tmp_path, training_plan)
    assert cli.main(["describe", "--task", task]) == 0
    found = checked(capsys, "--task", task)
    assert found["task"]["model"] == "all-MiniLM-L6-v2, packaged"
    model = tmp_path / "model/model.json"
    contract = model.read_text()
    model.write_text(contract.replace("3945cb8d", "00000000"))
    refused = "a run would be refused: model"
    assert "is not at this site" in checked(capsys, "--task", task, code=3)["to mend"][refused]
    model.write_text(contract.replace("neurology", "nephrology"))
    assert "made for another" in checked(capsys, "--task", task, code=3)["to mend"][refused]


def test_a_task_is_rehearsed_on_anonymized_rows_once_the_site_has_keys(
    make_site: MakeSite, tmp_path: Path, capsys: pytest.CaptureFixture[str], training_plan: Callable[..., TrainingPlan]
) -> None:
    make_site(notes(["cardiology"] * 60), NO_FLOORS)
    assert cli.main([*AT_SITE, "enroll"]) == 0
    found = checked(capsys, "--task", request(tmp_path, training_plan))
    usable = [int(found["task"][f"{split}: usable"].split()[0]) for split in ("train", "dev", "test")]
    assert sum(usable) == 60
    assert "left out by the task" not in found


def test_the_site_may_be_named_behind_the_command(make_site: MakeSite, capsys: pytest.CaptureFixture[str]) -> None:
    make_site(notes(["a"] * 3), NO_FLOORS)
    for words in (
        ["check", "--json", *AT_SITE],
        ["check", "--site=hospital_a", "--json"],
        ["--sites-folder", "sites", "check", "--json", "--site", "hospital_a"],
    ):
        capsys.readouterr()
        assert cli.main(words) == 0
        assert json.loads(capsys.readouterr().out)["corpus"]["read"] == 3
    assert cli.main(["check", "--site"]) == 2


def test_a_missing_file_is_told_before_anything_heavy_is_loaded(make_site: MakeSite) -> None:
    import subprocess
    import sys

    make_site(notes(["a"] * 3)).data_files[0].unlink()
    program = (
        "import sys; from client.cli import main; code = main(['check', '--site', 'hospital_a']) if False else None\n"
        "from client import cli\n"
        "code = cli.run_command_line(cli.app, 'collab-client', ['--site', 'hospital_a', 'check'])\n"
        "print(code, [name for name in ('torch', 'presidio_analyzer', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2 []"
    assert "there is no notes.jsonl" in done.stderr
    assert rehearsal.FEW > 0
