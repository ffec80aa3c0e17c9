# SPDX-License-Identifier: Apache-2.0
"""Phone, fax and pager numbers and extensions (Safe Harbor rows 4 and 5) by shape or by label, valid or not.

An invalid number may be a typing error. Presidio's own recognizer (libphonenumber, the site's countries) runs beside
this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from privacy.text.find.recognizers._labels import MEASURED, cue
from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_EXTENSION = r"(?:\s?(?:[,;]\s?)?(?:x|ext\.?|extension|option|opt\.?)\s?:?#?\s?\d{1,6})?"
_SHORT = r"pager|beeper|pgr|bpr|bleep|paged?|beep|fax|facsimile|dial|extension|ext|vocera|ascom|spectralink|speed\sdial"
_LONG = (
    r"(?:(?:home|work|office|cell|mobile|main|clinic|day(?:time)?|evening|alt(?:ernate)?|emergency|contact|direct|callback|call\sback|"
    r"pharmacy|ward|nurse|toll[\s-]free|hotline|hot\sline)\s)?(?:tele)?phones?|tel|telefon|t\u00e9l|handy|ph|cell|cellphone|cellular|"
    r"mobile|mob|landline|hotline|call(?:ed)?|callback|text|sms|contact|whatsapp|"
    r"(?:call|text|reach|ring|answer|phone|contact|available|reachable)(?:s|ed|ing)?\s(?:\w{2,8}\s){0,2}(?:at|on|via)|"
    r"home|work|office|direct|cell\s#|h|w|c|m|o|t|p|f"
)
_NUMBER = rf"(?P<id>[+(]?\d[\d ().\u00b7/-]{{2,18}}\d{_EXTENSION})(?!\w)"


def _digits(least: int) -> Callable[[re.Match[str]], bool]:
    def keep(match: re.Match[str]) -> bool:
        number: str = match.group("id")
        return sum(character.isdigit() for character in number) >= least

    return keep


def _national(match: re.Match[str]) -> bool:
    return 9 <= sum(character.isdigit() for character in match.group()) <= 12


def build(settings: TextSettings) -> Rules:
    """The phone-shape recognizer; needs no settings."""

    def rule(score: float, pattern: str, keep: Callable[[re.Match[str]], bool] | None = None) -> PatternRule:
        return PatternRule("PHONE_NUMBER", score, re.compile(pattern, re.IGNORECASE), keep=keep)

    return Rules(
        "phones",
        [
            rule(
                0.75, rf"(?<![\w/-])(?:\+?1[ .-]?)?\(\d{{3}}\)[ .-]{{0,2}}\d{{3}}[ .-]{{0,2}}\d{{4}}{_EXTENSION}(?!\w)"
            ),
            rule(0.7, rf"(?<![\w/.-])(?:\+?1[ .-])?\d{{3}}([ .-])\d{{3}}\1\d{{4}}{_EXTENSION}(?![\w-])"),
            rule(
                0.65,
                rf"(?<![\w/.-])(?:\+?1[ .-])?\d{{3}}(?:\s-\s|/|[ .-])\d{{3}}(?:\s-\s|[.-])\d{{4}}{_EXTENSION}(?![\w-])",
            ),
            rule(
                0.7, r"(?<![\w+])(?:\+|00)[1-9]\d{0,2}[ .-]?(?:\(0\)[ .-]?)?(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}(?!\w)"
            ),
            rule(0.5, r"(?<![\w/.-])\(?0\d{1,4}\)?(?:[ -]\d{2,4}){2,4}(?![\w/-]|[.,]\d)", _national),
            rule(0.5, r"(?<![\w/.-])0\d(?:\.\d\d){4}(?![\w/.-])"),
            rule(0.5, r"(?<![\w/.-])\(?0\d{2,4}\)?[ /-]{1,2}\d{5,8}(?:-\d{1,4})?(?![\w/-]|[.,]\d)", _national),
            rule(0.6, rf"(?<![\w/.-])\d{{3}}-\d{{4}}{_EXTENSION}(?![\w-]|\.\d){MEASURED}"),
            rule(
                0.6,
                r"(?<![\w/.-])1?[ .-]?8(?:00|33|44|55|66|77|"
                r"88)[ .-](?=[A-Z0-9-]{0,7}[A-Z])[A-Z0-9]{3,4}-?[A-Z0-9]{3,4}(?!\w)",
            ),
            rule(0.65, cue(_LONG) + _NUMBER, _digits(7)),
            rule(0.65, cue(_SHORT) + rf"(?P<id>[+(]?\d[\d ().-]{{1,18}}\d{_EXTENSION})(?![\w%]|[.,/]\d)", _digits(3)),
        ],
    )
