# SPDX-License-Identifier: Apache-2.0
"""Models of names by config: what every file of privacy/text/ner must do, on real small models made here.

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

from privacy import parts
from privacy.errors import AnonymizationError, SettingsError
from privacy.text import engines, ner
from privacy.text.engines import refuse_services
from privacy.text.ner import NameRecognizer
from privacy.text.records import ENTITY_TYPES, Finding
from privacy.text.settings import TextSettings

TEXT = "Quenby Zorblatt of Acme Tool came from Umbrville. Nothing else."
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


# -- small real models ------------------------------------------------------------------------------------------------


def spacy_ruler(folder: Path) -> Path:
    import spacy

    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns(
        [
            {"label": "PERSON", "pattern": "Quenby Zorblatt"},
            {"label": "GPE", "pattern": "Umbrville"},
            {"label": "CARDINAL", "pattern": "Nothing"},
        ]
    )
    nlp.to_disk(folder / "ruler")
    return folder / "ruler"


def spacy_trained(folder: Path) -> Path:
    import spacy
    from spacy.training import Example

    spacy.util.fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe("ner").add_label("PERSON")
    texts = [("Quenby Zorblatt came", [(0, 15, "PERSON")]), ("nobody came at all", [])]
    examples = [Example.from_dict(nlp.make_doc(text), {"entities": spans}) for text, spans in texts]
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(15):
        nlp.update(examples, sgd=optimizer)
    nlp.to_disk(folder / "trained")
    return folder / "trained"


def bert(folder: Path, tags: tuple[str, ...] = TAGS) -> Path:
    """A BERT of one layer, built by hand: the pieces of "Quenby Zorblatt" and "Umbrville" are names, no other is."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "quen",
        "##by",
        "zorblatt",
        "umbrville",
        "came",
        "from",
        ".",
        "of",
        "a",
    ]
    fast = Tokenizer(models.WordPiece({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    fast.normalizer = normalizers.BertNormalizer(lowercase=True)
    fast.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    fast.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    PreTrainedTokenizerFast(tokenizer_object=fast, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=24, id2label=dict(enumerate(tags)), label2id={tag: at for at, tag in enumerate(tags)},
    )  # fmt: skip
    model = BertForTokenClassification(config)
    with torch.no_grad():
        layer = model.bert.encoder.layer[0]
        for part in (layer.attention.output.dense, layer.output.dense):
            part.weight.zero_()
            part.bias.zero_()
        model.bert.embeddings.position_embeddings.weight.zero_()
        model.bert.embeddings.token_type_embeddings.weight.zero_()
        rows = model.bert.embeddings.word_embeddings.weight
        rows.zero_()
        label_of = {"quen": 1, "##by": 2, "zorblatt": 2, "umbrville": 3}
        model.classifier.weight.zero_()
        model.classifier.bias.zero_()
        for at, word in enumerate(words):
            rows[at, label_of.get(word, 0)] = 1.0
        for label in range(len(tags)):
            model.classifier.weight[label, label] = 3.0
    model.save_pretrained(folder)
    return folder


def settings_for(names: str, folder: Path | str, **more: object) -> TextSettings:
    return TextSettings.model_validate({"names": names, "names_model": str(folder), **more})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TextSettings]:
    """Settings with a small model by the name of its maker; each is made once."""
    makers = {"ruler": ("spacy", spacy_ruler), "trained": ("spacy", spacy_trained), "bert": ("transformers", bert)}
    ready: dict[str, TextSettings] = {}

    def settings(which: str) -> TextSettings:
        if which not in ready:
            names, make = makers[which]
            ready[which] = settings_for(names, make(tmp_path_factory.mktemp(which)))
        return ready[which]

    return settings


def real(names: str, variable: str) -> TextSettings:
    if importlib.util.find_spec(names) is None:
        pytest.skip(f"the library {names} is not installed")
    if variable not in os.environ:
        pytest.skip(f"no {names} model here: set {variable}")
    return settings_for(names, os.environ[variable])


NEED_A_MODEL = {"spacy", "transformers", "gliner", "stanza"}
NEED_NONE = sorted(set(parts.names("privacy.text.ner")) - NEED_A_MODEL)
"""New files are visited by themselves."""


@pytest.fixture(scope="module", params=[*NEED_NONE, "ruler", "trained", "bert", "spacy model", "gliner", "stanza"])
def recognizer(request: pytest.FixtureRequest, made: Callable[[str], TextSettings]) -> NameRecognizer:
    which: str = request.param
    if which in NEED_NONE:
        return ner.load(TextSettings(names=which))
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
        assert all(0.5 <= finding.score <= 1 for finding in found)
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


def test_labels_that_nobody_maps_are_refused_until_the_site_does(tmp_path: Path) -> None:
    folder = bert(tmp_path / "m", ("O", "B-KUNDE", "I-KUNDE", "B-DIAG", "I-DIAG"))
    with pytest.raises(SettingsError, match=r"DIAG, KUNDE[\s\S]*names_labels"):
        ner.load(settings_for("transformers", folder))
    mapped = settings_for("transformers", folder, names_labels={"Kunde": "PERSON", "DIAG": "KEEP"})
    assert words(TEXT, ner.load(mapped).find(TEXT)) == {("Quenby Zorblatt", "PERSON")}
    with pytest.raises(SettingsError, match=r"ORT, which the model[\s\S]*DIAG, KUNDE"):
        ner.load(mapped.model_copy(update={"names_labels": {**mapped.names_labels, "ORT": "LOCATION"}}))


def test_a_model_that_could_run_code_is_refused(tmp_path: Path) -> None:
    folder = bert(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "modeling_x.X"}}))
    with pytest.raises(SettingsError, match="code of its own"):
        ner.load(settings_for("transformers", folder))
    for weights in folder.glob("*.safetensors"):
        weights.rename(weights.with_suffix(".bin"))
    for names in ("transformers", "gliner"):
        with pytest.raises(SettingsError, match="safetensors"):
            ner.load(settings_for(names, folder))


