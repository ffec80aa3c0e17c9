# SPDX-License-Identifier: Apache-2.0
"""Findings become tags such as `<PERSON>`. Our own replacement: Presidio's anonymizer merges neighbours of one type.

Rules: the union of all findings is replaced, so no character that any recognizer reported survives; overlapping
findings become one with the strongest label, neighbours that only touch stay two; a tag that stands in the text
already is never touched, so replacing twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from privacy.errors import AnonymizationError
from privacy.text.records import ENTITY_TYPES, Finding
from privacy.text.view import TAG


def replace(text: str, findings: Iterable[Finding]) -> tuple[str, tuple[Finding, ...]]:
    """`text` with every finding replaced by its tag, and the disjoint, sorted findings that were replaced.

    Their offsets are those of `text`. Where findings overlap, the union is replaced and named by the highest score,
    then the longest span, then the alphabet. Raises AnonymizationError for a span outside the text or an unknown type.
    """
    found = sorted(set(findings))
    for finding in found:
        _check(finding, len(text))
    resolved = tuple(_union(_outside_tags(text, found)))
    pieces: list[str] = []
    position = 0
    for finding in resolved:
        pieces += (text[position : finding.start], f"<{finding.entity_type}>")
        position = finding.end
    return "".join([*pieces, text[position:]]), resolved


def _check(finding: Finding, length: int) -> None:
    if not 0 <= finding.start < finding.end <= length:
        raise AnonymizationError("a finding lies outside its text", next_step="report the engine's fingerprint")
    if finding.entity_type not in ENTITY_TYPES:
        raise AnonymizationError("a finding has an unknown type", next_step="add its type to records.ENTITY_TYPES")


def _outside_tags(text: str, found: list[Finding]) -> list[Finding]:
    """The findings without the characters of tags that stand in the text; nothing is left of one inside a tag."""
    tags = [tag.span() for tag in TAG.finditer(text)] if "<" in text else []
    pieces = found
    for tag_start, tag_end in tags:
        cut: list[Finding] = []
        for piece in pieces:
            for start, end in (
                (piece.start, min(piece.end, tag_start)),
                (max(piece.start, tag_end), piece.end),
            ):
                if start < end and text[start:end].strip():
                    cut.append(Finding(start, end, piece.entity_type, piece.score, piece.recognizer))
        pieces = cut
    return sorted(set(pieces))


def _union(found: list[Finding]) -> list[Finding]:
    groups: list[list[Finding]] = []
    end = -1
    for finding in found:
        if finding.start < end:
            groups[-1].append(finding)
        else:
            groups.append([finding])
        end = max(end, finding.end)
    return [_strongest(group) for group in groups]


def _strongest(group: list[Finding]) -> Finding:
    best = min(group, key=lambda f: (-f.score, f.start - f.end, f.entity_type, f.recognizer, f.start))
    start, end = group[0].start, max(finding.end for finding in group)
    return Finding(start, end, best.entity_type, best.score, best.recognizer)
