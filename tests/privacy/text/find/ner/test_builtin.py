# SPDX-License-Identifier: Apache-2.0
"""The packaged name models: what they find and leave, alone and alike, and only with the bytes that they came with."""

from __future__ import annotations

import random
from importlib import resources

import pytest
import torch

from privacy.base.errors import IntegrityError, SettingsError
from privacy.text.find import ner
from privacy.text.find.ner import NameRecognizer
from privacy.text.find.tagger import weights
from privacy.text.find.tagger.segments import LONGEST
from privacy.text.settings import TextSettings

MODELS = ("builtin", "student")


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> NameRecognizer:
    return ner.load(TextSettings(names=request.param))


def found(model: NameRecognizer, text: str) -> dict[str, str]:
    return {text[finding.start : finding.end]: finding.entity_type for finding in model.find(text)}


def test_names_places_and_organisations_that_no_cue_announces(model: NameRecognizer) -> None:
    spans = found(model, "Zorvane Pellicutt flew to Lisbon in March, then wrote to Harwick Memorial Hospital.")
    assert spans["Zorvane Pellicutt"] == "PERSON"
    assert spans["Lisbon"] == "LOCATION"
    assert spans["Harwick Memorial Hospital"] == "ORGANIZATION"


@pytest.mark.parametrize(
    "text",
    [
        "A Foley catheter was placed; Babinski sign negative.",
        "Start Lasix 40 mg daily and recheck potassium in the morning.",
        "Abdomen soft, bowel sounds present, no rebound or guarding.",
        "Mutations of the gene cause a recessive form of ataxia.",
        "WBC 7.2, Hgb 13.1, platelets 220, glucose 94.",
    ],
)
def test_medicine_stays(model: NameRecognizer, text: str) -> None:
    assert found(model, text) == {}


def test_an_age_is_found_from_ninety_on_unless_bands_are_wanted() -> None:
    texts = "She is 91 years old.", "She is 47 years old."
    safe_harbor = ner.load(TextSettings(names="builtin"))
    assert [f.entity_type for f in safe_harbor.find(texts[0])] == ["AGE"]
    assert safe_harbor.find(texts[1]) == []
    words = {"names": "builtin", "replacement": {"by_type": {"AGE": "generalize"}}}
    bands = ner.load(TextSettings.model_validate(words))
    assert [f.entity_type for f in bands.find(texts[1])] == ["AGE"]


def test_a_site_that_keeps_quasi_identifiers_gets_no_demographics() -> None:
    text = "He is a retired bricklayer and a Turkish national."
    kinds = {
        choice: {f.entity_type for f in ner.load(TextSettings(names="builtin", quasi_identifiers=choice)).find(text)}
        for choice in ("mask", "keep")
    }
    assert kinds == {"mask": {"DEMOGRAPHIC"}, "keep": set()}


LINES = [
    "Seen with Dagny Orsolak in clinic.",
    "Plan: continue current medication.",
    "Transferred from Port Elbury General.",
    "Call Teodor at home.",
    "BP 120/80, afebrile.",
]


def test_a_line_means_the_same_in_any_company_order_and_number_of_threads(model: NameRecognizer) -> None:
    alone = [found(model, line) for line in LINES]
    again = ner.load(TextSettings(names=model.name))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        order = list(LINES)
        random.Random(3).shuffle(order)
        together = found(again, "\n".join(order * 3))
    finally:
        torch.set_num_threads(threads)
    assert together == {span: kind for line in alone for span, kind in line.items()}


def test_a_name_beyond_the_longest_segment_is_found(model: NameRecognizer) -> None:
    text = "The wound was clean and dry and the dressing was changed without pain. " * (LONGEST // 40)
    name = "Ismeldra Quanto"
    assert name in found(model, f"{text}Later {name} visited with her brother.")


def test_the_models_fit_into_twelve_megabytes() -> None:
    files = [resources.files("privacy.text.find.tagger.weights") / one.file for one in weights.PACKAGED.values()]
    assert sum(len(file.read_bytes()) for file in files) <= 12_000_000


def test_altered_and_missing_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    good = weights.PACKAGED["builtin"]
    monkeypatch.setitem(weights.PACKAGED, "builtin", weights.Packaged(good.file, "0" * 64, good.thresholds))
    with pytest.raises(IntegrityError, match="altered"):
        ner.load(TextSettings(names="builtin"))
    monkeypatch.setitem(weights.PACKAGED, "builtin", weights.Packaged("no.safetensors", good.digest, good.thresholds))
    with pytest.raises(SettingsError, match="not there"):
        ner.load(TextSettings(names="builtin"))


def test_a_fingerprint_tells_the_models_apart() -> None:
    assert len({ner.load(TextSettings(names=name)).fingerprint for name in MODELS}) == 2
