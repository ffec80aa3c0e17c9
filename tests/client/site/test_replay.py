# SPDX-License-Identifier: Apache-2.0
"""A site's auditor trains a past round again: the same bits, or a verdict that says which of its parts changed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from client.settings.site_settings import SiteFolder
from client.site import replay as room
from client.site.attempts import Computation
from client.site.payload import encode_update
from client.site.replay import Replay, doubtful, forbidding
from privacy.base.identifiers import sha256
from privacy.base.randomness import PublicSeed
from privacy.protocol.messages import SiteUpdate

Clinic = Any
MakeClinic = Callable[..., Any]


@pytest.fixture(autouse=True)
def _threads_as_before() -> Any:
    """A replay sets the site's thread count; the other tests of this process keep theirs."""
    before, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(deterministic)


def sent(clinic: Clinic, number: int = 1, **changes: Any) -> SiteUpdate:
    return clinic.opened_reply(clinic.ask(number, **changes), SiteUpdate)


def again(clinic: Clinic, number: int = 1, model: Path | None = None) -> room.Replayed:
    """From the folder alone, as the command does."""
    return Replay(SiteFolder(clinic.folder.toml)).round("spring", number, model)


def changed(clinic: Clinic, before: str, after: str) -> None:
    text = clinic.folder.toml.read_text()
    assert text.count(before) == 1
    clinic.folder.toml.write_text(text.replace(before, after))


def test_a_round_trained_again_gives_what_was_sent_and_costs_nothing(clinic: Clinic) -> None:
    update, charged = sent(clinic), clinic.charged()
    found = again(clinic)
    assert (found.verdict, found.exit_code, found.why) == ("same", 0, ())
    assert found.again == found.sent == update.payload_digest
    assert (found.attempt, found.attempts) == (1, 1)
    assert clinic.charged() == charged


def test_each_round_replays_from_its_own_nonce(clinic: Clinic) -> None:
    digests = {sent(clinic, number).payload_digest for number in (1, 2)}
    assert len(digests) == 2
    assert {again(clinic, number).again for number in (1, 2)} == digests


@pytest.mark.parametrize("simulation", [None, PublicSeed(b"\x11" * 32)])
def test_a_round_without_noise_and_one_at_a_simulated_site_replay_too(make_clinic: MakeClinic, simulation: Any) -> None:
    clinic = make_clinic(noise=None, policy={"allow_non_private": True}, simulation=simulation)
    clinic.hello()
    update = sent(clinic)
    assert update.spent is None
    assert again(clinic).again == update.payload_digest


def killed(*_: Any) -> Any:
    raise KeyboardInterrupt


def test_of_several_attempts_the_one_that_was_sent_is_named(clinic: Clinic) -> None:
    train, clinic.site.pipeline.train = clinic.site.pipeline.train, killed  # type: ignore[method-assign]
    plan = clinic.planned()
    with pytest.raises(KeyboardInterrupt):
        clinic.site.answer(clinic.message(plan, "update", clinic.initial))
    assert again(clinic).why == ("none of 1 attempts was answered: nothing was sent",)
    clinic.site.pipeline.train = train  # type: ignore[method-assign]
    reply = clinic.site.answer(clinic.message(plan, "update", clinic.initial))
    found = again(clinic)
    assert (found.verdict, found.attempt, found.attempts) == ("same", 2, 2)
    assert found.again == sha256(reply.payload)


def test_changed_data_differ_and_are_named(clinic: Clinic) -> None:
    sent(clinic)
    notes = clinic.folder.home / "data" / "notes.jsonl"
    rows = [json.loads(line) for line in notes.read_text().splitlines()]
    for row in rows:
        row["text"] += " worse"
    notes.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = again(clinic)
    assert (found.verdict, found.exit_code) == ("differs", 1)
    assert found.again not in (None, found.sent)
    assert found.why == (room.OTHER_RECORDS,)


def test_data_that_cannot_be_trained_on_any_more_differ_too(clinic: Clinic) -> None:
    sent(clinic)
    notes = clinic.folder.home / "data" / "notes.jsonl"
    notes.write_text(notes.read_text().replace('"label": "', '"label": "not '))
    found = again(clinic)
    assert found.verdict == "differs"
    assert found.again not in (None, found.sent)
    assert found.why == (room.OTHER_RECORDS,)


