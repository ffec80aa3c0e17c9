# SPDX-License-Identifier: Apache-2.0
"""When a run opens a site says no, if it must, before anything is charged, and is ready before the first round."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from client.cli import main
from client.site.events import NotTakenEvent
from client.site.records import SiteRecords

Clinic = Any
MakeClinic = Callable[..., Any]


def told(clinic: Clinic, kind: str) -> list[dict[str, Any]]:
    return [event for event in clinic.site.reports.events("spring") if event.kind == kind]


def put(clinic: Clinic, *rows: dict[str, str]) -> None:
    path = clinic.folder.data_files[0]
    path.write_text(path.read_text() + "".join(json.dumps(row) + "\n" for row in rows))


def test_after_its_hello_a_site_has_nothing_left_to_prepare(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of four sites missed a deadline of 60 s because they checked themselves and read their texts in round 1."""
    monkeypatch.setattr(SiteRecords, "_anonymize", lambda self: pytest.fail("read in round 1"))
    monkeypatch.setattr("client.site.pipeline.prepare", lambda *_, **__: pytest.fail("prepared in round 1"))
    monkeypatch.setattr("client.site.mechanism_check.measure", lambda *_: pytest.fail("measured in round 1"))
    monkeypatch.setattr("privacy.text.self_check.check", lambda *_: pytest.fail("checked in round 1"))
    assert clinic.ask().envelope.kind == "site_update"
    assert clinic.count(1).envelope.kind == "site_metrics"
    assert told(clinic, "answered_without_data") == []


