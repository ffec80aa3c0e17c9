# SPDX-License-Identifier: Apache-2.0
"""Street addresses, post office boxes, US ZIP codes and 'City, ST': geography below a state, where its form shows it.

A town named in running text without a state or a cue is not found here: the lists hold no towns.
"""

from __future__ import annotations

import re

from privacy.text.recognizers._rules import Rule, Rules
from privacy.text.settings import TextSettings

_STATES = (
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA "
    "RI SC SD TN TX UT VT VA WA WV WI WY DC PR"
).replace(" ", "|")
_STATE_NAMES = (
    "Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois|Indiana|"
    "Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|"
    "Nevada|New\\sHampshire|New\\sJersey|New\\sMexico|New\\sYork|North\\sCarolina|North\\sDakota|Ohio|Oklahoma|Oregon|"
    "Pennsylvania|Rhode\\sIsland|South\\sCarolina|South\\sDakota|Tennessee|Texas|Utah|Vermont|Virginia|Washington|"
    "West\\sVirginia|Wisconsin|Wyoming"
)
_WORD = r"[A-Z][\w'-]{0,20}\.?"
_STREET = (
    r"(?:St(?:reet)?|Ave(?:nue)?|R(?:oa)?d|Blvd|Boulevard|Lane|Ln|Dr(?:ive)?|Court|Ct|Way|Place|Pl|Square|Sq|Terrace|Ter|"
    r"Circle|Cir|Highway|Hwy|Parkway|Pkwy|Trail|Trl|Close|Crescent|Alley|Loop|Row|Plaza|Pike|Route|Broadway)\b\.?"
)
_UNIT = r"(?:,?\s(?:Apt|Apartment|Suite|Ste|Unit|Room|Rm|Floor|#)\.?\s?#?\w{1,6})?"
_TAIL = rf"(?:,?\s{{1,2}}{_WORD}(?:\s{_WORD}){{0,2}},\s?(?:(?:{_STATES})\b|{_STATE_NAMES})(?:\s\d{{5}}(?:-\d{{4}})?)?)?"


def _rule(score: float, pattern: str, flags: int = 0) -> Rule:
    return Rule("LOCATION", score, re.compile(pattern, flags))


def build(settings: TextSettings) -> Rules:
    """The address recognizer. US forms run when 'US' is among the countries; street forms always."""
    rules = [
        _rule(
            0.8,
            rf"(?<![\w.])\d{{1,6}}[A-Za-z]?(?:-\d{{1,5}})?\s(?:[NSEW]\.?\s|(?:North|South|East|West)\s)?(?:(?:{_WORD}|\d{{1,3}}(?:st|nd|rd|th))\s){{1,4}}{_STREET}(?:\s[NSEW]{{1,2}}\b)?{_UNIT}{_TAIL}",
        ),
        _rule(0.8, r"\bP\.?\s?O\.?\s?Box\s#?\d{1,7}\b", re.IGNORECASE),
        _rule(
            0.5,
            rf"\b(?:[Ll]iv(?:es|ed|ing)\s(?:\w+\s)?in|[Rr]esid(?:es|ed|ing|ent)\s(?:in|of|at)|[Nn]ative\sof|[Mm]oved\s(?:from|to)|[Bb]orn\sin|[Hh]ometown:?|[Cc]ity:|[Tt]ravel(?:s|ed|led|ing|ling)?\s(?:from|to))\s(?P<id>{_WORD}(?:\s{_WORD}){{0,2}})",
        ),
    ]
    if "US" in settings.countries:
        rules += [
            _rule(0.7, rf"\b(?:{_WORD}\s){{0,2}}[A-Z][\w'-]{{1,20}},?\s(?:{_STATES})\.?,?\s\d{{5}}(?:-\d{{4}})?\b"),
            _rule(
                0.5,
                rf"\b(?P<id>(?:[A-Z][\w'-]{{1,20}}\s){{0,2}}[A-Z][a-z'-]{{1,20}},\s(?:(?:{_STATES})(?![\w.])|{_STATE_NAMES}\b))",
            ),
            _rule(0.6, rf"\b(?:(?:{_STATES})|{_STATE_NAMES}),?\s(?P<id>\d{{5}}(?:-\d{{4}})?)\b"),
            _rule(
                0.7,
                r"\b(?:zip|zip\s?code|postal\scode|postcode)(?:\sis)?[\s:#]{1,3}(?P<id>\d{5}(?:-\d{4})?|\d{3})\b",
                re.IGNORECASE,
            ),
            _rule(0.5, r"(?<![\w.-])\d{5}-\d{4}(?![\w.-])"),
        ]
    return Rules("addresses", rules)