def test_a_round_that_was_answered_without_data_replays_as_such(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(clinic.site.pipeline, "train", None)
        sent(clinic)
    found = again(clinic)
    assert (found.verdict, found.why) == ("same", (room.WITHOUT_DATA,))


def test_another_key_differs_and_is_named(clinic: Clinic) -> None:
    sent(clinic)
    key = clinic.folder.keys / "site.key"
    key.write_text("ab" * 32 + "\n")
    found = again(clinic)
    assert (found.verdict, found.exit_code, found.again) == ("differs", 1, None)
    assert "the key or the record changed" in found.why[0]


def test_another_thread_count_cannot_be_compared_and_says_how_to_mend_it(clinic: Clinic) -> None:
    sent(clinic)
    changed(clinic, "threads = 1", "threads = 2")
    found = again(clinic)
    assert (found.verdict, found.exit_code, found.again) == ("cannot_compare", 2, None)
    assert found.why == ("threads was 1 and is 2: set compute.threads = 1",)
    changed(clinic, "threads = 2", "threads = 1")
    assert again(clinic).verdict == "same"


def test_a_changed_record_differs(clinic: Clinic) -> None:
    """Payload, signed body and ledger: whichever was touched, the replay does not call it the same."""
    update = sent(clinic)
    payload = clinic.folder.home / "state" / "payloads" / update.payload_digest
    whole = payload.read_bytes()
    payload.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert (again(clinic).verdict, again(clinic).why[0][:18]) == ("differs", "the stored payload")
    payload.write_bytes(whole)
    with sqlite3.connect(clinic.folder.state) as state:
        ((body,),) = state.execute("select body from replies where phase = 'update'").fetchall()
        forged = body.replace(update.payload_digest.encode(), b"0" * 64)
        state.execute("update replies set body = ? where phase = 'update'", (forged,))
    assert again(clinic).verdict == "differs"
    with sqlite3.connect(clinic.folder.state) as state:
        state.execute("update replies set body = ? where phase = 'update'", (body,))
    assert again(clinic).verdict == "same"
    for file in clinic.folder.home.glob("ledger.*"):
        file.unlink()
    found = again(clinic)
    assert found.verdict == "differs"
    assert "no charge" in found.why[0]


def test_an_update_that_its_inputs_do_not_give_differs(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a dishonest operator might send: signed, logged, and not what was trained."""

    def less(plan: Any, site: Any, trained: Any, model_in: Any) -> bytes:
        return encode_update(plan, site, model_in + (trained - model_in) / 2, model_in)

    with monkeypatch.context() as patched:
        patched.setattr("client.site.site.encode_update", less)
        sent(clinic)
    found = again(clinic)
    assert (found.verdict, found.why) == ("differs", (room.OTHER_UPDATE,))


def test_a_plan_that_was_changed_in_the_state_differs(clinic: Clinic) -> None:
    sent(clinic)
    with sqlite3.connect(clinic.folder.state) as state:
        ((attempt,),) = state.execute("select attempt from attempts").fetchall()
        other = attempt.replace(b'"head_learning_rate":"0.5"', b'"head_learning_rate":"0.6"')
        assert other != attempt
        state.execute("update attempts set attempt = ?", (other,))
    assert again(clinic).why == ("a plan is not the one that was written down: the record changed",)


def test_only_the_newest_models_are_kept_and_an_older_one_is_given_by_hand(
    make_clinic: MakeClinic, tmp_path: Path
) -> None:
    clinic = make_clinic()
    changed(clinic, "models_kept = 4", "models_kept = 0")
    clinic.folder = SiteFolder(clinic.folder.toml)
    clinic.start()
    clinic.hello()
    sent(clinic)
    found = again(clinic)
    assert found.verdict == "cannot_compare"
    assert "--model" in found.why[0]
    given = tmp_path / "model.safetensors"
    given.write_bytes(clinic.initial)
    assert again(clinic, model=given).verdict == "same"
    given.write_bytes(clinic.initial[:-1] + b"\x00\x01")
    assert "is not the round's input model" in again(clinic, model=given).why[0]


def test_a_round_that_was_never_trained_cannot_be_compared(clinic: Clinic) -> None:
    assert again(clinic, 3).exit_code == 2
    assert "no attempt at round 3" in again(clinic, 3).why[0]


@pytest.mark.slow
@pytest.mark.skipif(torch.backends.cpu.get_cpu_capability() == "DEFAULT", reason="this processor has one set only")
def test_under_other_instructions_the_command_compares_nothing_and_says_what_to_set(clinic: Clinic) -> None:
    sent(clinic)
    command = [sys.executable, "-m", "client.cli", "--site", "clinic", "--sites-folder", str(clinic.root / "sites")]
    command += ["replay", "--run", "spring", "--round", "1", "--json"]
    codes, told = {}, {}
    for chosen in ("default", ""):
        environment = {name: value for name, value in os.environ.items() if name != "ATEN_CPU_CAPABILITY"}
        environment |= {"ATEN_CPU_CAPABILITY": chosen} if chosen else {}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        codes[chosen], told[chosen] = done.returncode, json.loads(done.stdout)
    assert codes == {"default": 2, "": 0}
    wanted = f"set ATEN_CPU_CAPABILITY={torch.backends.cpu.get_cpu_capability().lower()}"
    assert wanted in told["default"]["why"][0]


def machine(**changes: Any) -> Computation:
    base = {
        "device": "cpu x86_64",
        "threads": 1,
        "deterministic": True,
        "cpu_capability": "AVX512",
        "processor": "a",
        "switches": {},
        "software": {"torch": "2.13.0", "numpy": "2"},
    }
    return Computation.model_validate(base | changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cpu_capability": "AVX2"}, "set ATEN_CPU_CAPABILITY=avx512"),
        ({"device": "cuda H100"}, "compute.device"),
        ({"threads": 4}, "compute.threads = 1"),
        ({"deterministic": False}, "deterministic was True"),
        ({"software": {"torch": "3"}}, "torch was 2.13.0 and is 3"),
    ],
)
def test_what_forbids_a_comparison_is_said_with_its_remedy(changes: dict[str, Any], said: str) -> None:
    (sentence,) = forbidding(machine(), machine(**changes))
    assert said in sentence
    assert forbidding(machine(), machine()) == ()


def test_another_processor_version_or_switch_makes_a_difference_doubtful_and_sameness_not() -> None:
    other = machine(processor="b", switches={"MKL_CBWR": "AVX2"}, software={"torch": "2.13.0", "numpy": "3"})
    assert len(doubtful(machine(), other)) == 3
    assert doubtful(machine(), machine()) == forbidding(machine(), other) == ()
