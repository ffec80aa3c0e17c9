# SPDX-License-Identifier: Apache-2.0
"""Settings that name a unit move units between train and dev: from then on both compose in sequence, for good.

The attacks are those of a site that changes a setting in good faith: its ledger said 7.97 where 10.60 was true.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from client.cli import main
from client.data.corpus_view import open_texts
from client.settings.site_settings import SiteFolder
from privacy.base.randomness import PublicSeed
from privacy.dp import pld
from privacy.dp.composition import as_one_sequence
from privacy.dp.ledger import Charge, Ledger, Release

Clinic = Any
Make = Callable[..., Clinic]

KNOWN = PublicSeed(b"\x07" * 32)
"""Keys under which units do move both ways: under one in seven of other keys none does."""


def parts(clinic: Clinic) -> dict[str, set[str]]:
    records = clinic.site.pipeline.records.anonymized().records
    return {part: {record.text for record in records[part]} for part in ("train", "dev")}


def change(clinic: Clinic, before: str, after: str) -> None:
    toml = clinic.folder.toml
    text = toml.read_text()
    assert text.count(before) == 1
    toml.write_text(text.replace(before, after))
    clinic.site.state.close()
    clinic.folder = SiteFolder(toml)
    clinic.start()


def history(clinic: Clinic, unit: str) -> list[Any]:
    return [event for row in clinic.site.ledger.history("notes", unit) for event in row.events]


def assert_in_sequence(clinic: Clinic, unit: str) -> None:
    """The last charge covers what was released of units that were in both parts."""
    last = clinic.site.ledger.history("notes", unit)[-1]
    events = history(clinic, unit)
    apart, together = pld.epsilon_pld(events, 1e-3), pld.epsilon_pld(as_one_sequence(events), 1e-3)
    assert together > apart + 0.5
    assert float(last.epsilon_after) == pytest.approx(together, abs=0.03)
    assert float(last.epsilon_after) >= together
    assert float(clinic.site.ledger.spent("notes", unit, "0.001").epsilon) >= together


def test_another_patient_column_makes_train_and_dev_one_sequence(
    make_clinic: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clinic = make_clinic(simulation=KNOWN)
    path = clinic.folder.data_files[0]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row | {"mrn": "M" + row["patient_id"]}) + "\n" for row in rows))
    clinic.hello()
    for reply in (clinic.ask(1), clinic.count(1)):
        assert reply.envelope.kind in ("site_update", "site_metrics")
    apart, before = clinic.charged()[-1], parts(clinic)
    assert float(apart.epsilon_after) <= pld.epsilon_pld(history(clinic, "patient"), 1e-3) + 0.03
    change(clinic, 'patient_column = "patient_id"', 'patient_column = "mrn"')
    after = parts(clinic)
    assert before["train"] & after["dev"]
    assert before["dev"] & after["train"]
    assert clinic.ask(2).envelope.kind == "site_update"
    assert_in_sequence(clinic, "patient")
    change(clinic, 'patient_column = "mrn"', 'patient_column = "patient_id"')
    assert parts(clinic) == before
    assert clinic.count(2).envelope.kind == "site_metrics"
    assert_in_sequence(clinic, "patient")
    monkeypatch.chdir(clinic.root)
    assert main(["--site", "clinic", "ledger"]) == 0
    assert "compose in sequence for good" in " ".join(capsys.readouterr().out.split())


def test_texts_that_are_cut_elsewhere_make_train_and_dev_one_sequence(make_clinic: Make) -> None:
    """Without columns of ids a record is named by its content: other content is another name."""
    clinic = make_clinic(
        data={"record_column": None, "patient_column": None, "max_characters": 20_000},
        policy={"unit": "record"},
        privacy={"unit": "record"},
        simulation=KNOWN,
    )
    clinic.hello()
    for reply in (clinic.ask(1), clinic.count(1)):
        assert reply.envelope.kind in ("site_update", "site_metrics")
    before = parts(clinic)
    text = clinic.folder.toml.read_text()
    line = next(line for line in text.splitlines() if line.startswith("max_characters"))
    change(clinic, line, "max_characters = 30")
    after = parts(clinic)
    assert any(was.startswith(now) for was in before["train"] for now in after["dev"])
    assert clinic.ask(2).envelope.kind == "site_update"
    assert_in_sequence(clinic, "record")


def test_the_same_cut_moves_nobody_where_a_column_names_the_records(make_clinic: Make) -> None:
    clinic = make_clinic()
    clinic.hello()
    assert clinic.ask(1).envelope.kind == "site_update"
    text = clinic.folder.toml.read_text()
    line = next((line for line in text.splitlines() if line.startswith("max_characters")), None)
    change(clinic, line or "[data]\n", "max_characters = 30" if line else "[data]\nmax_characters = 30\n")
    assert clinic.ask(2).envelope.kind == "site_update"
    assert not clinic.site.ledger.in_sequence("notes", "patient")


def test_another_key_or_other_fractions_are_refused_as_before(make_clinic: Make) -> None:
    clinic = make_clinic()
    clinic.hello()
    assert clinic.ask(1).envelope.kind == "site_update"
    charged = clinic.charged()
    change(clinic, "dev_fraction = 0.4", "dev_fraction = 0.5")
    assert clinic.reason(clinic.ask(2)) == "policy"
    assert "restore data.dev_fraction" in clinic.sentences()[-1]
    assert clinic.charged() == charged
    change(clinic, "dev_fraction = 0.5", "dev_fraction = 0.4")
    assert clinic.ask(3).envelope.kind == "site_update"


def test_a_ledger_from_before_names_were_pinned_is_taken_over(make_clinic: Make) -> None:
    """Its pin says key and fractions alone. What it says of names from now on is what is now."""
    clinic = make_clinic()
    clinic.hello()
    split = clinic.site.pipeline.records.split()
    with clinic.site.ledger._chain.transaction() as page:
        page.append("split", {"dataset": "notes", "unit": "patient", "digest": split.drawn})
    assert clinic.ask(1).envelope.kind == "site_update"
    assert not clinic.site.ledger.in_sequence("notes", "patient")
    change(clinic, 'patient_column = "patient_id"', 'patient_column = "record_id"')
    assert clinic.ask(2).envelope.kind == "site_update"
    assert clinic.site.ledger.in_sequence("notes", "patient")


def test_what_a_person_previews_is_what_is_trained_on(make_clinic: Make) -> None:
    """Both ask one table: a unit that it holds in dev is shown in dev, whatever the hash says today."""
    clinic = make_clinic()
    clinic.hello()
    assert clinic.ask(1).envelope.kind == "site_update"
    with sqlite3.connect(clinic.folder.home / "units.sqlite") as db:
        assert db.execute("select count(*) from units").fetchone() == (12,)
        db.execute("update units set part = 1 - part where part < 2")
    trained = clinic.start().pipeline.records.anonymized()
    assert trained.corpus.held == 12
    assert trained.corpus.as_json()["held"] == 12
    with open_texts(clinic.folder, clinic.site.identity.site_key) as texts:
        shown = {(part, row.record_id) for part, row in texts.rows}
    assert shown == {(part, one.record_id) for part, found in trained.records.items() for one in found}


def test_a_data_sets_other_unit_is_refused_with_its_reason(make_clinic: Make) -> None:
    clinic = make_clinic()
    clinic.hello()
    assert clinic.ask(1).envelope.kind == "site_update"
    events = history(clinic, "patient")
    with pytest.raises(Exception, match="was charged under unit patient"):
        Ledger(clinic.folder.ledger).reserve(
            "notes",
            "record",
            Charge("spring", tuple(events), "20", "0.001"),
            Release("clinic", 2, "train", "0" * 64, bytes(32)),
        )
