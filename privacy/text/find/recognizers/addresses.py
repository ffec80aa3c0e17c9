# SPDX-License-Identifier: Apache-2.0
"""US addresses and ZIP codes (Safe Harbor row 2): streets, boxes, 'City, ST', ZIP by state, by label or as ZIP+4.

A town named in running text without a state or a cue is not found here; a model of names finds it. States alone stay.
"""

from __future__ import annotations

import re

from privacy.text import lists
from privacy.text.find.recognizers._places import US_CODES, US_NAMES, US_STATE
from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_WORD = r"[A-Z][\w'-]{0,20}\.?"
_FULL = (
    r"street|avenue|road|boulevard|lane|drive|court|way|place|square|terrace|circle|highway|parkway|trail|close|crescent|alley|loop|"
    r"row|plaza|turnpike|route|broadway|expressway|freeway|causeway|path|walk|crossing|commons?|ridge|point|cove|heights|"
    r"landing|bend|manor|gardens?|grove|mews|hill|run|pass|park|view|bluff|hollow|glen|junction|center"
)
_SHORT = r"Ave|Av|Rd|Blvd|Bvd|Ln|Cir|Hwy|Pkwy|Pky|Trl|Tpke|Cres|Plz|Expy|Fwy|Xing|Cv|Hts|Aly|Pike|Sq|Ter|Rte"
_SHORT_RISKY = r"St|Dr|Ct|Pl"
_STREET = rf"(?:(?i:{_FULL})|(?i:{_SHORT})|{_SHORT_RISKY})(?![A-Za-z])\.?"
_DIRECTION = r"(?:[NSEW]\.?|[NS][EW]|North|South|East|West|North(?:east|west)|South(?:east|west)|NORTH|SOUTH|EAST|WEST)"
_UNIT = r"(?:,?\s{1,2}(?i:Apt|Apartment|Suite|Ste|Unit|Room|Rm|Floor|Fl|Lot|Trlr|Bldg|Building|#)\.?\s?#?\w{1,6})?"
_CITY = (
    rf"(?:,?\s{{1,3}}|\n){_WORD}(?:\s{_WORD}){{0,2}},?\s(?:(?:{US_CODES})\b|"
    rf"{US_NAMES})(?:,?\s{{1,2}}\d{{5}}(?:-\d{{4}})?)?"
)
_NUMBER = r"(?<![\w./])(?:\d{1,6}(?:\s1/2)?[A-Za-z]?(?:-\d{1,5})?|[NSEW]\d{2,5}\s[NSEW]\d{2,5}|One|Two|Three|Ten)\s"
_NAME = rf"(?:{_DIRECTION}\s)?(?:(?:{_WORD}|\d{{1,3}}(?:st|nd|rd|th|ST|ND|RD|TH))\s){{1,4}}"
_AFTER = rf"(?:\s{_DIRECTION}(?![\w.]))?{_UNIT}(?:{_CITY})?"
_CLINICAL = frozenset(
    [
        "mm", "cm", "mg", "ml", "lead", "phase", "slice", "view", "views", "chest", "abdomen", "pelvis", "head",
        "brain", "spine", "contrast", "repeat", "ct", "mri", "xr", "day", "days", "hour", "hours", "stage",
        "grade", "type", "class", "post", "pre", "vessel", "valve", "bone", "patient", "patients", "admit", "of",
        "the", "by", "with", "and", "for", "in", "on", "to", "mild", "moderate", "severe", "acute", "chronic",
        "left", "right", "upper", "lower", "care", "visit", "minute", "minutes", "fluid", "blood", "heart",
    ]
)  # fmt: skip
_ALSO_WORDS = frozenset(
    [
        "way", "place", "close", "path", "walk", "run", "pass", "view", "point", "bend", "hill", "center", "row",
        "loop", "park", "junction", "crossing", "ridge", "court", "route",
    ]
)  # fmt: skip
_LOWER_NAME = (
    r"(?:(?:[nsew]\.?|north|south|east|west)\s)?(?:[a-z][a-z'-]{1,20}|\d{1,3}(?:st|nd|rd|"
    r"th))(?:\s[a-z][a-z'-]{1,20}){0,2}"
)
_LOWER_STREET = (
    r"(?:street|avenue|road|boulevard|lane|drive|court|highway|parkway|terrace|circle|blvd|ave|rd|st|ln|dr|ct|hwy)"
)
_RURAL = (
    r"\b(?:P\.?\s?O\.?\s?Box|Post\sOffice\sBox|POB|(?:RR|R\.R\.|Rural\sRoute|HC|HCR|Star\sRoute|PSC|CMR|Unit)\s?#?\d{1,5},?\sBox)"
    r"\s?(?:no\.?\s?|#\s?)?\d{1,7}\b"
)
_ROAD = (
    r"(?<![\w.])\d{1,6}\s(?:(?:N|S|E|W)\.?\s)?(?:County|State|Farm(?:\sto\sMarket)?|Ranch|US|U\.S\.|Old|Interstate|FM|CR|SR|Township)"
    r"\s(?:Road|Rd|Highway|Hwy|Route|Rte)?\.?\s?#?\d{1,5}[A-Z]?\b"
)
_FIELD = (
    r"(?<![A-Za-z])(?:(?:home|street|mailing|billing|current|residential|residence|permanent|local|work|employer|postal|shipping|"
    r"delivery|temporary|former|previous|patient(?:'s)?)\s)?(?:address|addr|residence|domicile)(?:\s?(?:line\s)?\d)?"
    r"(?:\s?[:|=]\s{0,3}|\n|\s(?:is|was|of)\s|\s(?:on\sfile|listed)\s(?:is\s|as\s)?:?\s?)"
    r"(?P<id>(?=[^\n|;\t]{0,14}\d)(?=[^\n|;\t]{0,40}[A-Za-z])[^\n|;\t]{5,110}?)"
    r"(?=\s{0,3}(?:[\n|;\t]|$|\.\s|\s{2}|(?:phone|tel|dob|home\sphone|cell|ssn|mrn|email|fax|insurance|emergency)\b))"
)
_PLACE_FIELD = (
    r"(?<![A-Za-z])(?i:city|town|county|village|parish|borough|district|municipality|township|neighborhood|precinct|locality|"
    r"place\sof\s(?:birth|residence|death)|birth\s?place|home\s?town|city\s?/\s?state|city,\sstate(?:,\szip)?|location\sof\s(?:birth|death))"
    rf"\s?[:|=]\s{{0,3}}(?P<id>{_WORD}(?:[ -]{_WORD}){{0,3}}(?:,\s?(?:(?:{US_CODES})\b|"
    rf"{US_NAMES}))?(?:\s\d{{5}}(?:-\d{{4}})?)?)"
)
_TOWN = r"(?:(?:St|Ft|Mt)\.\s)?[A-Z][\w'-]{1,20}"
_PLACE_CUE = (
    rf"\b(?:[Ll]iv(?:es|ed|ing|e)\s(?:\w+\s)?(?:in|near|outside|at)|[Rr]esid(?:es|ed|ing|ent|e)\s(?:in|of|at|near)|[Nn]ative\sof|"
    rf"[Mm]oved\s(?:here\s|back\s)?(?:from|to)|(?:[Bb]orn|[Rr]aised)\s(?:and\sraised\s)?in|[Gg]rew\sup\sin|[Hh]ails\sfrom|[Oo]riginally\sfrom|[Rr]elocated\s(?:from|to)|[Cc]ommutes\sfrom|"
    rf"[Tt]ravel(?:s|ed|led|ing|ling)?\s(?:from|to)|[Vv]acation(?:ing|ed)?\sin|[Tt]ransferred\sfrom|"
    rf"[Ff]lew\s(?:from|to))\s(?P<id>{_TOWN}(?:[ -]{_TOWN}){{0,2}})"
)
_COUNTY = r"\b(?:[A-Z][\w'-]{2,20}\s){1,2}(?:County|Parish|Township|Borough)\b|\bCounty\sof\s[A-Z][\w'-]{2,20}"


