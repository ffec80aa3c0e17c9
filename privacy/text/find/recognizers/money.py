# SPDX-License-Identifier: Apache-2.0
"""Sums of money: a quasi-identifier that Safe Harbor does not list (`quasi_identifiers = "mask"`).

`pounds` alone is a weight and stays; so do bare numbers.
"""

from __future__ import annotations

import re

from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_AMOUNT = r"\d{1,3}(?:[,.' ]\d{3}){0,5}(?!\d)(?:[.,]\d{1,2}(?!\d))?|\d{1,15}(?:[.,]\d{1,2}(?!\d))?"
_SCALE = r"(?:\s?(?:k|m|bn|b|tn|mm|mio|mrd|thousand|million|billion|trillion)(?![A-Za-z]))?"
_SIGN = (
    r"(?:US\$|C\$|CA\$|A\$|AU\$|NZ\$|HK\$|S\$|R\$|MX\$|"
    r"[$\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd\u20aa\u20a6\u20ba\u0e3f\u20ab\u20b1])"
)
_CODE = (
    r"(?:USD|EUR|GBP|CHF|JPY|CNY|RMB|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RON|BGN|BRL|MXN|ZAR|TRY|ILS|AED|SAR|SGD|HKD|KRW|THB|"
    r"IDR|MYR|PHP|VND|RUB|UAH|EGP|NGN|KES|ARS|CLP|COP|PEN|Rs\.?|DM|FF|FRF|ITL|ATS|BEF|NLG|ESP|TRL|YTL|DEM|PKR|LKR|BDT|GHS|ISK|HRK|RSD|KZT|GEL|MAD|TND)"
)
_CODES = tuple(code.lower().removesuffix(r"\.?") for code in _CODE[3:-1].split("|"))
_SIGNS = tuple("$\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd\u20aa\u20a6\u20ba\u0e3f\u20ab\u20b1")
_STEMS = (
    "dollar", "euro", "cent", "sterling", "pence", "franc", "mark", "yen", "yuan", "renminbi", "rupee",
    "rupiah", "peso", "kron", "koruna", "zloty", "złot", "forint", "ruble", "rouble", "hryvnia", "lira",
    "lire", "drachma", "guilder", "schilling", "shilling", "dirham", "riyal", "dinar", "shekel", "reais",
    "naira", "baht", "ringgit", "bucks", "grand",
)  # fmt: skip
_WORD = (
    r"(?:(?:New\s)?(?:US|U\.S\.|Hong\sKong|(?!(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec))[A-Z][a-z]{2,14})\s)?"
    r"(?:dollars?|euros?|cents?|pounds?\ssterling|pence|francs?|marks|markkas?|yen|yuan|renminbi|rupees?|rupiah|pesos?|kron(?:er|or|a|e)|"
    r"krona|koruna|zlotys?|z\u0142oty(?:ch)?|forints?|rubles?|roubles?|hryvnias?|lir(?:as?|e)|drachmas?|guilders?|schillings?|shillings?|dirhams?|riyals?|dinars?|"
    r"shekels?|reais|naira|baht|ringgit|bucks|grand(?=\s(?:in|for|per|a)\b))"
)
_NUMERAL = (
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|"
    r"nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|billion|several|few|a|half|and)"
)


def build(settings: TextSettings) -> Rules:
    """The recognizer of sums, without rules where the site keeps quasi-identifiers."""
    if settings.quasi_identifiers == "keep":
        return Rules("money", [])
    amount = rf"(?:{_AMOUNT}){_SCALE}"

    def rule(score: float, pattern: str, needs: tuple[str, ...], flags: int = re.IGNORECASE) -> PatternRule:
        return PatternRule("MONEY", score, re.compile(pattern, flags), needs=needs)

    return Rules(
        "money",
        [
            rule(0.7, rf"(?<!\w){_SIGN}\s?{amount}(?:\s?(?:-|to|and)\s?{_SIGN}?\s?{amount}(?![\w]))?", _SIGNS),
            rule(0.7, rf"(?<![\w.,]){amount}\s?(?:[\u20ac\u00a3\u00a5\u20b9]|[$](?!\d))", _SIGNS),
            rule(0.65, rf"(?<!\w){_CODE}\s?{amount}(?!\w)", _CODES, 0),
            rule(0.65, rf"(?<![\w.,]){amount}\s?(?:-\s)?{_CODE}(?!\w)", _CODES, 0),
            rule(0.7, rf"(?<![\w.,]){amount}[\s-]{_WORD}(?!\w)(?:\s?\({_CODE}\))?", _STEMS),
            rule(0.65, rf"(?<!\w)(?:{_NUMERAL}[\s-](?:and\s)?){{1,8}}{_WORD}(?!\w)", _STEMS),
        ],
    )
