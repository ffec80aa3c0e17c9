# SPDX-License-Identifier: Apache-2.0
"""Models of names that are refused: not here, at a service, of another language; and what another language gets."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from privacy.base.errors import AnonymizationError, IntegrityError, SettingsError
from privacy.text.find import engines, ner
from privacy.text.find.services import refuse_services
from privacy.text.reading.records import Finding
from privacy.text.settings import TextSettings

MakeBert = Callable[..., Path]


def settings_for(names: str, folder: Path | str, **more: object) -> TextSettings:
    return TextSettings.model_validate({"names": names, "names_model": str(folder), **more})


def words(text: str, findings: list[Finding]) -> set[tuple[str, str]]:
    return {(text[finding.start : finding.end], finding.entity_type) for finding in findings}


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
def test_a_missing_library_says_what_to_install(make_bert: MakeBert, names: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(names) is not None:
        pytest.skip(f"{names} is installed")
    with pytest.raises(SettingsError, match="pip install"):
        ner.load(settings_for(names, make_bert(tmp_path / "m")))


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


def test_another_language_gets_its_model_and_no_rules_of_english_words(make_bert: MakeBert, tmp_path: Path) -> None:
    settings = settings_for("transformers", make_bert(tmp_path / "m"), language="de")
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


@pytest.mark.parametrize("names", ["builtin", "student"])
def test_packaged_weights_that_are_missing_or_altered_stop_the_engine(
    names: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from privacy.text.find.tagger import weights

    file = tmp_path / weights.PACKAGED[names].file
    monkeypatch.setattr(weights.resources, "files", lambda package: tmp_path)
    settings, load = TextSettings(names=names), inspect.unwrap(engines.load)
    with pytest.raises(SettingsError, match="is not there"):
        load(settings)
    file.write_bytes(b"other weights than ours")
    with pytest.raises(IntegrityError, match="altered") as caught:
        load(settings)
    assert str(tmp_path) not in str(caught.value)