def _no_scan(match: re.Match[str]) -> bool:
    """'3 PHASE CT' is a scan and '12 LEAD ST' a trace; a street called so would have a town after it."""
    words = [lists.plain(word.strip(".,")) for word in match.group().split()]
    if match.group().isupper() and len(words[0]) <= 2 and words[-1] in _ALSO_WORDS:
        return False
    return _CLINICAL.isdisjoint(words[1:4])


def _is_street(match: re.Match[str]) -> bool:
    """'123 elm street', not '2 blocks down the street'."""
    words = re.findall(r"[a-z'-]+", match.group("name"))
    return not any(word in lists.words("function_words") or word in _CLINICAL for word in words)


def _risky_street() -> str:
    """A short form that medicine uses too, in capitals: at the end of a line or before a town, a unit or a comma."""
    return (
        rf"{_NUMBER}{_NAME}(?:{_SHORT_RISKY.upper()})(?![A-Za-z])\.?(?=\s?(?:,|\n|$|;|\||\s(?i:apt|unit|suite|ste|#)|\s[A-Z]{{3,}}))"
        rf"{_AFTER}"
    )


_STATE = re.compile(US_STATE)


def _no_state(match: re.Match[str]) -> bool:
    """'lives in Ohio': a state alone stays."""
    return _STATE.fullmatch(match.group("id")) is None


