# SPDX-License-Identifier: Apache-2.0
"""Dates as people write them: textual, partial, numeric, bare years and months after a preposition.

Safe Harbor (45 CFR 164.514(b)(2)(i)(C)) removes every element of a date but the year; we remove the year too where a
word marks it as one. Doses, scores and laboratory values such as `5/5`, `120/80`, `1998 mL` must stay.
"""

from __future__ import annotations

import re

from privacy.text.find.recognizers._months import FOREIGN_MONTH, FOREIGN_STEMS, MONTH, WEEKDAY
from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_DAY = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th|ST|ND|RD|TH)?\b"
_ORDINAL = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)\b"
_WORD_DAY = (
    r"(?:twenty-(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)|thirt(?:y-first|ieth)|twentieth|first|second|third|"
    r"fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|(?:thir|four|fif|six|seven|eigh|nine)teenth)"
)
_YEAR = r"(?:(?:1[89]|20)\d\d\b|'\d\d\b)"
_NO_UNIT = (
    r"(?![.,]\d)(?![ \t]?(?:mg|mcg|g|kg|ml|cc|l|dl|units?|iu|meq|mmol|mm|cm|tabs?|tablets?|bottles?|minutes?|mins?|"
    r"caps?|capsules?|cells?|copies|calories|kcal|hours?|hrs?|days?|times|steps|patients|people|points|pg|ng|rads?|cgy|gy|"
    r"hz|ms|bpm|x)\b)(?![ \t]?[%/])"
)
_BEFORE_DATE = (
    r"(?:on|dated?|since|until|till|from|to|by|before|after|through|thru|of|and|DOB|dob|D\.O\.B\.|born|birth|admitted|discharged|"
    r"seen|surgery|expires?|exp|due|LMP|lmp|EDC|edc|EDD|visit|signed|dictated|transcribed|started|stopped|begun|last|next|"
    r"appointment|appt|f/u|follow-?up|scheduled|completed|done|drawn|collected|received|week\sof|placed|removed|DD|DT|DOS|DOA|"
    r"D|T|Mon|Tue|Tues|Wed|Thu|Thur|Thurs|Fri|Sat|Sun|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
)
_BEFORE_YEAR = (
    r"(?:in|since|from|until|till|by|during|before|after|around|circa|c\.|year|born|early|mid|late|back\sin|"
    r"(?:spring|summer|fall|autumn|winter|christmas)(?:\sof)?|and|to|of\s(?:the\s)?year|class\sof|FY|Q[1-4]|dated?|as\sof)"
)
_BEFORE_MONTH = (
    r"(?:in|last|this|next|since|until|till|by|early|late|mid|during|of|from|through|every|around|before|after|between|"
    r"beginning\sof|end\sof|middle\sof|start\sof|and|to|for|past)"
)
_TIME = r"(?:(?:T|,?\s|\sat\s)\d{1,2}:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d|\s?[AaPp]\.?[Mm]\b\.?)?(?!\d))?"
_NUMERIC = (
    r"(?:\d{1,2}([/.-])\d{1,2}\1(?:\d{4}|\d{2})|\d{4}([/.-])\d{1,2}\2\d{1,2}|"
    r"\d{1,2}\s([/.-])\s\d{1,2}\s\3\s(?:\d{4}|\d{2}))"
)
_MONTH_DAY = r"(?:0?[1-9]|[12]\d|3[01])[/-](?:0?[1-9]|[12]\d|3[01])"


def _rule(score: float, pattern: str, *, ignore_case: bool = False, prefilter: str | None = None) -> PatternRule:
    flags = re.IGNORECASE if ignore_case else 0
    return PatternRule(
        "DATE_TIME", score, re.compile(pattern, flags), prefilter=re.compile(prefilter) if prefilter else None
    )


def _plausible(match: re.Match[str]) -> bool:
    numbers = [int(part) for part in re.findall(r"\d+", match.group())][:3]
    small = [number for number in numbers if number <= 31]
    return len(small) >= min(2, len(numbers) - 1) and any(1 <= number <= 12 for number in small)


