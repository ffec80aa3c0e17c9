# SPDX-License-Identifier: Apache-2.0
"""Settings: bounds stated and kept, dangerous patterns and services refused by name."""

from __future__ import annotations

import json
import re
import time

import pytest
from pydantic import ValidationError

from privacy.base.errors import AnonymizationError, SettingsError
from privacy.text.find import engines
from privacy.text.find.services import refuse_services
from privacy.text.settings import TextSettings


def test_settings_are_read_from_json_and_every_field_says_what_it_is() -> None:
    settings = TextSettings.model_validate_json(json.dumps({"countries": ["US", "GB"], "deny_list": ["Ward Nine"]}))
    assert settings.countries == ("US", "GB")
    assert all(len(field.description or "") > 30 for field in TextSettings.model_fields.values())
    assert "Ward" not in repr(settings)


@pytest.mark.parametrize(
    "bad",
    [
        {"engin": "presidio"},
        {"countries": []},
        {"countries": ["usa"]},
        {"score_threshold": 0.9},
        {"workers": 0},
        {"row_time_limit_seconds": 60},
        {"max_refused_fraction": 1.5},
        {"language": "english"},
        {"replacement": "keep"},
        {"replacement": {"default": "shift"}},
    ],
)
def test_settings_outside_their_bounds_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TextSettings.model_validate_json(json.dumps(bad))


@pytest.mark.parametrize(
    "pattern",
    [
        r"(\d+)+x",
        r"(a|aa)+",
        r"\d*",
        r"\d{3,}",
        r"(\d{2}){3}",
        r"(?=\d)\d{6}",
        r"(\d)\1{6}",
        r"[",
        r"\d?",
        r"\d{1,2}",
        r"(?i)mrn",
        r"\d{1,60}\d{1,60}\d{1,60}x",
        r"\d{900}",
    ],
)
def test_a_pattern_that_could_be_slow_or_match_everything_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError):
        TextSettings(mrn_pattern=pattern)


@pytest.mark.parametrize(
    "pattern", [r"\d{7}", r"[A-Z]{2}-?\d{5,8}", r"(?:H|HX)\d{6}", r"M\.\d{3}\.\d{3}", r"[0-9+*]{6}"]
)
def test_a_plain_number_format_is_taken_and_is_fast(pattern: str) -> None:
    settings = TextSettings(mrn_pattern=pattern)
    assert settings.mrn_pattern is not None
    compiled = re.compile(settings.mrn_pattern)
    started = time.process_time()
    for hostile in ("1" * 20_000, "A1" * 10_000, "M." * 10_000):
        list(compiled.finditer(hostile))
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "name", ["azure_ai_language", "ahds", "langextract", "AzureAILanguageRecognizer", "LangExtractRecognizer", "openai"]
)
def test_what_sends_text_away_is_refused_by_name(name: str) -> None:
    with pytest.raises(AnonymizationError, match="service"):
        refuse_services(name)


def test_an_unknown_engine_or_country_is_refused_with_the_choices() -> None:
    with pytest.raises(SettingsError, match="presidio"):
        engines.load(TextSettings(engine="presidio2"))
    with pytest.raises(AnonymizationError):
        engines.load(TextSettings(engine="azure"))
    with pytest.raises(SettingsError, match="XX"):
        engines.load(TextSettings(countries=("XX",)))
