# SPDX-License-Identifier: Apache-2.0
"""The `[text.replacement]` table: a mode by type, direct identifiers never kept, mistakes told with a choice."""

from __future__ import annotations

import pytest

from privacy.base.errors import SettingsError
from privacy.commandline.settings_file import parse_toml, render
from privacy.text.reading.modes import ReplacementSettings, modes_of
from privacy.text.reading.records import ENTITY_TYPES, FLAG_TYPES
from privacy.text.settings import TextSettings

KEPT = {"AGE", "DEMOGRAPHIC", "MONEY"}


def parsed(toml: str) -> ReplacementSettings:
    return parse_toml(toml, TextSettings, origin="site.toml").replacement


def by_type(line: str) -> ReplacementSettings:
    return parsed(f"[replacement.by_type]\n{line}\n")


def test_tags_are_the_default_and_need_no_key() -> None:
    settings = parsed("")
    assert {settings.mode_of(kind) for kind in ENTITY_TYPES} == {"tag"}
    assert not settings.keyed


def test_a_word_alone_is_the_default_as_older_files_have_it() -> None:
    assert parsed('replacement = "tag"') == parsed("") == parsed('[replacement]\ndefault = "tag"')
    assert parsed('replacement = "surrogate"').default == "surrogate"


def test_a_default_of_surrogates_shifts_dates_generalizes_ages_and_tags_what_cannot_be_invented() -> None:
    settings = parsed('replacement = "surrogate"')
    modes = {kind: settings.mode_of(kind) for kind in ENTITY_TYPES}
    assert (modes["PERSON"], modes["DATE_TIME"], modes["AGE"]) == ("surrogate", "shift", "generalize")
    assert {kind for kind, mode in modes.items() if mode == "tag"} == {"DEMOGRAPHIC", "MONEY", "SITE_TERM"}
    assert settings.keyed


def test_a_mode_by_type_wins_over_the_default() -> None:
    settings = by_type('DATE_TIME = "shift"\nMONEY = "keep"')
    assert (settings.mode_of("DATE_TIME"), settings.mode_of("MONEY"), settings.mode_of("PERSON")) == (
        "shift", "keep", "tag",
    )  # fmt: skip
    assert settings.keyed
    assert not by_type('LOCATION = "generalize"').keyed


@pytest.mark.parametrize("kind", sorted(ENTITY_TYPES - KEPT - FLAG_TYPES))
def test_a_direct_identifier_is_never_kept(kind: str) -> None:
    with pytest.raises(SettingsError, match="never kept; only AGE, DEMOGRAPHIC, MONEY may be"):
        by_type(f'{kind} = "keep"')


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('PERSN = "tag"', "the nearest one is PERSON"),
        ('person = "tag"', "the nearest one is PERSON"),
        ('PERSON = "surogate"', "the nearest one is 'surrogate'"),
        ('PERSON = "shift"', "choose one of: tag, surrogate"),
        ('DATE_TIME = "surrogate"', "choose one of: tag, shift, generalize"),
        ('SITE_TERM = "surrogate"', "choose one of: tag"),
        ('AGE = "surrogate"', "choose one of: tag, generalize, keep"),
    ],
)
def test_an_unknown_type_or_mode_is_refused_with_the_nearest_choice(line: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        by_type(line)


@pytest.mark.parametrize("toml", ['replacement = "keep"', '[replacement]\ndefault = "shift"', "replacement = 3"])
def test_a_default_that_does_not_fit_every_type_is_refused(toml: str) -> None:
    with pytest.raises(SettingsError):
        parsed(toml)


def test_the_table_is_written_and_read_back() -> None:
    settings = parse_toml('[replacement.by_type]\nAGE = "generalize"', TextSettings, origin="site.toml")
    assert parse_toml(render(settings), TextSettings, origin="site.toml") == settings


def test_the_digest_covers_every_choice() -> None:
    tables = [parsed(""), parsed('replacement = "surrogate"'), by_type('AGE = "keep"'), by_type('AGE = "generalize"')]
    assert len({table.digest for table in tables}) == 4
    assert by_type('AGE = "keep"\nMONEY = "keep"').digest == by_type('MONEY = "keep"\nAGE = "keep"').digest


def test_a_type_that_flags_a_document_has_no_mode() -> None:
    assert all(modes_of(kind) == () for kind in FLAG_TYPES)
