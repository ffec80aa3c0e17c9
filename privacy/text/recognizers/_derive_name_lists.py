# SPDX-License-Identifier: Apache-2.0
"""Derive the packaged name lists from Faker 40.54.0 (MIT, github.com/joke2k/faker).

    python -m privacy.text.recognizers._derive_name_lists

Run by a developer with Faker installed, never at run time; the lists are checked in and their sha256 is part of the
engine's fingerprint. Only words in Latin letters of three or more are kept, lower-case and without
accents; the recognizer drops accents before it looks a word up.
Ordinary English words (Faker's own English word list) go to a list of their own: such a word is no name by itself.
"""

from __future__ import annotations

import importlib
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

LOCALES = (
    "cs_CZ", "da_DK", "de_AT", "de_DE", "en_GB", "en_IE", "en_IN", "en_KE", "en_NG", "en_NZ", "en_US", "es_AR",
    "es_CO", "es_ES", "es_MX", "et_EE", "fi_FI", "fr_FR", "fr_QC", "ga_IE", "ha_NG", "hr_HR", "hu_HU", "id_ID",
    "ig_NG", "is_IS", "it_IT", "ja_JP", "lt_LT", "lv_LV", "nl_BE", "nl_NL", "no_NO", "pl_PL", "pt_BR", "pt_PT", "ro_RO",
    "sk_SK", "sl_SI", "sv_SE", "tr_TR", "tw_GH", "vi_VN", "yo_NG", "zu_ZA",
)  # fmt: skip
FIRST = ("first_names", "first_names_male", "first_names_female", "first_names_nonbinary", "first_romanized_names")
LAST = ("last_names", "last_names_male", "last_names_female", "last_romanized_names")
ABBREVIATIONS = frozenset(
    ("ada", "ana", "asa", "cal", "del", "dot", "iva", "ivy", "kat", "mac", "may", "pat", "tia", "val", "van")
)
_WORD = re.compile(r"[^\W\d_]{3,}")
DATA = Path(__file__).with_name("data")


def _plain(word: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))


def _words(names: Iterable[str]) -> set[str]:
    found = {word.lower() for name in names for word in _WORD.findall(name)}
    return {_plain(word) for word in found if all("LATIN" in unicodedata.name(c, "") for c in word)}


def _collect(attributes: tuple[str, ...], locales: tuple[str, ...] = LOCALES) -> set[str]:
    found: set[str] = set()
    for locale in locales:
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        for attribute in attributes:
            found |= _words(getattr(provider, attribute, ()))
    return found


def main() -> None:
    """Write the lists beside this file."""
    ordinary = _words(importlib.import_module("faker.providers.lorem.en_US").Provider.word_list)
    first = _collect(FIRST)
    last = _collect(LAST)
    short = {word for word in _collect(FIRST, ("en_GB", "en_US")) if len(word) == 3}
    for name, words in (
        ("first_names", first - ordinary),
        ("surnames", last - ordinary),
        ("short_names", short - ordinary - ABBREVIATIONS),
        ("ordinary_words", ordinary),
    ):
        (DATA / f"{name}.txt").write_text("\n".join(sorted(words)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
