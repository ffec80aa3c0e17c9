# SPDX-License-Identifier: Apache-2.0
"""Settings files: every mistake is told with the nearest name and the field's description, and nothing is echoed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from privacy.base.canonical import canonical_bytes
from privacy.base.errors import SettingsError
from privacy.commandline.settings_file import load_toml, parse_toml, plain, render, settings_digest

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class Policy(BaseModel):
    model_config = STRICT
    epsilon_limit: float = Field(gt=0, le=100, description="epsilon that this site may spend; above 0, at most 100")
    unit: Literal["record", "patient"] = Field("record", description="the privacy unit")
    tasks: tuple[str, ...] = Field(("classification",), description="tasks that may be trained")
    note: str | None = Field(None, description="for people")


class Peer(BaseModel):
    model_config = STRICT
    name: str = Field(description="its name")
    weight: int = Field(1, ge=1, description="its weight; at least 1")


class Sample(BaseModel):
    model_config = STRICT
    folder: Path = Field(Path("data"), description="a folder")
    private: bool = Field(True, description="whether noise is added")
    policy: Policy = Field(description="what is allowed")
    peers: tuple[Peer, ...] = Field((), description="one table a peer")
    paths: dict[str, Path] = Field(default_factory=dict, description="digest to folder")


GOOD = "[policy]\nepsilon_limit = 8\n"


def refusal(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_toml(text, Sample, origin="site.toml")
    assert caught.value.exit_code == 2
    assert caught.value.next_step
    assert caught.value.__cause__ is None
    return caught.value.message


def test_an_unknown_key_is_refused_with_the_nearest_known_one_and_its_full_path() -> None:
    message = refusal("[policy]\nepsilon_limt = 8\nepsilon_limit = 8\n")
    assert "policy.epsilon_limt is not a setting; the nearest one is policy.epsilon_limit" in message
    message = refusal(GOOD + "[polcy]\nx = 1\n")
    assert "polcy is not a setting; the nearest one is policy" in message


def test_a_key_that_is_like_no_other_is_told_what_there_is_instead() -> None:
    assert "policy.lr is not a setting; there are epsilon_limit, unit, tasks, note" in refusal(GOOD + "lr = 1\n")
    assert "policy.el is not a setting; the nearest one is policy.epsilon_limit" in refusal(GOOD + "el = 1\n")


def test_a_byte_order_mark_before_the_settings_is_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_bytes(GOOD.encode("utf-8-sig"))
    assert load_toml(tmp_path / "site.toml", Sample).policy.epsilon_limit == 8


def test_an_unknown_key_inside_an_array_of_tables_is_told_with_its_index() -> None:
    message = refusal(GOOD + '[[peers]]\nname = "a"\n[[peers]]\nname = "b"\nweigth = 2\n')
    assert "peers.1.weigth is not a setting; the nearest one is peers.1.weight" in message


def test_a_wrong_value_is_told_with_its_description_and_not_echoed() -> None:
    message = refusal('[policy]\nepsilon_limit = "secret-value"\nunit = "ward"\n')
    assert "policy.epsilon_limit: " in message
    assert "epsilon that this site may spend" in message
    assert "policy.unit: must be one of 'record' or 'patient'" in message
    assert "2 mistakes" in message
    assert "secret-value" not in message
    assert "ward" not in message


def test_a_value_out_of_its_bounds_and_a_missing_one_are_told() -> None:
    assert "less than or equal to 100 (epsilon that this site may spend" in refusal("[policy]\nepsilon_limit = 101\n")
    assert "policy: is missing (what is allowed)" in refusal("private = true\n")


@pytest.mark.parametrize("text", ["private = 1\n", 'private = "true"\n'])
def test_no_value_is_bent_into_another_type(text: str) -> None:
    assert "private: " in refusal(text + GOOD)


def test_a_number_that_is_not_finite_and_a_date_are_refused() -> None:
    assert "policy.epsilon_limit must be a finite number" in refusal("[policy]\nepsilon_limit = nan\n")
    assert "policy.unit is a date" in refusal("[policy]\nepsilon_limit = 8\nunit = 2026-01-01\n")


def test_a_missing_a_broken_and_a_foreign_file_are_settings_errors(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no settings file site"):
        load_toml(tmp_path / "site.toml", Sample)
    (tmp_path / "site.toml").write_bytes(b"[policy\n")
    with pytest.raises(SettingsError, match="is not TOML"):
        load_toml(tmp_path / "site.toml", Sample)
    (tmp_path / "site.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_toml(tmp_path / "site.toml", Sample)
    (tmp_path / "site.toml").write_text(GOOD)
    assert load_toml(tmp_path / "site.toml", Sample).policy.epsilon_limit == 8


def test_rendered_settings_explain_every_field() -> None:
    text = render(parse_toml(GOOD, Sample, origin="site.toml"))
    for field in (*Sample.model_fields.values(), *Policy.model_fields.values()):
        assert field.description is None or field.description in text or field.description == "one table a peer"
    assert "# note is not set" in text


strings = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
samples = st.builds(
    Sample,
    folder=st.just(Path("a b/ü")),
    policy=st.builds(
        Policy,
        epsilon_limit=st.floats(min_value=1e-9, max_value=100, exclude_min=True),
        tasks=st.lists(strings, max_size=3).map(tuple),
        note=st.none() | strings,
    ),
    peers=st.lists(st.builds(Peer, name=strings, weight=st.integers(1, 2**62)), max_size=2).map(tuple),
    paths=st.dictionaries(strings, st.just(Path("x/y")), max_size=2),
)


@given(samples)
def test_rendered_settings_read_back_to_the_same_model(sample: Sample) -> None:
    text = render(sample)
    tomllib.loads(text)
    assert parse_toml(text, Sample, origin="again") == sample


def test_plain_settings_are_canonical_and_their_digest_follows_the_values() -> None:
    one = parse_toml("[policy]\nepsilon_limit = 0.5\n", Sample, origin="a")
    other = parse_toml("[policy]\nepsilon_limit = 0.50\n", Sample, origin="b")
    assert plain(one)["policy"] == {"epsilon_limit": "0.5", "unit": "record", "tasks": ["classification"], "note": None}
    assert canonical_bytes(plain(one))
    assert settings_digest(one) == settings_digest(other)
    assert settings_digest(one) != settings_digest(parse_toml(GOOD, Sample, origin="c"))
