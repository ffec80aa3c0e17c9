# SPDX-License-Identifier: Apache-2.0
"""A site that protects records is told what its patients get, and nobody else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from client.cli import main
from privacy.dp import patient_epsilon

Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def _each_epsilon_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command computes the same figure, in seconds."""
    found: dict[str, patient_epsilon.PatientEpsilon] = {}
    compute = patient_epsilon.patient_epsilon

    def once(*arguments: Any) -> patient_epsilon.PatientEpsilon:
        if repr(arguments) not in found:
            found[repr(arguments)] = compute(*arguments)
        return found[repr(arguments)]

    monkeypatch.setattr(patient_epsilon, "patient_epsilon", once)


def ledger(clinic: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    monkeypatch.chdir(clinic.root)
    capsys.readouterr()
    assert main(["--site", "clinic", "ledger", *more]) == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.fixture
def trained(make_clinic: Make) -> Callable[..., Any]:
    def make(unit: str) -> Any:
        clinic = make_clinic(policy={"unit": unit}, privacy={"unit": unit})
        assert clinic.hello().envelope.kind == "site_hello"
        reply = clinic.ask()
        assert reply.envelope.kind == "site_update"
        clinic.sent = clinic.wire(reply)
        return clinic

    return make


def test_under_record_the_ledger_and_the_report_tell_the_patients_epsilon_and_nothing_of_it_leaves(
    trained: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clinic = trained("record")
    said = json.loads(ledger(clinic, monkeypatch, capsys, "--json"))
    record = float(said["accounts"][0]["epsilon_spent"])
    assert said["patient"]["notes"] == 3
    assert said["patient"]["epsilon"] > record > 0
    shown = ledger(clinic, monkeypatch, capsys)
    assert "Mind the unit: this protects one record; the patient with the most notes (3)" in shown
    assert main(["--site", "clinic", "report"]) == 0
    assert "Mind the unit" in capsys.readouterr().out
    assert b"most_notes" not in clinic.sent


def test_under_patient_there_is_nothing_to_mind(
    trained: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clinic = trained("patient")
    assert json.loads(ledger(clinic, monkeypatch, capsys, "--json"))["patient"] is None
    assert "Mind the unit" not in ledger(clinic, monkeypatch, capsys)
