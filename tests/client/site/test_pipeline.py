# SPDX-License-Identifier: Apache-2.0
"""A site's texts are read once, kept anonymized, and split by a keyed hash that no other record can move."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from client.data.corpus_view import open_texts
from client.learning.training import features
from client.site.pipeline import SitePipeline
from privacy.base.errors import CollabError
from privacy.base.randomness import SecretSeed

MakeClinic = Callable[..., Any]


def pipeline(clinic: Any) -> SitePipeline:
    return SitePipeline(clinic.folder, clinic.site.identity.site_key)


def split_of_each(made: SitePipeline) -> dict[str, str]:
    return {record.record_id: split for split, found in made.records.anonymized().records.items() for record in found}


def test_every_row_is_in_one_split_and_no_patient_in_two(make_clinic: MakeClinic) -> None:
    records = pipeline(make_clinic()).records.anonymized().records
    patients = {split: {record.patient_id for record in found} for split, found in records.items()}
    assert sum(len(found) for found in records.values()) == 36
    assert patients["train"]
    assert patients["dev"]
    assert not patients["train"] & patients["dev"]


def test_a_split_depends_on_the_key_and_not_on_the_order_or_the_other_rows(make_clinic: MakeClinic) -> None:
    clinic = make_clinic()
    first = split_of_each(pipeline(clinic))
    file = clinic.folder.data_files[0]
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    kept = [row for row in reversed(rows) if row["patient_id"] != "p3"]
    file.write_text("".join(json.dumps(row) + "\n" for row in kept))
    second = split_of_each(pipeline(clinic))
    assert second == {record: split for record, split in first.items() if record in second}
    assert len(second) == len(kept)
    assert split_of_each(SitePipeline(clinic.folder, SecretSeed(b"\x44" * 32))) != second


def test_the_commitment_to_the_report_is_new_in_each_run_and_tells_nothing(make_clinic: MakeClinic) -> None:
    one = pipeline(make_clinic()).records
    spring, autumn = one.commitment("spring"), one.commitment("autumn")
    assert spring != autumn
    assert spring == one.commitment("spring")


def test_a_changed_split_is_refused_after_budget_was_spent_under_the_old_one(make_clinic: MakeClinic) -> None:
    clinic = make_clinic()
    assert pipeline(clinic).records.split() == clinic.site.pipeline.records.split()
    data = clinic.folder.settings.data.model_copy(update={"dev_fraction": 0.5})
    clinic.hello()
    assert clinic.ask(1).envelope.kind == "site_update"
    settings = clinic.folder.settings.model_copy(update={"data": data})
    clinic.site.pipeline.records._settings = clinic.site.settings = settings
    charged = clinic.charged()
    assert clinic.ask(2).envelope.kind == "refusal"
    assert clinic.charged() == charged


def test_surrogates_follow_the_sites_key_and_agree_within_a_patient(make_clinic: MakeClinic) -> None:
    clinic = make_clinic(text={"replacement": {"default": "surrogate"}})
    notes = [
        {
            "record_id": f"r{at}",
            "patient_id": f"p{at % 12}",
            "text": f"Seen by Dr. Lambertine, visit {at}",
            "label": "ill",
        }
        for at in range(36)
    ]
    clinic.folder.data_files[0].write_text("".join(json.dumps(note) + "\n" for note in notes))
    one, again = pipeline(clinic).records.all(), pipeline(clinic).records.all()
    other = SitePipeline(clinic.folder, SecretSeed(b"\x44" * 32)).records.all()
    assert [record.text for record in one] == [record.text for record in again]
    named = {(record.patient_id, record.text.split(",")[0]) for record in one}
    assert len(named) == 12
    assert len({name for _, name in named}) > 6
    assert not any("Lambertine" in record.text for record in (*one, *other))
    assert {(record.patient_id, record.text.split(",")[0]) for record in other} != named


def test_what_is_shown_of_each_row_is_byte_for_byte_what_is_trained_on(make_clinic: MakeClinic) -> None:
    """Surrogates follow from the key and from all rows of a patient: two builders would part here first."""
    clinic = make_clinic(text={"replacement": {"default": "surrogate"}})
    path = clinic.folder.data_files[0]
    path.write_text(path.read_text().replace('"text": "', '"text": "Dr. Quenby Zorblatt on 3 April 2019: '))
    trained = {record.record_id: record for record in pipeline(clinic).records.all()}
    with open_texts(clinic.folder, clinic.site.identity.site_key) as texts:
        shown = [texts.show(at).record for at in range(len(texts.rows))]
    assert all(record is not None and record.findings for record in shown)
    assert {record.record_id: record for record in shown if record is not None} == trained


def test_a_contract_follows_from_all_that_a_plan_says_and_not_from_the_digest_it_names(make_clinic: MakeClinic) -> None:
    """It was cached under the plan's word: after an honest plan any task passed under the honest digest."""
    clinic = make_clinic()
    clinic.hello()
    plan, made = clinic.planned().body.plan, pipeline(clinic)
    honest, _ = made.models.contract(plan, "11" * 32)
    for changes in ({"task": plan.task.model_copy(update={"counted": 7})}, {"pretrained_digest": "0" * 64}):
        lie = plan.model_copy(update=changes)
        assert lie.contract_digest == plan.contract_digest
        if "task" in changes:
            assert made.models.contract(lie, "11" * 32)[0].task.counted == 7
        else:
            with pytest.raises(CollabError):
                made.models.contract(lie, "11" * 32)
    assert made.models.contract(plan, "11" * 32)[0] == honest
    assert made.models.contract(plan, "22" * 32)[1] != made.models.contract(plan, "11" * 32)[1]


def test_dev_rows_are_read_one_by_one_and_those_of_train_in_batches(
    make_clinic: MakeClinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: dict[str, set[int]] = {"train": set(), "dev": set()}
    through = features._through
    clinic, now = make_clinic(), ["train"]

    def watched(model: Any, batch: Any) -> Any:
        sizes[now[0]].add(len(batch["input_ids"]))
        return through(model, batch)

    monkeypatch.setattr(features, "_through", watched)
    made, outline = pipeline(clinic), clinic.recipe.opened.outline
    contract, _ = made.models.contract(outline, "11" * 32)
    for split in ("train", "dev"):
        now[0] = split
        made.examples(contract, "11" * 32, split)
    assert sizes["dev"] == {1}
    assert max(sizes["train"]) > 1