def _no_fraction(match: re.Match[str]) -> bool:
    """'of 1/2', 'to 3/5', 'from 7/10' are shares and scores; 'on 3/5' is a date."""
    first, second = (int(number) for number in re.findall(r"\d+", match.group("id")))
    weak = match.group("before").lower() in ("of", "to", "by", "and", "from", "after", "before", "last", "next")
    return not (weak and first <= second and second in (2, 3, 4, 5, 6, 8, 10))


def _no_scale(match: re.Match[str]) -> bool:
    """'3/10 to 7/10' is pain, '4/5-5/5' is strength."""
    numbers = re.findall(r"\d+", match.group("id"))
    return not (numbers[1] == numbers[3] and int(numbers[1]) in (5, 6, 10))


def _compact(match: re.Match[str]) -> bool:
    """20190314: a year, a month and a day."""
    return 1 <= int(match.group("month")) <= 12 and 1 <= int(match.group("day")) <= 31


def _textual() -> list[PatternRule]:
    """Dates with the name of a month."""
    of_day = (
        rf"{WEEKDAY}(?:the\s)?{_DAY}\.?(?:\sof|,)?(?:\sof)?[\s/-]{{0,2}}{MONTH}"
        rf"(?:,?[\s/-]{{0,2}}(?:{_YEAR}|\d\d\b(?!\d)))?"
    )
    return [
        _rule(0.85, rf"(?<![\w.:/]){of_day}"),
        _rule(0.85, rf"(?<![\w.:/])\d{{1,2}}-?{MONTH}-?(?:{_YEAR}|\d\d(?!\w))"),
        _rule(0.85, rf"(?<![\w.:/])\d{{1,2}}(?:st|nd|rd|th)?\s?(?:-|to|and|&|/)\s?{of_day}"),
        _rule(
            0.85,
            rf"{WEEKDAY}\b{MONTH}[\s/-]{{1,2}}(?:the\s)?{_DAY}{_NO_UNIT}(?:\s?(?:-|to|and|&|through)\s?{_DAY}{_NO_UNIT})?"
            rf"(?:,?[\s/-]{{1,2}}{_YEAR})?(?:\s?[-,]\s?{_YEAR})?",
        ),
        _rule(0.85, rf"\b{MONTH}(?:,|\sof|')?[\s/-]{{0,2}}{_YEAR}"),
        _rule(0.7, rf"\b{MONTH}[-/']\d\d\b(?![/-]?\d)"),
        _rule(0.8, rf"\b{MONTH}\s?(?:-|to|and|through|/)\s?{MONTH}(?:\s{_YEAR})?"),
        _rule(0.8, rf"\b(?:the\s)?(?i:{_WORD_DAY})\s(?:day\s)?of\s{MONTH}(?:,?\s{_YEAR})?"),
        _rule(0.8, rf"\b{MONTH}\s(?:the\s)?(?i:{_WORD_DAY})(?:,?\s{_YEAR})?(?!\w)"),
        _rule(0.6, rf"\b(?i:{_BEFORE_MONTH})[\s-](?:early\s|late\s|mid-?\s?)?(?P<id>{MONTH})(?!\s?\d)"),
        _rule(0.6, rf"\b(?:early|late|mid)[\s-](?P<id>{MONTH})(?!\s?\d)", ignore_case=True),
        _rule(
            0.75,
            rf"(?<![\w.:/])\d{{1,2}}\.?[\s-]{{1,2}}(?:de\s|di\s)?{FOREIGN_MONTH}(?:,?[\s-](?:de\s|del\s)?(?:(?:19|20)\d\d|\d\d)\b|(?<!\s(?:mai|mei|maj))(?<!\s(?:mars|maja))(?!\w))",
            ignore_case=True,
        ),
        PatternRule(
            "DATE_TIME",
            0.6,
            re.compile(rf"(?<!\w){FOREIGN_MONTH}\s(?:de\s|del\s)?(?:19|20)\d\d\b", re.IGNORECASE),
            needs=FOREIGN_STEMS,
        ),
    ]


