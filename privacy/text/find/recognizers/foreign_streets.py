# SPDX-License-Identifier: Apache-2.0
"""Street forms of other languages (Safe Harbor row 2), whatever the site's countries: patients come from everywhere.

Germanic, Nordic and Dutch streets are one word with a number after it; Romance and Slavic ones start with their kind.
"""

from __future__ import annotations

import re

from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_UP = r"[A-Z\u00c0-\u00de\u0104-\u017d]"
_LETTER = r"[^\W\d_]"
_NO_UNIT = (
    r"(?!\s?(?i:mg|mcg|ml|cc|l|g|kg|units?|iu|hours?|hrs?|days?|weeks?|minutes?|mm|cm|bpm|x)\b)(?!\s?%)(?![.,]\d)"
)
_NUMBER = r"\d{1,4}(?:\s?[-/]\s?\d{1,4})?(?:\s?[a-zA-Z](?![\w'])|(?![\w]))"
_SUFFIX = (
    r"(?:stra(?:\u00dfe|sse)|str\.|gasse|platz|allee|weg|steig|damm|ufer|markt|promenade|chaussee|gatan|v\u00e4gen|gr\u00e4nd|gata|"
    r"gate|gaten|vegen|veien|vej|(?<!Bri)gade|all\u00e9|katu|tie|straat|laan|plein|kade|gracht|dreef|steeg|singel|utca|\u00fat|t\u00e9r)"
)
_OWN_WORD = (
    r"(?:Stra(?:\u00dfe|sse)|Str\.|Gasse|Platz|Allee|Weg|Damm|Ufer|Ring|Markt|gatan|v\u00e4gen|"
    r"gate|vei|vej|gade|katu|straat|laan|plein)"
)
_KIND = (
    r"(?:Rua|Avenida|Av\.|Avda\.?|Travessa|Pra\u00e7a|Estrada|Alameda|Largo|Rodovia|Calle|C/|Carrer|Plaza|Pza\.?|Paseo|Pso\.?|Camino|"
    r"Carrera|Cra\.?|Calz(?:ada|\.)|Ronda|Callej\u00f3n|Jir\u00f3n|Jr\.|Via|V\.le|Viale|Piazza|P\.zza|Corso|C\.so|Vicolo|Strada|Lungotevere|"
    r"Contrada|Rue|Boulevard|Bd\.?|Chemin|All\u00e9e|Impasse|Quai|Cours|Ruelle|ul\.|Ul\.|ulica|Ulica|al\.(?!\s\()|Aleja|os\.|Osiedle|pl\.|Plac|"
    r"ulitsa|Ulitsa|bul\.|vulytsia|Strada|Str\.|Bulevardul|Calea|Jalan|Jl\.|Jln\.?|Lorong|\u0648)"
)
_NAME = (
    rf"(?:(?:d[aeo]s?|del|della|dei|degli|di|du|des|de\sla|de\slas|de\slos|la|le|les|el|los|San|"
    rf"St\.|S\.|e|y|i|et|en|den|der|am|an|im)\s|d[ei]?[lu]?l?'|l'|{_UP}[\w'.-]{{0,25}}\s?|\d{{1,2}}\s(?={_UP}|de\s)){{1,6}}"
)
_FRENCH = (
    r"(?:(?i:bis|ter)\s)?,?\s(?i:rue|avenue|av\.|boulevard|bd\.?|place|chemin|all\u00e9e|impasse|"
    r"quai|cours|route|passage|square|faubourg)\s"
)


def _rule(score: float, pattern: str, flags: int = 0) -> PatternRule:
    return PatternRule("LOCATION", score, re.compile(pattern, flags))


def build(settings: TextSettings) -> Rules:
    """The recognizer of street forms; needs no settings."""
    word = rf"(?<!\w){_UP}{_LETTER}{{1,24}}(?:-{_UP}?{_LETTER}{{1,24}}){{0,3}}"
    return Rules(
        "foreign_streets",
        [
            _rule(0.7, rf"(?<!\w){_UP}[^\W\d_-]{{1,24}}(?:-[^\W\d_-]{{1,24}}){{0,3}}?{_SUFFIX}\s{_NUMBER}{_NO_UNIT}"),
            _rule(
                0.65,
                rf"(?<![\w.])\d{{1,4}}[a-z]?,?\s{_UP}[^\W\d_-]{{1,24}}(?:-[^\W\d_-]{{1,24}}){{0,3}}?(?:stra(?:\u00dfe|sse)|gasse|platz|allee|gatan|v\u00e4gen|straat|laan|gracht|plein)(?!\w)",
            ),
            _rule(0.65, rf"{word}[ -]{_OWN_WORD}\s{_NUMBER}{_NO_UNIT}"),
            _rule(
                0.6,
                rf"(?<!\w)(?:Am|An der|Im|In der|Auf der|Zum|Zur|Unter den|Op de|"
                rf"Aan de)\s{_UP}{_LETTER}{{2,24}}\s\d{{1,4}}[a-z]?(?!\w){_NO_UNIT}",
            ),
            _rule(
                0.7,
                rf"(?<![\w.]){_KIND}(?:\s|(?<=[./])){_NAME},?\s?(?:n[\u00ba\u00b0o]\.?\s?|N[\u00ba\u00b0]\.?\s?|no\.\s?|nr\.?\s?|#\s?|km\s)?{_NUMBER}{_NO_UNIT}",
            ),
            _rule(0.65, rf"(?<![\w.]){_KIND}\s(?=(?:d[aeo]s?|del|della|de\sla|des|du)\s){_NAME}"),
            _rule(0.7, rf"(?<![\w.])\d{{1,4}}{_FRENCH}{_NAME}"),
        ],
    )