def test_a_repeated_hello_prepares_nothing_again(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clinic.site.readiness, "_prepare", lambda *_: pytest.fail("prepared again"))
    assert clinic.site.answer(clinic.message(clinic.opened, "hello")).envelope.kind == "site_hello"


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param({"max_steps": 5}, id="three rounds of two steps"),
        pytest.param({"max_rounds": 2}, id="rounds"),
        pytest.param({"max_seconds": 1e-9}, id="seconds"),
        pytest.param({"max_physical_batch": 1}, id="examples at once"),
        pytest.param({"min_cohort": 2}, id="sites"),
        pytest.param({"max_evaluations": 3}, id="evaluations"),
        pytest.param({"labels": (("ill", "well"),)}, id="labels"),
        pytest.param({"max_update_clip_norm": 3.999}, id="length of an update"),
        pytest.param({"delta": 9e-4}, id="delta"),
        pytest.param({"min_noise_multiplier": 1.501}, id="noise"),
    ],
)
def test_a_run_that_does_not_fit_the_policy_is_refused_when_it_opens(
    make_clinic: MakeClinic, policy: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = make_clinic(policy=policy)
    monkeypatch.setattr(clinic.site.pipeline.records, "anonymized", lambda: pytest.fail("the data were read"))
    assert clinic.reason(clinic.hello()) == "policy"
    assert clinic.reason(clinic.ask()) == clinic.reason(clinic.count()) == "policy"
    assert clinic.charged() == ()


def test_a_run_at_every_edge_of_the_policy_is_taken(make_clinic: MakeClinic) -> None:
    edges = {"max_steps": 6, "max_rounds": 3, "max_evaluations": 4, "min_cohort": 1, "max_update_clip_norm": 4.0}
    clinic = make_clinic(policy=edges | {"min_noise_multiplier": 1.5, "max_sample_rate": 0.5})
    assert clinic.hello().envelope.kind == "site_hello"


def test_what_is_wrong_with_the_data_is_told_at_home_when_the_run_opens(make_clinic: MakeClinic) -> None:
    plain, odd = make_clinic(), make_clinic()
    base = {"record_id": "rX", "patient_id": "pX", "text": "home rest", "label": "ill"}
    put(odd, base | {"label": "measles"}, base | {"record_id": "rY", "text": "home \x01"}, base | {"text": ""})
    hellos = [clinic.hello() for clinic in (plain, odd)]
    assert [hello.envelope.kind for hello in hellos] == ["site_hello"] * 2
    assert len({len(hello.body) for hello in hellos}) == 1
    assert told(plain, "left_out") == []
    (event,) = told(odd, "left_out")
    said = event.sentence
    assert "1 of 39 rows are left out: empty 1" in said
    assert "cannot be anonymized and are left out MORE THAN YOU ALLOW: control_characters 1" in said
    assert "lack a label of the plan" in said
    assert "measles" not in said


def test_a_site_whose_people_decline_a_run_reads_and_charges_nothing(
    make_clinic: MakeClinic, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clinic = make_clinic()
    monkeypatch.chdir(clinic.root)
    assert main(["--site", "clinic", "decline", "--run", "spring"]) == 0
    assert "stays away from spring" in " ".join(capsys.readouterr().out.split())
    with monkeypatch.context() as unread:
        unread.setattr(clinic.site.pipeline.records, "anonymized", lambda: pytest.fail("the data were read"))
        codes = {clinic.reason(clinic.hello()), clinic.reason(clinic.ask()), clinic.reason(clinic.count())}
    assert codes == {"declined"}
    assert clinic.charged() == ()
    assert main(["--site", "clinic", "decline", "--run", "spring", "--undo"]) == 0
    assert clinic.site.answer(clinic.message(clinic.opened, "hello")).envelope.kind == "site_hello"
    assert main(["--site", "clinic", "decline", "--run", "No Run"]) == 2


def test_an_update_that_was_not_taken_is_told_and_stays_charged(clinic: Clinic) -> None:
    clinic.ask(1)
    clinic.ask(2)  # starts from the model of round 1: the coordinator went on without it
    (event,) = told(clinic, "not_taken")
    assert isinstance(event, NotTakenEvent)
    assert (event.round, event.answered) == (2, 1)
    assert "What it cost stays spent" in event.sentence
    assert len(clinic.charged()) == 2


def test_a_first_handshake_from_size_zero_is_no_refusal_in_the_report(clinic: Clinic) -> None:
    entry = clinic.planned()
    reply = clinic.site.answer(clinic.message(entry, "update", clinic.initial, from_size=0))
    assert clinic.reason(reply) == "stale_proof"
    assert told(clinic, "refused") == []
    (event,) = told(clinic, "caught_up")
    assert "REFUSED" not in event.sentence


def test_how_long_a_round_takes_is_measured_without_data_and_grows_with_the_plan(make_clinic: MakeClinic) -> None:
    clinic = make_clinic()
    outline, seed = clinic.recipe.opened.outline, clinic.recipe.opened.public_seed
    contract, _ = clinic.site.pipeline.models.contract(outline, seed)

    def seconds(**changes: Any) -> float:
        asked, began = outline.model_copy(update=changes), time.process_time()
        found = clinic.site.pipeline.seconds_of_round(asked, contract, seed)
        assert time.process_time() - began < 60
        return float(found)

    assert 0 < seconds() < seconds(num_steps=20_000) / 100


def test_a_method_that_a_row_may_deceive_is_refused_unless_the_site_allows_it(make_clinic: MakeClinic) -> None:
    """Ghost clipping measures too short a row whose enormous terms cancel: a crafted model can make such rows."""
    clinic = make_clinic(privacy={"clipping": "ghost"})
    assert clinic.reason(clinic.hello()) == "policy"
    assert "ghost is not among bookkeeping, hooks" in clinic.sentences()[0]


ALL = ("bookkeeping", "ghost", "hooks")


def test_a_model_that_the_clipping_cannot_train_is_refused_when_the_run_opens(make_clinic: MakeClinic) -> None:
    """Found by the neighbours: ghost clipping fails on tied embeddings, but only once a row is drawn."""
    task = {"name": "masked_language", "labels": (), "mask_rate": 0.3}
    changes = {"task": task, "training": {"scope": "full"}, "policy": {"tasks": ("masked_language",), "clipping": ALL}}
    clinic = make_clinic(privacy={"clipping": "ghost"}, **changes)
    clinic.site.pipeline.records.anonymized = lambda: pytest.fail("the data were read")
    assert clinic.reason(clinic.hello()) == "policy"
    assert "cannot be trained as it is planned" in clinic.sentences()[0]
    assert make_clinic(privacy={"clipping": "bookkeeping"}, **changes).hello().envelope.kind == "site_hello"


@pytest.mark.parametrize("clipping", ["bookkeeping", "hooks", "ghost"])
def test_a_run_with_dropout_is_taken(make_clinic: MakeClinic, clipping: str) -> None:
    """How long a round takes is measured without any unit, whose name dropout draws by."""
    clinic = make_clinic(training={"dropout": 0.2}, privacy={"clipping": clipping}, policy={"clipping": ALL})
    assert clinic.hello().envelope.kind == "site_hello"
    assert clinic.ask().envelope.kind == "site_update"