def test_an_altered_or_broken_weights_file_is_refused_or_shows_in_the_fingerprint(tmp_path: Path) -> None:
    settings = settings_for("transformers", bert(tmp_path / "m"))
    first = ner.load(settings).fingerprint
    weights = tmp_path / "m" / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert ner.load(settings).fingerprint != first
    weights.write_bytes(good[: len(good) // 2])
    with pytest.raises(SettingsError, match="cannot be read") as caught:
        ner.load(settings)
    assert str(tmp_path) not in str(caught.value)


# -- downloads, services, languages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("names", ["transformers", "gliner"])
def test_a_model_of_a_hub_is_not_fetched_unless_the_site_allows_it(
    names: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    asked: list[bool] = []

    def refuse(name: str, *, local_files_only: bool, **named: object) -> str:
        asked.append(not local_files_only and not huggingface_hub.constants.HF_HUB_OFFLINE)
        raise OSError("https://hub.invalid/secret")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    for allowed in (False, True, False):
        with pytest.raises(SettingsError, match="not on this machine") as caught:
            ner.load(settings_for(names, "somebody/some-model", allow_download=allowed))
        assert "invalid" not in str(caught.value)
        assert huggingface_hub.constants.is_offline_mode()
    assert asked == [False, True, False]


def test_a_missing_hub_model_asks_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def blocked(*arguments: object, **named: object) -> object:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", blocked)
    with pytest.raises(SettingsError, match="not on this machine"):
        ner.load(settings_for("transformers", "somebody/some-model"))


@pytest.mark.parametrize("names", ["gliner", "stanza"])
def test_a_missing_library_says_what_to_install(names: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(names) is not None:
        pytest.skip(f"{names} is installed")
    with pytest.raises(SettingsError, match="pip install"):
        ner.load(settings_for(names, bert(tmp_path / "m")))


@pytest.mark.parametrize("names", ["spacy", "transformers", "gliner", "stanza"])
def test_a_model_must_be_named_and_there(names: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(names) is None and names == "stanza":
        pytest.skip("the library stanza is not installed")
    with pytest.raises(SettingsError, match="names_model"):
        ner.load(TextSettings(names=names))
    with pytest.raises(SettingsError, match="Next step"):
        ner.load(settings_for(names, tmp_path / "absent"))


@pytest.mark.parametrize("address", ["https://example.org/model", "s3://bucket/model", "http://127.0.0.1:8080", " x"])
def test_a_model_at_an_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="never an address"):
        TextSettings(names="transformers", names_model=address)


@pytest.mark.parametrize(
    "name",
    ["azure", "aws_comprehend", "gcp_dlp", "google", "openai", "anthropic", "langextract", "llm", "remote", "http",
     "https_ner", "rest_api", "web_client", "MyApiRecognizer", "GLiNERCloud", "bedrock", "ahds_surrogate"],
)  # fmt: skip
def test_what_sends_text_away_is_refused_by_name_as_engine_and_as_model_of_names(name: str) -> None:
    with pytest.raises(AnonymizationError, match="service"):
        refuse_services(name)
    with pytest.raises(AnonymizationError, match="service"):
        ner.load(TextSettings(names=name.lower())) if name.islower() else refuse_services(name)


@pytest.mark.parametrize("name", ["presidio", "builtin", "spacy", "capital_letters", "transformers", "webster"])
def test_what_works_here_is_not_taken_for_a_service(name: str) -> None:
    refuse_services(name)


def test_a_language_without_a_model_of_names_is_refused_with_the_choices() -> None:
    with pytest.raises(SettingsError, match="gliner, spacy, stanza, transformers") as caught:
        engines.load(TextSettings(language="de"))
    assert "'de'" in str(caught.value)
    with pytest.raises(ValueError, match="pattern"):
        TextSettings(language="german")


def test_another_language_gets_its_model_and_no_rules_of_english_words(tmp_path: Path) -> None:
    settings = settings_for("transformers", bert(tmp_path / "m"), language="de")
    engine = engines.load(settings)
    text = "Herr Grant Stein kam mit Quenby Zorblatt aus Umbrville, Tel. (617) 555-0123, q@ward.local, 03.04.1976"
    found = words(text, engine.analyze(text))
    assert {("Quenby Zorblatt", "PERSON"), ("Umbrville", "LOCATION"), ("q@ward.local", "EMAIL_ADDRESS")} <= found
    assert not {word for word, _ in found if "Stein" in word}
    assert engine.fingerprint != engines.load(settings.model_copy(update={"language": "en"})).fingerprint


def test_the_model_works_inside_the_engine_and_its_names_spread(made: Callable[[str], TextSettings]) -> None:
    engine = engines.load(made("bert"))
    text = "umbrville: Quenby Zorblatt came. ZORBLATT, J. came."
    found = words(text, engine.analyze(text))
    assert {("umbrville", "LOCATION"), ("Quenby Zorblatt", "PERSON")} <= found


def test_a_folder_is_looked_for_beside_the_toml(tmp_path: Path) -> None:
    settings = TextSettings(names="spacy", names_model="./models/ruler")
    assert settings.beside(tmp_path).names_model == str(tmp_path / "models" / "ruler")
    for name in ("en_core_web_sm", "owner/model", "/models/x"):
        assert TextSettings(names_model=name).beside(tmp_path).names_model == name
    assert "models" not in repr(settings)