def _us() -> list[PatternRule]:
    """Forms with a state or a ZIP code."""
    state = rf"(?:{US_CODES}|{US_NAMES})"
    zip_label = (
        r"\b(?:zip(?:\s?\+\s?4)?|zip\s?code|zip/postal(?:\scode)?|postal\scode|post\s?code)(?:\s(?:is|of|was|area))?"
        r"[\s:#=|(]{1,4}(?P<id>\d{5}(?:-\d{4})?|\d{3})\b"
    )
    return [
        _rule(
            0.7, rf"\b(?:{_WORD}\s){{0,2}}[A-Z][\w'-]{{1,20}},?\s(?:{US_CODES})\.?,?\s{{1,3}}\d{{5}}(?:-?\d{{4}})?\b"
        ),
        _rule(
            0.5,
            rf"\b(?P<id>(?:[A-Z][\w'.-]{{1,20}}\s){{0,2}}[A-Z][\w'-]{{1,20}},\s(?:(?:{US_CODES})(?![\w.])(?!,?\s(?:MD|RN|DO|NP|PhD))|{US_NAMES}\b))",
            keep_no_credential=True,
        ),
        PatternRule(
            "LOCATION",
            0.6,
            re.compile(
                rf"(?i:\b{state}),?\s{{1,3}}(?P<id>\d{{5}}(?:-\d{{4}})?)(?![\w.-]|\s?(?i:units?|mg|mcg|ml|cells))"
            ),
            prefilter=re.compile(r"\s\d{5}"),
        ),
        _rule(0.7, zip_label, re.IGNORECASE),
        _rule(0.5, r"(?<![\w.-])\d{5}-\d{4}(?![\w.-])"),
    ]


def _no_credential(match: re.Match[str]) -> bool:
    """'Zorblatt, MD' and 'Roe, PA' name people: codes that are credentials need an ordinary town's form."""
    return not match.group("id").endswith((", MD", ", PA", ", MA"))


def _rule(score: float, pattern: str, flags: int = 0, *, keep_no_credential: bool = False) -> PatternRule:
    return PatternRule(
        "LOCATION", score, re.compile(pattern, flags), keep=_no_credential if keep_no_credential else None
    )


def build(settings: TextSettings) -> Rules:
    """The address recognizer. US forms run when 'US' is among the countries; street forms always."""
    lower = rf"(?<![\w./-])\d{{2,6}}\s(?P<name>{_LOWER_NAME})\s{_LOWER_STREET}(?![A-Za-z])\.?{_UNIT}"
    rules = [
        PatternRule("LOCATION", 0.8, re.compile(rf"{_NUMBER}{_NAME}{_STREET}{_AFTER}"), keep=_no_scan),
        PatternRule("LOCATION", 0.7, re.compile(_risky_street()), keep=_no_scan),
        PatternRule("LOCATION", 0.55, re.compile(lower), keep=_is_street),
        _rule(0.75, rf"(?<![\w.])\d{{1,6}}\s(?:{_DIRECTION}\s)?(?:Broadway|Main|BROADWAY|MAIN)(?![A-Za-z]){_AFTER}"),
        _rule(0.8, _RURAL, re.IGNORECASE),
        _rule(0.75, _ROAD, re.IGNORECASE),
        _rule(0.65, _FIELD, re.IGNORECASE),
        _rule(0.65, _PLACE_FIELD),
        PatternRule("LOCATION", 0.5, re.compile(_PLACE_CUE), keep=_no_state),
        _rule(0.5, _COUNTY),
        _rule(0.55, rf"(?<![\w.])(?:corner|intersection)\sof\s{_WORD}(?:\s{_WORD})?\sand\s{_WORD}(?:\s(?:{_STREET}))?"),
    ]
    return Rules("addresses", rules + (_us() if "US" in settings.countries else []))