def _numeric() -> list[PatternRule]:
    """Dates in digits."""
    return [
        PatternRule(
            "DATE_TIME", 0.8, re.compile(rf"(?<![\d./-]){_NUMERIC}{_TIME}(?![\d/-]|\.\d){_NO_UNIT}"), keep=_plausible
        ),
        PatternRule(
            "DATE_TIME",
            0.6,
            re.compile(
                r"(?<![\w.,/-])(?:19|20)\d\d(?P<month>\d\d)(?P<day>\d\d)(?:[T ]?\d{4}(?:\d\d)?)?(?![\w/-]|[.,]\d)"
            ),
            keep=_compact,
        ),
        _rule(0.7, r"(?<![\d./-])(?:0?[1-9]|1[0-2])[/-](?:19|20)\d\d(?![\d/-])"),
        _rule(0.7, r"(?<![\d./-])(?:19|20)\d\d[/-](?:0[1-9]|1[0-2])(?![\d/-])"),
        PatternRule(
            "DATE_TIME",
            0.6,
            re.compile(
                rf"\b(?P<before>{_BEFORE_DATE})\.?[\s:(|=]{{1,3}}(?P<id>{_MONTH_DAY})(?![\d/-]){_NO_UNIT}(?!\s(?:strength|murmur|power|motor|systolic|pain|NS))"
            ),
            keep=_no_fraction,
        ),
        PatternRule(
            "DATE_TIME",
            0.6,
            re.compile(rf"(?<![\d./-])(?P<id>{_MONTH_DAY}\s?(?:-|to|through|thru)\s?{_MONTH_DAY})(?![\d/-]){_NO_UNIT}"),
            keep=_no_scale,
        ),
        _rule(0.6, rf"^\s{{0,4}}[-*]?\s?(?P<id>{_MONTH_DAY})(?=:|\s-\s|\s@|\s\d{{1,2}}:\d\d|\s\d{{4}}\b)"),
        _rule(0.6, rf"\n\s{{0,4}}[-*]?\s?(?P<id>{_MONTH_DAY})(?=:|\s-\s|\s@|\s\d{{1,2}}:\d\d|\s\d{{4}}\b)"),
        _rule(0.6, rf"(?<![\d./-])(?P<id>{_MONTH_DAY})(?=\s(?:at|@)\s\d{{1,2}}:?\d\d)"),
        _rule(
            0.6,
            rf"\b(?:on|until|by|since|before|after)\sthe\s(?P<id>{_ORDINAL})(?!\s(?:day|floor|week|month|trimester|rib|digit|toe|finger|percentile|attempt|time|dose|grade|year|metatarsal|metacarpal|cranial|ventricle|post))",
        ),
        _rule(0.5, rf"\bthe\s(?P<id>{_ORDINAL})\s(?:of\s(?:this|last|next|the)\smonth|inst|ult)\b"),
    ]


def _years() -> list[PatternRule]:
    """Years, quarters and seasons that a word marks as such."""
    return [
        _rule(
            0.6,
            rf"\b{_BEFORE_YEAR}\s(?P<id>(?:19|20)\d\d(?:\s?[-/]\s?(?:(?:19|20)\d\d|\d\d))?)\b{_NO_UNIT}",
            ignore_case=True,
        ),
        _rule(0.6, r"(?P<id>\b(?:19|20)\d\d\s?[-/]\s?(?:19|20)\d\d\b)"),
        _rule(0.5, r"\((?P<id>(?:19|20)\d\d)\)"),
        _rule(0.5, r"(?<=[a-z],\s)(?P<id>(?:19|20)\d\d)(?=[.;)\n]|$)"),
        _rule(
            0.6,
            r"\b(?:[Ss]pring|[Ss]ummer|[Ff]all|[Aa]utumn|[Ww]inter|Q[1-4]|FY|[1-4]Q)(?:,|\sof)?[\s/-]?(?:(?:19|20)\d\d|'\d\d)\b",
        ),
        _rule(0.5, r"\b(?:in|since|of|by|from|before|after)\s(?P<id>'\d\d)\b(?!\w)", ignore_case=True),
        _rule(
            0.5,
            r"\b(?:DOB|born|birth(?:\s?(?:date|year))?|year\sof\sbirth|YOB)[\s:=|]{1,4}(?P<id>(?:18|19|20)\d\d)\b",
            ignore_case=True,
        ),
    ]


def build(settings: TextSettings) -> Rules:
    """The date recognizer; needs no settings."""
    return Rules("dates", [*_textual(), *_numeric(), *_years()])
