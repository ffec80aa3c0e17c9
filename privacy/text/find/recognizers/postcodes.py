# SPDX-License-Identifier: Apache-2.0
"""Postcodes of other countries than the US (Safe Harbor row 2), with the town beside them: by the site's countries.

By label in any country.
"""

from __future__ import annotations

import re

from privacy.text.find.recognizers._places import CA_CODES, CA_NAMES
from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_UK = (
    r"(?:GIR ?0AA|[A-PR-UWYZ](?:\d{1,2}|[A-HK-Y]\d|[A-HK-Y]\d\d|\d[A-HJKPSTUW]|"
    r"[A-HK-Y]\d[ABEHMNPRV-Y]) ?\d[ABD-HJLNP-UW-Z]{2})"
)
_CANADA = r"[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z][ -]?\d[ABCEGHJ-NPRSTV-Z]\d"
_TOWN = (
    r"[A-Z\u00c0-\u00de][\w'\u00c0-\u024f-]{1,25}(?:[ -](?:am|an der|in|de|la|le|del|"
    r"[A-Z\u00c0-\u00de][\w'-]{1,25})){0,3}"
)
_FIVE = rf"(?<![\w.,-])(?:[A-Z]{{1,2}}-)?\d{{5}}\s{_TOWN}"
_FOUR = rf"(?<![\w.,-])(?:[A-Z]{{1,2}}-)?\d{{4}}\s{_TOWN}"
_BY_COUNTRY: dict[str, tuple[tuple[str, str, float], ...]] = {
    "GB": (("UK_POSTCODE", rf"(?<!\w){_UK}(?!\w)", 0.7),),
    "CA": (
        ("LOCATION", rf"(?<!\w){_CANADA}(?!\w)", 0.7),
        ("LOCATION", rf"(?<!\w)(?:{_TOWN}),\s(?:(?:{CA_CODES})(?![\w.])|{CA_NAMES})(?:,?\s{{1,2}}{_CANADA})?", 0.55),
    ),
    "AU": (("LOCATION", rf"(?<!\w){_TOWN},?\s(?:NSW|VIC|QLD|TAS|ACT|SA|WA|NT)\s\d{{4}}(?!\d)", 0.7),),
    "NL": (("LOCATION", rf"(?<!\w)[1-9]\d{{3}}\s?[A-Z]{{2}}(?:\s{{1,2}}{_TOWN})?(?!\w)", 0.5),),
    "IE": (("LOCATION", r"(?<!\w)[AC-FHKNPRTV-Y](?:\d\d|6W)[ ]?[AC-FHKNPRTV-Y0-9]{4}(?!\w)", 0.5),),
    "PL": (("LOCATION", rf"(?<![\w-])\d\d-\d{{3}}\s{_TOWN}", 0.6),),
    "PT": (("LOCATION", rf"(?<![\w-])\d{{4}}-\d{{3}}(?:\s{_TOWN})?(?![\w-])", 0.6),),
    "BR": (("LOCATION", r"(?<![\w-])\d{5}-\d{3}(?![\w-])", 0.5),),
    "SE": (("LOCATION", rf"(?<![\w-])(?:SE?-)?\d{{3}}\s\d\d\s{_TOWN}", 0.5),),
    "JP": (("LOCATION", r"(?<![\w-])\u3012?\d{3}-\d{4}(?![\w-])", 0.5),),
    "IN": (("LOCATION", rf"(?<!\w){_TOWN}\s?[-,]?\s?[1-9]\d{{2}}\s?\d{{3}}(?!\w)", 0.5),),
    **dict.fromkeys(("DE", "FR", "ES", "IT", "FI", "MX", "CZ", "GR"), (("LOCATION", _FIVE, 0.55),)),
    **dict.fromkeys(("AT", "CH", "BE", "DK", "NO", "NZ", "HU"), (("LOCATION", _FOUR, 0.5),)),
}
_LABEL = (
    r"(?<![A-Za-z])(?:post\s?code|postal\s?code|post\scode|eircode|PIN\s?code|PLZ|Postleitzahl|code\spostal|c\u00f3digo\spostal|CEP|CAP|CP)"
    r"(?:\s(?:is|of))?[\s:#=|]{1,4}(?P<id>[A-Z0-9]{2,5}(?:[ -][A-Z0-9]{2,4})?)(?!\w)"
)


def _has_digit(match: re.Match[str]) -> bool:
    return any(character.isdigit() for character in match.group("id"))


def build(settings: TextSettings) -> Rules:
    """The postcode recognizer of `settings.countries`."""
    shapes = [
        PatternRule(kind, score, re.compile(pattern))
        for country in settings.countries
        for kind, pattern, score in _BY_COUNTRY.get(country, ())
    ]
    return Rules(
        "postcodes", [*shapes, PatternRule("LOCATION", 0.65, re.compile(_LABEL, re.IGNORECASE), keep=_has_digit)]
    )
