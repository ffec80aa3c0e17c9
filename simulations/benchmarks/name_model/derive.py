# SPDX-License-Identifier: Apache-2.0
"""Derive the packaged name and place lists from Faker 40.54.0 (MIT, github.com/joke2k/faker).

    python -m simulations.benchmarks.name_model.derive

Run by a developer with Faker installed, never at run time; the lists are checked in and their sha256 is part of the
engine's fingerprint. For look-ups only words in Latin letters of three or more are kept, lower-case and without
accents; for invented texts the names keep their spelling. Ordinary English words (Faker's own English word list) go to
a list of their own: such a word is no name by itself.
"""

from __future__ import annotations

import importlib
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from privacy.text import lists

LOCALES = (
    "cs_CZ", "da_DK", "de_AT", "de_DE", "en_GB", "en_IE", "en_IN", "en_KE", "en_NG", "en_NZ", "en_US", "es_AR",
    "es_CO", "es_ES", "es_MX", "et_EE", "fi_FI", "fr_FR", "fr_QC", "ga_IE", "ha_NG", "hr_HR", "hu_HU", "id_ID",
    "ig_NG", "is_IS", "it_IT", "ja_JP", "lt_LT", "lv_LV", "nl_BE", "nl_NL", "no_NO", "pl_PL", "pt_BR", "pt_PT", "ro_RO",
    "sk_SK", "sl_SI", "sv_SE", "tr_TR", "tw_GH", "vi_VN", "yo_NG", "zu_ZA",
)  # fmt: skip
PLACES = (
    "cs_CZ", "da_DK", "de_AT", "de_CH", "de_DE", "en_IN", "es_CO", "fi_FI", "hr_HR", "hu_HU", "id_ID", "ja_JP", "nl_NL",
    "pl_PL", "pt_BR", "pt_PT", "ro_RO", "sk_SK", "sl_SI", "sv_SE", "vi_VN", "zu_ZA", "az_AZ", "en_PH",
)  # fmt: skip
FIRST = ("first_names", "first_names_male", "first_names_female", "first_names_nonbinary", "first_romanized_names")
LAST = ("last_names", "last_names_male", "last_names_female", "last_romanized_names")
TOWNS = ("cities", "municipalities", "towns", "provinces", "bairros", "concelhos", "province_lgus", "villages")
ENGLISH = ("en_GB", "en_IE", "en_IN", "en_NZ", "en_US", "es_MX")
STREETS = ("cs_CZ", "da_DK", "hr_HR", "id_ID", "pl_PL", "sk_SK", "sl_SI", "vi_VN", "zu_ZA", "az_AZ")
MOST_PLACES = 500
MOST_STREETS = 150
"""Of one locale: every nth is kept, or a few countries would be all the world."""

ABBREVIATIONS = frozenset(
    ("ada", "ana", "asa", "cal", "del", "dot", "iva", "ivy", "kat", "mac", "may", "pat", "tia", "val", "van")
)
_WORD = re.compile(r"[^\W\d_]{3,}")
_SPELLED = re.compile(r"[^\W\d_][^\W\d_' .-]*(?:[ '.-]{1,2}[^\W\d_]+){0,4}")
DATA = Path(lists.__file__).with_name("data")


def _plain(word: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))


def _latin(text: str) -> bool:
    return all("LATIN" in unicodedata.name(c, "") for c in text if c.isalpha())


def _words(names: Iterable[str]) -> set[str]:
    words = {word.lower() for name in names for word in _WORD.findall(name)}
    return {_plain(word) for word in words if _latin(word)}


def _spelled(names: Iterable[object]) -> set[str]:
    """Names in their own spelling, if it is one of Latin letters."""
    texts = (name if isinstance(name, str) else name[-1] if isinstance(name, tuple | list) else "" for name in names)
    return {text for text in texts if _SPELLED.fullmatch(text) and _latin(text) and text[0].isupper()}


def _listed(kind: str, locale: str, attributes: tuple[str, ...]) -> list[str]:
    provider = importlib.import_module(f"faker.providers.{kind}.{locale}").Provider
    return [name for attribute in attributes for name in getattr(provider, attribute, ())]


def _collect(attributes: tuple[str, ...], locales: tuple[str, ...] = LOCALES) -> set[str]:
    return set().union(*(_words(_listed("person", locale, attributes)) for locale in locales))


def _natural(attributes: tuple[str, ...], locales: tuple[str, ...] = LOCALES) -> set[str]:
    return set().union(*(_spelled(_listed("person", locale, attributes)) for locale in locales))


def _sampled(locales: tuple[str, ...], attributes: tuple[str, ...], limit: int) -> set[str]:
    sample: set[str] = set()
    for locale in locales:
        names = sorted(_spelled(_listed("address", locale, attributes)))
        sample.update(names[:: -(-len(names) // limit) or 1])
    return sample


def main() -> None:
    """Write the lists beside this file."""
    ordinary = _words(importlib.import_module("faker.providers.lorem.en_US").Provider.word_list)
    first = _collect(FIRST)
    last = _collect(LAST)
    short = {word for word in _collect(FIRST, ("en_GB", "en_US")) if len(word) == 3}
    female, male = _natural(("first_names_female",)), _natural(("first_names_male",))
    for name, names in (
        ("first_names", first - ordinary),
        ("surnames", last - ordinary),
        ("short_names", short - ordinary - ABBREVIATIONS),
        ("ordinary_words", ordinary),
        ("female", female - male),
        ("male", male - female),
        ("family", _natural(LAST)),
        ("female_english", _natural(("first_names_female",), ENGLISH)),
        ("male_english", _natural(("first_names_male",), ENGLISH)),
        ("family_english", _natural(LAST, ENGLISH)),
        ("places", _sampled(PLACES, TOWNS, MOST_PLACES)),
        ("streets_abroad", _sampled(STREETS, ("streets", "street_names"), MOST_STREETS)),
    ):
        (DATA / f"{name}.txt").write_text("\n".join(sorted(names)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
