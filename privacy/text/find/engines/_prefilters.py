# SPDX-License-Identifier: Apache-2.0
"""For each of Presidio's patterns, a cheap expression that every match must hold, and whether a match can hold a space.

Rules: a prefilter is a necessary condition, read off the pattern; it never decides what is found. Python's `re` and the
`regex` module know different Unicode versions and case foldings, so a prefilter takes every character outside ASCII for
a digit and a letter. A recognizer is known by a digest over its patterns: where anything differs from what stood here
when the prefilters were written, it has none and runs as it is. Source: presidio-analyzer 2.2.366.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import regex  # type: ignore[import-untyped]
from presidio_analyzer import PatternRecognizer
from presidio_analyzer.predefined_recognizers import IbanRecognizer

from privacy.base.canonical import digest_of
from privacy.text.find.engines._stock import UrlAfterDot

_OUTSIDE = "\x80-\U0010ffff"
_D = f"[0-9{_OUTSIDE}]"
_L = f"[A-Za-z{_OUTSIDE}]"
_W = f"[0-9A-Za-z{_OUTSIDE}]"
_HEX = "[0-9A-Fa-f]"
_FLAGS = regex.IGNORECASE | regex.DOTALL | regex.MULTILINE
"""The prefilters hold with any of these flags."""

_PLAIN_WAYS = (PatternRecognizer.analyze, IbanRecognizer.analyze, UrlAfterDot.analyze)
"""All matches of all patterns, validated (Iban: group by group). Another `analyze` has no prefilters."""


@dataclass(frozen=True)
class Prefilter:
    """`condition` is found in every match. `local`: no match holds ASCII white space, nor looks past one."""

    condition: re.Pattern[str]
    local: bool


def _local(condition: str) -> Prefilter:
    return Prefilter(re.compile(condition), local=True)


def _across(condition: str) -> Prefilter:
    return Prefilter(re.compile(condition), local=False)


@dataclass(frozen=True)
class _Known:
    """Prefilters by the name of the pattern; the one named "" is for all others."""

    digest: str
    prefilters: dict[str, Prefilter]


def _date_prefilters() -> dict[str, Prefilter]:
    slash, hyphen, dot = _local(f"{_D}/{_D}"), _local(f"{_D}-{_D}"), _local(rf"{_D}\.{_D}")
    month = _local(f"{_L}-{_D}|{_D}-{_L}")
    return {
        "": hyphen,
        "mm/dd/yyyy or mm/dd/yy": slash,
        "dd/mm/yyyy or dd/mm/yy": slash,
        "yyyy/mm/dd": slash,
        "mm/yyyy or m/yyyy": slash,
        "mm/yy or m/yy": slash,
        "dd.mm.yyyy or dd.mm.yy": dot,
        "dd-MMM-yyyy or dd-MMM-yy": month,
        "MMM-yyyy or MMM-yy": month,
        "dd-MMM or dd-MMM": month,
    }


_COLONS = _local(f"::|{_HEX}:{_HEX}{{1,4}}:")
_KNOWN = {
    "CreditCardRecognizer": _Known(
        "f6444cc9e2011c9592312b37deb396ce9466c39e5adf7f498bbef427229d78e8", {"": _across(f"{_D}(?:[- ]?{_D}){{12}}")}
    ),
    "CryptoRecognizer": _Known(
        "635dd8f73a7c0a69ccb20a753a2296194178f19a96bcee9868ca4f99670721af", {"": _local(f"[13]{_W}{{25}}")}
    ),
    "DateRecognizer": _Known("1e1125cf61d61626df14543d32f077382dacf5538a30f6fa2deb08d1590606bb", _date_prefilters()),
    "EmailRecognizer": _Known("851619c1b8cb61e0d3d683a24f21100a11d5315cff61d179435927c32ab543eb", {"": _local("@")}),
    "IbanRecognizer": _Known(
        "5ff70f96a510aaf75e91172280c12cd659a7b595c514f329cecba49b95778d61",
        {"": _across(f"{_L}{{2}}[0-9]{{2}}(?:[ -]?{_W}{{4}}){{2}}")},
    ),
    "IpRecognizer": _Known(
        "4e0b8af6dce8c6744a5c03281dcc99bfea1f28d8bddb1a87c0558b90a5a91854",
        {"": _COLONS, "IPv4": _local(r"[0-9]\.[0-9]{1,3}\.[0-9]")},
    ),
    "MacAddressRecognizer": _Known(
        "fff2bd1bf2738f1fc49f06571d87dba98fe0f4fbb26d828c14ce5c3cabb0625c",
        {"": _local(f"{_HEX}{{2}}[:-]{_HEX}{{2}}[:-]"), "MAC_CISCO_DOT": _local(rf"{_HEX}{{4}}\.{_HEX}{{4}}\.")},
    ),
    "MedicalLicenseRecognizer": _Known(
        "71566832f9c8f11adb4285a0e7bd41f56da83c172d0abc16696fb7c99c04872d",
        {"": _local(f"[A-Za-z9{_OUTSIDE}]{_D}{{7}}")},
    ),
    "NhsRecognizer": _Known(
        "4a0611ced05ef2c2cb149e46499df89c49e6f1920ac4c23ae7b73c8bbe991cb7",
        {"": _across("[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{4}")},
    ),
    "UkNinoRecognizer": _Known(
        "2e65731067908076bcb49c181203531e08fb97eb8572d850d80d41b995aed10f",
        {"": _across(f"{_L}{{2}} ?[0-9]{{2}} ?[0-9]{{2}} ?[0-9]{{2}} ?[A-Da-d]")},
    ),
    "UkPostcodeRecognizer": _Known(
        "a7fb0f6b4f15420baf11db59063f98211e95505ee54c70f501723ca48fc443fc",
        {"": _across(rf"{_L}[0-9]{{0,2}}{_L}?[\s{_OUTSIDE}]?[0-9]{_L}{{2}}")},
    ),
    "UrlRecognizer": _Known(
        "6a9d7e1df6a7cef2ce8d9fd59ef8ed95ba98fddd4f0d55a2605d8f246c880150",
        {"": _local(rf"[A-Za-z0-9.\-{_OUTSIDE}]\.{_L}{_L}")},
    ),
    "UsBankRecognizer": _Known(
        "5e0f62edc468f35447ee97e15ae749e7706e6d43e23cad292f1d42f717626e0a", {"": _local("[0-9]{8}")}
    ),
    "UsItinRecognizer": _Known(
        "f3ee427ed51483b6f6f11fb1f76467e627dbae3247b1f5903502ff60e56e3bbf",
        {"": _across(f"9{_D}{{2}}[- ]?{_D}{{2}}[- ]?{_D}{{4}}")},
    ),
    "UsLicenseRecognizer": _Known(
        "b5ed76add13c31ad5ca7268588869af3fbf23608e6fbe369bb9db7df73715359",
        {
            "": _local(rf"[A-Za-z\]{_OUTSIDE}][0-9]|[0-9]{_L}"),
            "Driver License - Digits (very weak)": _local("[0-9]{6}"),
        },
    ),
    "UsMbiRecognizer": _Known(
        "003022a4500df00a022405533216af1cba2af864b044fe4b70e8f32261c08f1d", {"": _local(f"[0-9]{_L}{_W}[0-9]")}
    ),
    "UsNpiRecognizer": _Known(
        "c66d48790a00e540890c76291e00a0ae89b1d1e706f87f2a6a393e6dd45baa7e",
        {"NPI (weak)": _local(f"[12]{_D}{{9}}"), "": _across(f"[12]{_D}{{3}}[ -]{_D}{{3}}[ -]{_D}{{3}}")},
    ),
    "UsPassportRecognizer": _Known(
        "5fb220ac07ed62174de3b7b5ab037d58d399d35f39f0b19351099d8fa440e2f1", {"": _local("[0-9]{8}")}
    ),
    "UsSsnRecognizer": _Known(
        "4384ba2fcc60a8edee0f6f22bfc5a2e8d51ce1129a733829f4da792b3b8864bf",
        {
            "SSN1 (very weak)": _local("[0-9]{5}-[0-9]{4}"),
            "SSN2 (very weak)": _local("[0-9]{3}-[0-9]{6}"),
            "SSN3 (very weak)": _local("[0-9]{3}-[0-9]{2}-[0-9]{4}"),
            "SSN4 (very weak)": _local("[0-9]{9}"),
            "": _across("[0-9]{3}[- .][0-9]{2}[- .][0-9]{4}"),
        },
    ),
    "UuidRecognizer": _Known(
        "5c4061bc0f6e9ab6ff00270c6c855032ce0ab4b511e653bc5440fff312d4a1a1", {"": _local(f"{_HEX}{{8}}-{_HEX}{{4}}-")}
    ),
}

TRIGGER = re.compile(
    rf"[0-9@:.\-{_OUTSIDE}](?:(?<=[0-9@{_OUTSIDE}])|(?<=:)[:0-9A-Fa-f]|(?<=\.){_L}|(?<=-){_HEX}{{2,4}}[-])"
)
"""Found in the stretch between two white spaces wherever a local prefilter is: a digit, @, a colon between hexadecimal
digits, a dot before a letter, or hyphens around two or four hexadecimal digits."""

DULL = re.compile(r"[!-/;-?\[-`{-~]*[0-9]{1,5}(?:\.[0-9]{1,5})?[!-/;-?\[-`{-~]*")
"""A whole stretch that no local pattern matches: one or two short numbers with a point, and signs but @ and colon."""


def recognizer_digest(recognizer: PatternRecognizer) -> str:
    """Over the patterns, without their flags."""
    return digest_of([[pattern.name, pattern.regex] for pattern in recognizer.patterns])


def prefilters_of(recognizer: PatternRecognizer) -> Sequence[Prefilter] | None:
    """One prefilter a pattern, in their order, or None for a recognizer that is not known here exactly as it is."""
    known = next((_KNOWN[kind.__name__] for kind in type(recognizer).__mro__ if kind.__name__ in _KNOWN), None)
    if known is None or type(recognizer).analyze not in _PLAIN_WAYS:
        return None
    if recognizer.global_regex_flags & ~_FLAGS or known.digest != recognizer_digest(recognizer):
        return None
    return [known.prefilters.get(pattern.name) or known.prefilters[""] for pattern in recognizer.patterns]
