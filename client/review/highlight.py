# SPDX-License-Identifier: Apache-2.0
"""A text cut into pieces, with the finding that each piece belongs to: what a terminal or a page colours.

Also which kind of thing an entity type is. Colours go by kind, since nobody tells thirty of them apart; the type itself
is always written beside, so that no meaning hangs on a colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from privacy.text.reading.records import AnonymizedRecord, Finding

KINDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "people": frozenset({"PERSON", "DEMOGRAPHIC", "BIOMETRIC", "PHOTO"}),
        "places": frozenset({"LOCATION", "UK_POSTCODE"}),
        "organizations": frozenset({"ORGANIZATION", "SITE_TERM"}),
        "times": frozenset({"DATE_TIME", "AGE"}),
        "contact": frozenset({"EMAIL_ADDRESS", "PHONE_NUMBER", "URL", "IP_ADDRESS", "MAC_ADDRESS"}),
        "care": frozenset(
            {"MEDICAL_RECORD_NUMBER", "HEALTH_PLAN_ID", "MEDICAL_LICENSE", "UK_NHS", "US_MBI", "US_NPI", "DEVICE_ID"}
        ),
    }
)
OTHER: Final = "numbers"
"""The kind of every type that has no other: accounts, licences, passports, vehicles and what may be added."""

_LOOKAHEAD: Final = 80


@dataclass(frozen=True, slots=True, repr=False)
class Piece:
    """Characters in a row of one text; `finding` is None where nothing was found."""

    text: str
    finding: Finding | None


def kind_of(entity_type: str) -> str:
    """The kind of an entity type, for its colour."""
    return next((kind for kind, types in KINDS.items() if entity_type in types), OTHER)


def before(text: str, findings: Sequence[Finding]) -> list[Piece]:
    """The original `text`, cut at its findings (disjoint and sorted)."""
    pieces: list[Piece] = []
    position = 0
    for finding in findings:
        pieces += (Piece(text[position : finding.start], None), Piece(text[finding.start : finding.end], finding))
        position = finding.end
    return [piece for piece in (*pieces, Piece(text[position:], None)) if piece.text]


def after(original: str, record: AnonymizedRecord) -> list[Piece]:
    """The anonymized text, cut at what stands for each finding, whatever the replacement mode.

    What stood between two findings still stands there, so each replacement is what lies between two such pieces. Where
    that can be read in several ways the shortest is taken; where in none, the whole text comes back as one piece.
    """
    edges = [0, *(edge for finding in record.findings for edge in (finding.start, finding.end)), len(original)]
    texts = [original[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
    starts = _places(record.text, texts, record.findings)
    if starts is None:
        return [Piece(record.text, None)]
    pieces: list[Piece] = []
    for at, start in enumerate(starts):
        if at:
            pieces.append(Piece(record.text[starts[at - 1] + len(texts[at - 1]) : start], record.findings[at - 1]))
        pieces.append(Piece(texts[at], None))
    return [piece for piece in pieces if piece.text]


def _places(text: str, texts: Sequence[str], findings: Sequence[Finding]) -> list[int] | None:
    """Where each kept piece starts in `text`; None if they do not fit. Searched depth first, no position twice."""
    if not text.startswith(texts[0]):
        return None
    path: list[int] = [0]
    options = [iter(_next_places(text, texts, findings, 0, 0))] if findings else []
    tried: set[tuple[int, int]] = set()
    while options:
        place = next((place for place in options[-1] if (len(path), place) not in tried), None)
        if place is None:
            options.pop()
            path.pop()
            continue
        tried.add((len(path), place))
        path.append(place)
        if len(path) == len(texts):
            return path
        options.append(iter(_next_places(text, texts, findings, len(path) - 1, place)))
    return path if len(texts) == 1 and text == texts[0] else None


def _next_places(text: str, texts: Sequence[str], findings: Sequence[Finding], at: int, start: int) -> tuple[int, ...]:
    """Where the piece after number `at` (which starts at `start`) may start, the likeliest first."""
    finding, wanted = findings[at], texts[at + 1]
    position = start + len(texts[at])
    if at + 1 == len(findings):  # the last piece ends the text
        last = len(text) - len(wanted)
        return (last,) if last >= position and text.endswith(wanted) else ()
    tag = position + len(finding.entity_type) + 2
    places = [tag] if text.startswith(f"<{finding.entity_type}>", position) and text.startswith(wanted, tag) else []
    reach = min(len(text), position + 4 * (finding.end - finding.start) + _LOOKAHEAD)
    place = text.find(wanted, position, reach + len(wanted))
    while place >= 0:
        if place not in places:
            places.append(place)
        place = text.find(wanted, place + 1, reach + len(wanted)) if place < reach else -1
    return tuple(places)
