# SPDX-License-Identifier: Apache-2.0
"""Models of names by config: what every file of privacy/text/find/ner must do, on real small models made here.

GLiNER and stanza are tested where the library is installed and COLLAB_GLINER_MODEL or COLLAB_STANZA_MODEL names a
folder with a model, and COLLAB_SPACY_MODEL tests a real spaCy package; else those tests are skipped and say so.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from privacy.base import parts
from privacy.base.errors import SettingsError
from privacy.text.find import ner
from privacy.text.find.ner import NameRecognizer
from privacy.text.reading.records import ENTITY_TYPES, Finding
from privacy.text.settings import TextSettings

TEXT = "Quenby Zorblatt of Acme Tool came from Umbrville. Nothing else."

MakeBert = Callable[..., Path]


def settings_for(names: str, folder: Path | str, **more: object) -> TextSettings:
    return TextSettings.model_validate({"names": names, "names_model": str(folder), **more})


def real(names: str, variable: str) -> TextSettings:
    if importlib.util.find_spec(names) is None:
        pytest.skip(f"the library {names} is not installed")
    if variable not in os.environ:
        pytest.skip(f"no {names} model here: set {variable}")
    return settings_for(names, os.environ[variable])


NEED_A_MODEL = {"spacy", "transformers", "gliner", "stanza"}
NEED_NONE = sorted(set(parts.names("privacy.text.find.ner")) - NEED_A_MODEL)
"""New files are visited by themselves."""


@pytest.fixture(scope="module", params=[*NEED_NONE, "ruler", "trained", "bert", "spacy model", "gliner", "stanza"])
def recognizer(request: pytest.FixtureRequest, made: Callable[[str], TextSettings]) -> NameRecognizer:
    which: str = request.param
    if which in NEED_NONE:
        try:
            return ner.load(TextSettings(names=which))
        except SettingsError as error:
            if "is not there" not in error.message:
                raise
            pytest.skip(f"{which}: its packaged weights are not there")
    if which in ("gliner", "stanza"):
        return ner.load(real(which, f"COLLAB_{which.upper()}_MODEL"))
    return ner.load(real("spacy", "COLLAB_SPACY_MODEL") if which == "spacy model" else made(which))


def words(text: str, findings: list[Finding]) -> set[tuple[str, str]]:
    return {(text[finding.start : finding.end], finding.entity_type) for finding in findings}


# -- the contract -----------------------------------------------------------------------------------------------------


def test_findings_are_inside_the_text_of_known_types_and_the_same_each_time(recognizer: NameRecognizer) -> None:
    for text in (TEXT, "", " ", "x" * 20_000, "Quenby Zorblatt. " * 300):
        found = recognizer.find(text)
        assert found == recognizer.find(text)
        assert all(0 <= finding.start < finding.end <= len(text) for finding in found)
        assert {finding.entity_type for finding in found} <= ENTITY_TYPES
        assert all(0 < finding.score <= 1 for finding in found)
    assert re.fullmatch("[0-9a-f]{64}", recognizer.fingerprint)


@hypothesis_settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(max_size=150))
def test_any_text_can_be_read(recognizer: NameRecognizer, text: str) -> None:
    assert all(0 <= finding.start < finding.end <= len(text) for finding in recognizer.find(text))


@pytest.mark.parametrize("which", ["ruler", "trained", "bert"])
def test_the_fingerprint_covers_the_weights_and_the_settings(
    made: Callable[[str], TextSettings], which: str, tmp_path: Path
) -> None:
    settings = made(which)
    first = ner.load(settings).fingerprint
    assert ner.load(settings).fingerprint == first
    assert ner.load(settings.model_copy(update={"names_threshold": 0.4})).fingerprint != first
    folder = Path(str(settings.names_model))
    file = next(file for file in sorted(folder.rglob("*.json")) if "config" in file.name or file.name == "meta.json")
    before = file.read_bytes()
    try:
        file.write_bytes(before + b"\n")
        assert ner.load(settings).fingerprint != first
    finally:
        file.write_bytes(before)


# -- spaCy ------------------------------------------------------------------------------------------------------------


def test_a_spacy_pipelines_labels_become_ours(made: Callable[[str], TextSettings]) -> None:
    found = words(TEXT, ner.load(made("ruler")).find(TEXT))
    assert found == {("Quenby Zorblatt", "PERSON"), ("Umbrville", "LOCATION")}


def test_a_trained_spacy_pipeline_finds_what_it_learnt(made: Callable[[str], TextSettings]) -> None:
    text = "Quenby Zorblatt came"
    assert words(text, ner.load(made("trained")).find(text)) == {("Quenby Zorblatt", "PERSON")}


def test_spacy_keeps_no_word_of_the_texts(made: Callable[[str], TextSettings]) -> None:
    recognizer = ner.load(made("ruler"))
    recognizer.find("Quenby Zorblatt met Xylophanes Quartermain")
    assert "Xylophanes" not in recognizer._nlp.vocab.strings  # type: ignore[attr-defined]


def test_a_spacy_model_that_is_missing_or_finds_nothing_or_is_foreign_is_refused(tmp_path: Path) -> None:
    import spacy

    for name in ("en_core_web_nothing", str(tmp_path / "nowhere")):
        with pytest.raises(SettingsError, match=r"there is no.*\nNext step"):
            ner.load(settings_for("spacy", name, allow_download=True))
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(SettingsError, match="finds no entities"):
        ner.load(settings_for("spacy", tmp_path / "blank"))
    spacy.blank("de").to_disk(tmp_path / "german")
    with pytest.raises(SettingsError, match="language 'de'"):
        ner.load(settings_for("spacy", tmp_path / "german"))
    (tmp_path / "rubbish").mkdir()
    with pytest.raises(SettingsError, match="cannot be read") as caught:
        ner.load(settings_for("spacy", tmp_path / "rubbish"))
    assert str(tmp_path) not in str(caught.value)


# -- transformers -----------------------------------------------------------------------------------------------------


def test_pieces_of_a_word_and_words_of_a_name_become_one_finding(made: Callable[[str], TextSettings]) -> None:
    recognizer = ner.load(made("bert"))
    text = "Quenby  Zorblatt came from Umbrville, Quenby\nZorblatt."
    assert words(text, recognizer.find(text)) == {
        ("Quenby  Zorblatt", "PERSON"),
        ("Umbrville", "LOCATION"),
        ("Quenby", "PERSON"),
        ("Zorblatt", "PERSON"),
    }
    # the model knows the piece "quen" alone; the word goes as a whole
    assert words("QUENBY", recognizer.find("QUENBY")) == {("QUENBY", "PERSON")}


@pytest.mark.parametrize("before", range(0, 60, 3))
def test_a_name_at_the_edge_of_a_window_is_found_whole(made: Callable[[str], TextSettings], before: int) -> None:
    text = "a " * before + "Quenby Zorblatt" + " came" * 40
    found = ner.load(made("bert")).find(text)
    assert ("Quenby Zorblatt", "PERSON") in words(text, found)
    assert {text[finding.start : finding.end] for finding in found} <= {"Quenby Zorblatt", "Quenby", "Zorblatt"}


def test_text_that_looks_like_the_models_own_marks_is_text(made: Callable[[str], TextSettings]) -> None:
    text = "[SEP] Quenby [PAD] [CLS] Zorblatt"
    assert words(text, ner.load(made("bert")).find(text)) == {("Quenby", "PERSON"), ("Zorblatt", "PERSON")}


def test_a_lower_threshold_finds_no_less(made: Callable[[str], TextSettings]) -> None:
    settings = made("bert")
    low, high = (ner.load(settings.model_copy(update={"names_threshold": at})).find(TEXT) for at in (0.05, 0.95))
    covered = {at for finding in low for at in range(finding.start, finding.end)}
    assert all(at in covered for finding in high for at in range(finding.start, finding.end))


def test_labels_that_nobody_maps_are_refused_until_the_site_does(make_bert: MakeBert, tmp_path: Path) -> None:
    folder = make_bert(tmp_path / "m", ("O", "B-KUNDE", "I-KUNDE", "B-DIAG", "I-DIAG"))
    with pytest.raises(SettingsError, match=r"DIAG, KUNDE[\s\S]*names_labels"):
        ner.load(settings_for("transformers", folder))
    mapped = settings_for("transformers", folder, names_labels={"Kunde": "PERSON", "DIAG": "KEEP"})
    assert words(TEXT, ner.load(mapped).find(TEXT)) == {("Quenby Zorblatt", "PERSON")}
    with pytest.raises(SettingsError, match=r"ORT, which the model[\s\S]*DIAG, KUNDE"):
        ner.load(mapped.model_copy(update={"names_labels": {**mapped.names_labels, "ORT": "LOCATION"}}))


def test_a_model_that_could_run_code_is_refused(make_bert: MakeBert, tmp_path: Path) -> None:
    folder = make_bert(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "modeling_x.X"}}))
    with pytest.raises(SettingsError, match="code of its own"):
        ner.load(settings_for("transformers", folder))
    for weights in folder.glob("*.safetensors"):
        weights.rename(weights.with_suffix(".bin"))
    for names in ("transformers", "gliner"):
        with pytest.raises(SettingsError, match="safetensors"):
            ner.load(settings_for(names, folder))


def test_altered_weights_show_in_the_fingerprint_and_broken_ones_are_refused(
    make_bert: MakeBert, tmp_path: Path
) -> None:
    settings = settings_for("transformers", make_bert(tmp_path / "m"))
    first = ner.load(settings).fingerprint
    weights = tmp_path / "m" / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert ner.load(settings).fingerprint != first
    weights.write_bytes(good[: len(good) // 2])
    with pytest.raises(SettingsError, match="cannot be read") as caught:
        ner.load(settings)
    assert str(tmp_path) not in str(caught.value)
